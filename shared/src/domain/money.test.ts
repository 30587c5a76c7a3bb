import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Decimal,
  displayMinor,
  exact,
  formatMinor,
  MoneyMinor,
  multiplyMinor,
  percentOfMinor,
  roundHalfAwayFromZero,
  sumMinor,
} from './money.ts';

const largest = Number.MAX_SAFE_INTEGER;

/** What an operation must answer whose true result is `value`. */
const asAmount = (value: bigint): number | 'RangeError' =>
  value <= BigInt(largest) && value >= -BigInt(largest) ? Number(value) : 'RangeError';

function outcome(operation: () => number): number | 'RangeError' {
  try {
    return operation();
  } catch (error) {
    if (error instanceof RangeError) return 'RangeError';
    throw error;
  }
}

/** The quotient by whole-number arithmetic alone. */
function divideHalfAway(dividend: bigint, divisor: bigint): bigint {
  const magnitude = dividend < 0n ? -dividend : dividend;
  const quotient = (magnitude * 2n + divisor) / (divisor * 2n);
  return dividend < 0n ? -quotient : quotient;
}

/** A decimal as text, beside its value in millionths. */
const arbitraryDecimal = fc
  .tuple(fc.integer({ min: -99_999_999, max: 999_999_999 }), fc.integer({ min: 0, max: 6 }))
  .map(([digits, decimals]) => {
    const text = String(Math.abs(digits)).padStart(decimals + 1, '0');
    const point = text.length - decimals;
    const unsigned = decimals === 0 ? text : `${text.slice(0, point)}.${text.slice(point)}`;
    return { text: digits < 0 ? `-${unsigned}` : unsigned, millionths: BigInt(digits) * 10n ** BigInt(6 - decimals) };
  });

describe('MoneyMinor', () => {
  it.each([0, -1, largest, -largest])('accepts %i', (amount) => expect(MoneyMinor.parse(amount)).toBe(amount));
  it.each([0.5, largest + 1, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null])('refuses %s', (amount) => {
    expect(MoneyMinor.safeParse(amount).success).toBe(false);
  });
});

describe('Decimal', () => {
  it.each(['0', '22', '7.7', '7.70', '0.000001', '-3.5', '-0.5', '999999999999999.999999'])('accepts %s', (text) => {
    expect(Decimal.parse(text)).toBe(text);
  });
  it.each([
    '',
    '.5',
    '5.',
    '1e3',
    '+1',
    '01',
    '-0',
    '-0.0',
    '1,5',
    ' 1',
    '1\n',
    'NaN',
    'Infinity',
    '0x1',
    '1.1234567',
    '1234567890123456',
    7.7,
  ])('refuses %j', (text) => expect(Decimal.safeParse(text).success).toBe(false));
});

describe('roundHalfAwayFromZero', () => {
  it.each([
    ['0.5', 1],
    ['-0.5', -1],
    ['1.5', 2],
    ['2.5', 3],
    ['-2.5', -3],
    ['2.499999', 2],
    ['-2.499999', -2],
    ['-0.4', 0],
  ])('makes %s to %i', (value, rounded) => expect(roundHalfAwayFromZero(exact(value))).toBe(rounded));

  it('throws on what is no safe integer', () => {
    expect(roundHalfAwayFromZero(exact('9007199254740991.4'))).toBe(largest);
    expect(() => roundHalfAwayFromZero(exact('9007199254740991.5'))).toThrow(RangeError);
    expect(() => roundHalfAwayFromZero(exact(-(2n ** 53n)))).toThrow(RangeError);
  });
});

describe('exact', () => {
  it('lets no number mix in', () => expect(() => exact('1').plus(0.1)).toThrow('Invalid value'));
});

