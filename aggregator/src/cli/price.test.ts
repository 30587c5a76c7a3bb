import { describe, expect, it } from 'vitest';
import { minorOfPrice } from './price.ts';

describe('a price as people write it', () => {
  it.each([
    ['4.50', 'EUR', 450],
    ['4.5', 'EUR', 450],
    ['4', 'EUR', 400],
    ['0', 'EUR', 0],
    ['0.07', 'CHF', 7],
    ['1.005', 'KWD', 1005],
    ['500', 'JPY', 500],
    // By floating point it would be 109999.99999999999.
    ['1099.99', 'EUR', 109_999],
  ])('%s %s is %i minor units', (text, currency, minor) => {
    expect(minorOfPrice(text, currency)).toBe(minor);
  });

  it.each([
    ['4.505', 'EUR'],
    ['4.5', 'JPY'],
    ['-1', 'EUR'],
    ['4,50', 'EUR'],
    ['1e3', 'EUR'],
    ['', 'EUR'],
    [' 4', 'EUR'],
    ['999999999999999', 'EUR'],
  ])('refuses %j %s', (text, currency) => {
    expect(() => minorOfPrice(text, currency)).toThrow(/price|decimals|large/);
  });
});
