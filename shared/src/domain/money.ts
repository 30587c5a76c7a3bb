/**
 * Owns amounts of money: integers of a currency's minor units, exact decimals on the way to one, and the one rounding
 * (domain.md, section 7). No floating point touches money, nothing defaults, and what does not fit throws. Currencies and
 * their decimals belong to `currency.ts`, prices to `price-agreement.ts`, exchange rates to whoever publishes them.
 */
import Big from 'big.js';
import { z } from 'zod';
import { type Currency, minorUnitExponent } from './currency.ts';

/** An amount in minor units of a currency that stands beside it: a safe integer, negative for a credit. */
export const MoneyMinor = z.int();
export type MoneyMinor = z.infer<typeof MoneyMinor>;

const decimalPattern = /^(?!-0(?:\.0*)?$)-?(?:0|[1-9]\d{0,14})(?:\.\d{1,6})?$/;

/** An exact decimal as text, such as a tax rate in per cent: "22", "7.7"; up to 15 digits and 6 decimals, no exponent. */
export const Decimal = z.string().regex(decimalPattern, {
  error: 'must be a decimal number as text, with at most 6 decimals, such as "22" or "7.7"',
});
export type Decimal = z.infer<typeof Decimal>;

/** Its own constructor, so that strictness (numbers throw) does not depend on what others do to big.js. */
const ExactBig = Big();
ExactBig.strict = true;

/** An exact number to calculate with on the way to an amount. */
export function exact(value: Decimal | bigint): Big {
  return new ExactBig(value);
}

/**
 * The nearest integer, halves away from zero: the one rounding of a line, done at its end.
 * @throws RangeError when it is not a safe integer.
 */
export function roundHalfAwayFromZero(value: Big): MoneyMinor {
  const rounded = value.round(0, Big.roundHalfUp);
  if (rounded.abs().gt(exact(BigInt(Number.MAX_SAFE_INTEGER)))) {
    throw new RangeError(`an amount of ${rounded.toFixed()} minor units is too large to be exact`);
  }
  // A small negative value rounds to minus zero, which would be written "-0".
  return rounded.toNumber() + 0;
}

/**
 * `quantity` whole units at a price.
 * @throws RangeError when either, or the product, is not a safe integer.
 */
export function multiplyMinor(quantity: number, unitPriceMinor: MoneyMinor): MoneyMinor {
  return roundHalfAwayFromZero(exactInteger(quantity).times(exactInteger(unitPriceMinor)));
}

/**
 * So many per cent of an amount, rounded once.
 * @throws RangeError when the amount, or the result, is not a safe integer, or the percentage not a decimal.
 */
export function percentOfMinor(amountMinor: MoneyMinor, percent: Decimal): MoneyMinor {
  if (!decimalPattern.test(percent)) throw new RangeError(`"${percent}" is not a decimal such as "7.7"`);
  return roundHalfAwayFromZero(exactInteger(amountMinor).times(exact(percent)).times(exact('0.01')));
}

/**
 * The total of amounts of one currency, such as the rounded lines of an invoice.
 * @throws RangeError when an amount, or the total, is not a safe integer.
 */
export function sumMinor(amountsMinor: readonly MoneyMinor[]): MoneyMinor {
  return roundHalfAwayFromZero(amountsMinor.reduce((total, amount) => total.plus(exactInteger(amount)), exact(0n)));
}

/**
 * The amount as a plain decimal in the currency's main unit, for files and other programs: "1234.50", "-0.05".
 * @throws RangeError when the amount is not a safe integer or the currency unknown.
 */
export function formatMinor(amountMinor: MoneyMinor, currency: Currency): string {
  const exponent = minorUnitExponent(currency);
  return exactInteger(amountMinor)
    .times(new ExactBig(`1e-${exponent}`))
    .toFixed(exponent);
}

/**
 * The amount for people, in the way of `locale` (BCP 47) and with the currency's code: "EUR 1,234.50" in "en",
 * "1.234,50 EUR" in "de"; the spaces are no-break spaces.
 * @throws RangeError when the amount is not a safe integer, or currency or locale unknown.
 */
export function displayMinor(amountMinor: MoneyMinor, currency: Currency, locale: string): string {
  const decimals = minorUnitExponent(currency);
  const format = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    currencyDisplay: 'code',
    // Said, since Intl has decimals of its own for some currencies.
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  // As text, which Intl reads exactly; the type only says that it is a numeral.
  return format.format(formatMinor(amountMinor, currency) as `${number}`);
}

function exactInteger(value: number): Big {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an integer that can be held exactly`);
  return exact(BigInt(value));
}