describe('multiplyMinor', () => {
  it('agrees with whole-number arithmetic, and throws where the product is too large', () => {
    const quantities = fc.oneof(fc.integer({ min: 0, max: 500_000 }), fc.maxSafeInteger());
    fc.assert(
      fc.property(quantities, fc.integer(), (quantity, unitPriceMinor) => {
        const product = BigInt(quantity) * BigInt(unitPriceMinor);
        expect(outcome(() => multiplyMinor(quantity, unitPriceMinor))).toBe(asAmount(product));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    [1.5, 100],
    [1, 0.1],
    [Number.NaN, 1],
    [largest + 1, 1],
    [1, Number.POSITIVE_INFINITY],
  ])('throws on %d × %d', (quantity, price) => expect(() => multiplyMinor(quantity, price)).toThrow(RangeError));
});

describe('percentOfMinor', () => {
  it.each([
    [10_000, '22', 2200],
    [1, '50', 1],
    [-1, '50', -1],
    [1, '49.999999', 0],
    [-1, '49.999999', 0],
    [6_450, '7.7', 497],
    [12_345, '0', 0],
    // Partner, then volume discount on CHF 347.20 and EUR 201.25 (domain.md, section 5).
    [34_720, '80', 27_776],
    [27_776, '75', 20_832],
    [20_125, '80', 16_100],
    [16_100, '75', 12_075],
  ])('of %i, %s %% is %i', (amount, percent, expected) => expect(percentOfMinor(amount, percent)).toBe(expected));

  it('agrees with whole-number arithmetic, rounded once, and throws where the result is too large', () => {
    const amounts = fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.integer(), fc.maxSafeInteger());
    fc.assert(
      fc.property(amounts, arbitraryDecimal, (amount, { text, millionths }) => {
        const expected = divideHalfAway(BigInt(amount) * millionths, 100_000_000n);
        expect(outcome(() => percentOfMinor(amount, text))).toBe(asAmount(expected));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [0.5, '22'],
    [100, '1e1'],
    [100, ''],
    [100, '22 %'],
    [largest, '101'],
  ])('throws on %d and "%s"', (amount, percent) => expect(() => percentOfMinor(amount, percent)).toThrow(RangeError));
});

describe('sumMinor', () => {
  it('adds', () => {
    expect(sumMinor([])).toBe(0);
    expect(sumMinor([150, -50, 1])).toBe(101);
  });

  it('throws when a part or the total is not exact', () => {
    expect(() => sumMinor([0.1, 0.2])).toThrow(RangeError);
    expect(() => sumMinor([largest, 1])).toThrow(RangeError);
  });
});

describe('formatMinor', () => {
  it.each([
    [123_450, 'EUR', '1234.50'],
    [0, 'EUR', '0.00'],
    [5, 'EUR', '0.05'],
    [-5, 'EUR', '-0.05'],
    [-123_450, 'CHF', '-1234.50'],
    [1234, 'JPY', '1234'],
    [1234, 'KWD', '1.234'],
    [123_450, 'HUF', '1234.50'],
    [12_345, 'CLF', '1.2345'],
    [1234, 'IQD', '1.234'],
    [largest, 'EUR', '90071992547409.91'],
    [-largest, 'EUR', '-90071992547409.91'],
    [largest, 'JPY', '9007199254740991'],
  ])('writes %i %s as %s', (amount, currency, text) => expect(formatMinor(amount, currency)).toBe(text));

  it('throws on a fraction and on an unknown currency', () => {
    expect(() => formatMinor(0.5, 'EUR')).toThrow(RangeError);
    expect(() => formatMinor(1, 'ZZZ')).toThrow(RangeError);
  });
});

describe('displayMinor', () => {
  it.each([
    [123_450, 'EUR', 'en', 'EUR\u00a01,234.50'],
    [123_450, 'EUR', 'de', '1.234,50\u00a0EUR'],
    [-5, 'CHF', 'en', '-CHF\u00a00.05'],
    [largest, 'EUR', 'en', 'EUR\u00a090,071,992,547,409.91'],
    [1234, 'JPY', 'en', 'JPY\u00a01,234'],
    // Intl alone would show none of these decimals.
    [123_450, 'HUF', 'en', 'HUF\u00a01,234.50'],
    [5, 'PKR', 'en', 'PKR\u00a00.05'],
    [1234, 'IQD', 'en', 'IQD\u00a01.234'],
    [12_345, 'CLF', 'de', '1,2345\u00a0CLF'],
  ])('shows %i %s in "%s" as %s', (amount, currency, locale, text) => {
    expect(displayMinor(amount, currency, locale)).toBe(text);
  });

  it('throws on an unknown currency', () => expect(() => displayMinor(1, 'ZZZ', 'en')).toThrow(RangeError));
});
