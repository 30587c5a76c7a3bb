import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstInstant, Instant, instantFromMs, lastInstant, msOfInstant } from './instant.ts';

const arbitraryMs = fc.integer({ min: 0, max: 253_402_300_799_999 });

describe('Instant', () => {
  it.each([
    firstInstant,
    lastInstant,
    '2024-02-29T23:59:59.999Z',
    '2000-02-29T00:00:00.000Z',
    '2026-12-31T12:30:45.678Z',
  ])('accepts %s', (text) => expect(Instant.parse(text)).toBe(text));

  it.each([
    ['no milliseconds', '2026-03-31T22:00:00Z'],
    ['microseconds', '2026-03-31T22:00:00.000000Z'],
    ['an offset', '2026-03-31T22:00:00.000+00:00'],
    ['no zone', '2026-03-31T22:00:00.000'],
    ['a space for the T', '2026-03-31 22:00:00.000Z'],
    ['lower case', '2026-03-31t22:00:00.000z'],
    ['30 February', '2024-02-30T00:00:00.000Z'],
    ['29 February of a common year', '2026-02-29T00:00:00.000Z'],
    ['29 February of 2100', '2100-02-29T00:00:00.000Z'],
    ['31 April', '2026-04-31T00:00:00.000Z'],
    ['day 0', '2026-04-00T00:00:00.000Z'],
    ['month 13', '2026-13-01T00:00:00.000Z'],
    ['hour 24', '2026-03-31T24:00:00.000Z'],
    ['a leap second', '2016-12-31T23:59:60.000Z'],
    ['a year before 1970', '1969-12-31T23:59:59.999Z'],
    ['a year of five digits', '10000-01-01T00:00:00.000Z'],
    ['a line break at the end', '2026-03-31T22:00:00.000Z\n'],
    ['nothing', ''],
    ['a number', 1_774_994_400_000],
  ])('refuses %s', (_, value) => expect(Instant.safeParse(value).success).toBe(false));

  it('orders as text as it does in time', () => {
    fc.assert(
      fc.property(arbitraryMs, arbitraryMs, (a, b) => {
        expect(instantFromMs(a) < instantFromMs(b)).toBe(a < b);
      }),
    );
  });

  it('comes back from milliseconds as it went, and is valid', () => {
    fc.assert(
      fc.property(arbitraryMs, (ms) => {
        expect(msOfInstant(Instant.parse(instantFromMs(ms)))).toBe(ms);
      }),
    );
  });
});

describe('instantFromMs', () => {
  it('knows the first and the last instant', () => {
    expect(instantFromMs(0)).toBe('1970-01-01T00:00:00.000Z');
    expect(instantFromMs(253_402_300_799_999)).toBe('9999-12-31T23:59:59.999Z');
  });

  it.each([-1, 253_402_300_800_000, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('throws on %s', (ms) => {
    expect(() => instantFromMs(ms)).toThrow(RangeError);
  });
});

describe('msOfInstant', () => {
  it.each(['2026-02-30T00:00:00.000Z', '2026-03-31', 'yesterday'])('throws on "%s", which is no instant', (text) => {
    expect(() => msOfInstant(text)).toThrow(RangeError);
  });
});
