import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { monthPeriod } from '../domain/month.ts';
import { arbitraryIntervals } from '../testing/intervals.ts';
import { EvidenceRow, evidenceOfMonth } from './evidence.ts';
import type { DeployedInterval } from './interval.ts';
import { peakOfMonth } from './peak.ts';

const zone = 'Europe/Rome';
const period = monthPeriod('2026-03', zone);
const noon = (day: number): string => `2026-03-${String(day).padStart(2, '0')}T11:00:00.000Z`;

function server(endpoint: string, deployedAt: string, removedAt: string | null): DeployedInterval {
  return { endpoint, kind: 'server', deployedAt, removedAt };
}

describe('evidenceOfMonth', () => {
  it('shows the true instants, also those before the period, and counts the days within it', () => {
    const deployedAt = '2025-01-01T00:00:00.000Z';
    expect(evidenceOfMonth([server('a', deployedAt, noon(3))], period, zone)).toEqual([
      { endpoint: 'a', intervals: [{ kind: 'server', deployedAt, removedAt: noon(3) }], days: 3 },
    ]);
  });

  it('shows as still deployed what was removed at the end of the period or later', () => {
    const rows = [period.end, '2026-05-01T00:00:00.000Z', null].map((removedAt) =>
      evidenceOfMonth([server('a', noon(30), removedAt)], period, zone),
    );
    const expected = [
      { endpoint: 'a', intervals: [{ kind: 'server', deployedAt: noon(30), removedAt: null }], days: 2 },
    ];
    expect(rows).toEqual([expected, expected, expected]);
  });

  it('leaves out what does not meet the period', () => {
    const intervals = [
      server('before', '2025-01-01T00:00:00.000Z', period.start),
      server('after', period.end, null),
      server('empty', noon(5), noon(5)),
    ];
    expect(evidenceOfMonth(intervals, period, zone)).toEqual([]);
  });

  it('counts a day once on which an endpoint was deployed twice, or as both kinds', () => {
    const intervals: DeployedInterval[] = [
      { endpoint: 'a', kind: 'workstation', deployedAt: noon(4), removedAt: noon(5) },
      { endpoint: 'a', kind: 'server', deployedAt: noon(5), removedAt: noon(6) },
    ];
    expect(evidenceOfMonth(intervals, period, zone)[0]?.days).toBe(3);
  });

  it('counts from its start the days of a month that a site lived only in part', () => {
    const lived = { start: noon(20), end: period.end };
    expect(evidenceOfMonth([server('a', noon(1), null)], lived, zone)[0]?.days).toBe(12);
  });

  it('orders endpoints by code unit and intervals by start, whatever order they came in', () => {
    fc.assert(
      fc.property(
        arbitraryIntervals(period).chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
        ),
        ([intervals, shuffled]) => {
          const rows = evidenceOfMonth(shuffled, period, zone);
          expect(rows).toEqual(evidenceOfMonth(intervals, period, zone));
          expect(rows.map(({ endpoint }) => endpoint)).toEqual(
            [...new Set(rows.map(({ endpoint }) => endpoint))].sort(),
          );
          for (const row of rows) {
            const starts = row.intervals.map(({ deployedAt }) => deployedAt);
            expect(starts).toEqual(starts.toSorted());
          }
        },
      ),
    );
  });

  it('holds all that the peaks need: they can be recomputed from the rows', () => {
    fc.assert(
      fc.property(arbitraryIntervals(period), (intervals) => {
        const fromRows = evidenceOfMonth(intervals, period, zone).flatMap((row) =>
          row.intervals.map((interval) => ({ endpoint: row.endpoint, ...interval })),
        );
        expect(peakOfMonth(fromRows, period)).toEqual(peakOfMonth(intervals, period));
      }),
    );
  });
});

describe('EvidenceRow', () => {
  const row = {
    endpoint: `ep_${'0'.repeat(20)}`,
    intervals: [{ kind: 'server', deployedAt: noon(1), removedAt: null }],
    days: 31,
  };

  it('accepts a row', () => expect(EvidenceRow.parse(row)).toEqual(row));

  it.each([{ days: 32 }, { days: 0 }, { intervals: [] }, { endpoint: 'x' }])('refuses %j', (change) => {
    expect(EvidenceRow.safeParse({ ...row, ...change }).success).toBe(false);
  });
});
