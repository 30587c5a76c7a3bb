import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentKind } from '../domain/agent-kind.ts';
import { monthPeriod, type Period } from '../domain/month.ts';
import { arbitraryIntervals } from '../testing/intervals.ts';
import type { DeployedInterval } from './interval.ts';
import { type KindPeak, peakOfMonth } from './peak.ts';

const period = monthPeriod('2026-03', 'Europe/Rome');
const none: KindPeak = { peak: 0, at: null, endpoints: [] };

const at = (day: number, clock = '12:00:00.000'): string => `2026-03-${String(day).padStart(2, '0')}T${clock}Z`;

function server(endpoint: string, deployedAt: string, removedAt: string | null): DeployedInterval {
  return { endpoint, kind: 'server', deployedAt, removedAt };
}

/** The definition, word for word: at each instant that could be a maximum, count who stands deployed. */
function peakByDefinition(intervals: readonly DeployedInterval[], kind: AgentKind, { start, end }: Period): KindPeak {
  const candidates = [start, ...intervals.map(({ deployedAt }) => deployedAt)]
    .filter((t) => start <= t && t < end)
    .sort();
  let found = none;
  for (const t of candidates) {
    const deployed = intervals.filter(
      (interval) =>
        interval.kind === kind && interval.deployedAt <= t && (interval.removedAt === null || t < interval.removedAt),
    );
    if (deployed.length > found.peak) {
      found = { peak: deployed.length, at: t, endpoints: deployed.map(({ endpoint }) => endpoint).sort() };
    }
  }
  return found;
}

describe('peakOfMonth', () => {
  it('is zero, without a witness, when nothing was deployed', () => {
    expect(peakOfMonth([], period)).toEqual({ server: none, workstation: none });
  });

  it('counts from the start of the period what was deployed before it', () => {
    const intervals = [server('a', '2025-01-01T00:00:00.000Z', null), server('b', '2025-01-01T00:00:00.000Z', at(2))];
    expect(peakOfMonth(intervals, period).server).toEqual({ peak: 2, at: period.start, endpoints: ['a', 'b'] });
  });

  it('does not count what ended as the period began or began as it ended', () => {
    const intervals = [server('a', '2025-01-01T00:00:00.000Z', period.start), server('b', period.end, null)];
    expect(peakOfMonth(intervals, period).server).toEqual(none);
  });

  it('counts what was deployed in the last millisecond', () => {
    const lastMs = '2026-03-31T21:59:59.999Z';
    expect(peakOfMonth([server('a', lastMs, null)], period).server).toEqual({ peak: 1, at: lastMs, endpoints: ['a'] });
  });

  it('does not rise when a machine is swapped for another at one instant', () => {
    const intervals = [server('old', at(1), at(15)), server('new', at(15), null)];
    expect(peakOfMonth(intervals, period).server).toEqual({ peak: 1, at: at(1), endpoints: ['old'] });
  });

  it('does not count an agent removed in the instant it was deployed', () => {
    const intervals = [server('brief', at(5), at(5)), server('other', at(7), null)];
    expect(peakOfMonth(intervals, period).server).toEqual({ peak: 1, at: at(7), endpoints: ['other'] });
  });

  it('takes the earliest of several instants with the same count', () => {
    const intervals = [server('a', at(2), at(3)), server('b', at(4), at(5)), server('c', at(6), null)];
    expect(peakOfMonth(intervals, period).server).toEqual({ peak: 1, at: at(2), endpoints: ['a'] });
  });

  it('keeps the two kinds apart, and an endpoint that changed its kind in both', () => {
    const intervals: DeployedInterval[] = [
      { endpoint: 'a', kind: 'workstation', deployedAt: at(1), removedAt: at(10) },
      { endpoint: 'a', kind: 'server', deployedAt: at(10), removedAt: null },
    ];
    expect(peakOfMonth(intervals, period)).toEqual({
      workstation: { peak: 1, at: at(1), endpoints: ['a'] },
      server: { peak: 1, at: at(10), endpoints: ['a'] },
    });
  });

  it('lists the witness by code unit, not by alphabet', () => {
    const intervals = ['b', 'Z', 'ä', 'a', '10', '9'].map((endpoint) => server(endpoint, at(1), null));
    expect(peakOfMonth(intervals, period).server.endpoints).toEqual(['10', '9', 'Z', 'a', 'b', 'ä']);
  });

  it('agrees with the definition, whatever the order of the intervals', () => {
    fc.assert(
      fc.property(
        arbitraryIntervals(period).chain((all) => fc.shuffledSubarray(all, { minLength: all.length })),
        (intervals) => {
          expect(peakOfMonth(intervals, period)).toEqual({
            server: peakByDefinition(intervals, 'server', period),
            workstation: peakByDefinition(intervals, 'workstation', period),
          });
        },
      ),
      { numRuns: 1000 },
    );
  });
});
