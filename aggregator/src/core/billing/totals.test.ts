import { describe, expect, it } from 'vitest';
import { documentTotals, dueDay } from './totals.ts';

describe('totals of a document', () => {
  it.each([
    [[1, 2, 3], '22', { netMinor: 6, taxMinor: 1, grossMinor: 7 }],
    [[25], '22', { netMinor: 25, taxMinor: 6, grossMinor: 31 }],
    [[-25], '22', { netMinor: -25, taxMinor: -6, grossMinor: -31 }],
    // Tax of each line alone would be 1 + 1; of the total it is 1.
    [[5, 5], '10', { netMinor: 10, taxMinor: 1, grossMinor: 11 }],
    [[], '22', { netMinor: 0, taxMinor: 0, grossMinor: 0 }],
    [[100], '0', { netMinor: 100, taxMinor: 0, grossMinor: 100 }],
  ])('%j at %s per cent', (nets, rate, totals) => {
    const made = documentTotals(
      nets.map((netMinor) => ({ netMinor })),
      rate,
    );
    expect(made).toEqual(totals);
  });
});

describe('due day', () => {
  it.each([
    ['2026-01-31T12:00:00.000Z', 30, 'Europe/Rome', '2026-03-02'],
    ['2028-01-31T12:00:00.000Z', 30, 'Europe/Rome', '2028-03-01'],
    ['2026-12-31T23:30:00.000Z', 0, 'Europe/Rome', '2027-01-01'],
    ['2026-12-31T23:30:00.000Z', 0, 'UTC', '2026-12-31'],
    ['2026-03-28T12:00:00.000Z', 365, 'Europe/Rome', '2027-03-28'],
  ])('of %s plus %i days in %s is %s', (at, days, zone, due) => {
    expect(dueDay(at, days, zone)).toBe(due);
  });
});
