import { describe, expect, it } from 'vitest';
import { Currency, minorUnitExponent } from './currency.ts';

describe('Currency', () => {
  it.each(['EUR', 'CHF', 'USD', 'JPY', 'KWD', 'XCG', 'ZWG', 'CLF'])('accepts %s', (code) =>
    expect(Currency.parse(code)).toBe(code),
  );
  it.each(['eur', 'EURO', 'EU', '', 'ZZZ', '€', 'EUR ', 'XAU', 'XDR', 'XBA', 'XTS', 'constructor'])(
    'refuses %j',
    (code) => {
      expect(Currency.safeParse(code).success).toBe(false);
    },
  );
});

describe('minorUnitExponent', () => {
  // ISO 4217, list one.
  it.each([
    ['EUR', 2],
    ['USD', 2],
    ['CHF', 2],
    ['GBP', 2],
    ['SEK', 2],
    ['PLN', 2],
    ['CZK', 2],
    ['JPY', 0],
    ['KRW', 0],
    ['ISK', 0],
    ['CLP', 0],
    ['BHD', 3],
    ['KWD', 3],
    ['TND', 3],
    // Those where the runtime's data says something else, or nothing.
    ['AFN', 2],
    ['ALL', 2],
    ['COP', 2],
    ['HUF', 2],
    ['IDR', 2],
    ['IQD', 3],
    ['IRR', 2],
    ['KPW', 2],
    ['LAK', 2],
    ['LBP', 2],
    ['MGA', 2],
    ['MMK', 2],
    ['PKR', 2],
    ['SOS', 2],
    ['SYP', 2],
    ['YER', 2],
    ['CLF', 4],
    ['UYW', 4],
    ['VED', 2],
  ])('of %s is %i', (currency, exponent) => expect(minorUnitExponent(currency)).toBe(exponent));

  it('throws on an unknown currency rather than taking two', () => {
    expect(() => minorUnitExponent('ZZZ')).toThrow(RangeError);
    expect(() => minorUnitExponent('eur')).toThrow(RangeError);
  });
});

describe('the table', () => {
  it('holds each code once, three capital letters, in order', () => {
    const codes = Currency.options;
    expect(codes).toHaveLength(164);
    expect(codes.filter((code) => !/^[A-Z]{3}$/.test(code))).toEqual([]);
    expect(codes).toEqual([...new Set(codes)].toSorted());
  });

  it('knows every currency in use that the runtime knows, so that nobody is left without one', () => {
    // Withdrawn, or a unit of account: what is in the runtime's list and not in ours.
    const others = ['ANG', 'BGN', 'CUC', 'HRK', 'SLL', 'XDR', 'XSU', 'ZWL'];
    const ours = new Set<string>(Currency.options);
    expect(Intl.supportedValuesOf('currency').filter((code) => !ours.has(code) && !others.includes(code))).toEqual([]);
  });
});
