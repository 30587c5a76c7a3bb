/**
 * Owns which currencies there are and how many decimals their amounts have: ISO 4217, list one, as a table of ours. The
 * runtime's own data follows how people pay cash, and changes with its version; a stored amount must not (decision 0012).
 */
import { z } from 'zod';

/**
 * Codes by the decimals of their minor unit, as of 2026-01. A code that is withdrawn stays, since documents were made in it;
 * units without decimals of their own (gold, the SDR, test codes) are none to bill in.
 */
const codesByDecimals: Record<number, string> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  2: `
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED
    VES WST XCD XCG YER ZAR ZMW ZWG`,
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
};

const decimalsByCode: ReadonlyMap<string, number> = new Map(
  Object.entries(codesByDecimals).flatMap(([decimals, codes]) =>
    codes
      .trim()
      .split(/\s+/)
      .map((code) => [code, Number(decimals)] as const),
  ),
);

/** A currency by its three letters of ISO 4217. */
export const Currency = z.enum([...decimalsByCode.keys()].sort(), {
  error: 'must be a currency code of ISO 4217, such as "EUR"',
});
export type Currency = z.infer<typeof Currency>;

/**
 * Decimals that the currency's amounts have: 2 for EUR, 0 for JPY, 3 for KWD.
 * @throws RangeError when the currency is unknown.
 */
export function minorUnitExponent(currency: Currency): number {
  const decimals = decimalsByCode.get(currency);
  if (decimals === undefined) throw new RangeError(`"${currency}" is not a currency code such as "EUR"`);
  return decimals;
}
