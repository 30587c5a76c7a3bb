/** Prices as people write them ("4.50") and as the API takes them (450 minor units). */
import { type Currency, minorUnitExponent } from '@rollcall/shared/domain/currency.ts';
import { Decimal } from '@rollcall/shared/domain/money.ts';
import { UsageError } from './failure.ts';

/** An exact decimal in the currency's main unit, as minor units; text all the way, so that nothing is rounded. */
export function minorOfPrice(text: string, currency: Currency): number {
  const exponent = minorUnitExponent(currency);
  const decimal = Decimal.safeParse(text);
  const [whole = '', fraction = ''] = text.split('.');
  if (!decimal.success || text.startsWith('-'))
    throw new UsageError(`${JSON.stringify(text)} is not a price such as 4.50`);
  if (fraction.length > exponent)
    throw new UsageError(`${JSON.stringify(text)} has more decimals than ${currency}, which has ${exponent}`);
  const minor = Number(BigInt(whole + fraction.padEnd(exponent, '0')));
  if (!Number.isSafeInteger(minor)) throw new UsageError(`${JSON.stringify(text)} is too large`);
  return minor;
}
