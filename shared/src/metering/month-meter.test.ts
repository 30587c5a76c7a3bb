import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { monthPeriod } from '../domain/month.ts';
import { arbitraryIntervals } from '../testing/intervals.ts';
import type { DeployedInterval } from './interval.ts';
import {
  type AgentCounts,
  applyToMeter,
  type MeterChange,
  MonthMeter,
  settleMeter,
  startMeter,
} from './month-meter.ts';
import { peakOfMonth } from './peak.ts';

const period = monthPeriod('2026-03', 'Europe/Rome');
const noAgents: AgentCounts = { server: 0, workstation: 0 };
const noPeak = { peak: 0, at: null };

const at = (day: number): string => `2026-03-${String(day).padStart(2, '0')}T12:00:00.000Z`;
const server = (day: number, delta: 1 | -1): MeterChange => ({ at: at(day), kind: 'server', delta });

function meterAfter(counts: AgentCounts, changes: readonly MeterChange[]): MonthMeter {
  return changes.reduce(applyToMeter, startMeter(period.start, counts));
}

/** Agents deployed before the period, and those still there as it begins. */
function carriedIn(intervals: readonly DeployedInterval[]): AgentCounts {
  const counts = { ...noAgents };
  for (const { kind, deployedAt, removedAt } of intervals) {
    if (deployedAt < period.start && (removedAt === null || removedAt >= period.start)) counts[kind] += 1;
  }
  return counts;
}

function changesOf(intervals: readonly DeployedInterval[]): MeterChange[] {
  return intervals
    .flatMap(({ kind, deployedAt, removedAt }): MeterChange[] => [
      { at: deployedAt, kind, delta: 1 },
      ...(removedAt === null ? [] : [{ at: removedAt, kind, delta: -1 as const }]),
    ])
    .filter((change) => period.start <= change.at && change.at < period.end);
}

describe('MonthMeter', () => {
  it('settles to zero when nothing was deployed', () => {
    expect(settleMeter(startMeter(period.start, noAgents))).toEqual({ server: noPeak, workstation: noPeak });
  });

  it('takes what was deployed before the period from its start', () => {
    expect(settleMeter(startMeter(period.start, { server: 2, workstation: 0 }))).toEqual({
      server: { peak: 2, at: period.start },
      workstation: noPeak,
    });
  });

  it('does not count at the start what is removed at the start', () => {
    const meter = meterAfter({ server: 2, workstation: 0 }, [{ at: period.start, kind: 'server', delta: -1 }]);
    expect(settleMeter(meter).server).toEqual({ peak: 1, at: period.start });
  });

  it('does not rise when an agent is deployed and removed within one millisecond', () => {
    expect(settleMeter(meterAfter(noAgents, [server(3, 1), server(3, -1), server(5, 1)])).server).toEqual({
      peak: 1,
      at: at(5),
    });
    expect(settleMeter(meterAfter(noAgents, [server(3, -1), server(3, 1)])).server).toEqual(noPeak);
  });

  it('does not rise when a machine is swapped, the new one being recorded first', () => {
    expect(settleMeter(meterAfter(noAgents, [server(1, 1), server(9, 1), server(9, -1)])).server).toEqual({
      peak: 1,
      at: at(1),
    });
  });

  it('settles the instant of the last change only when asked, and can go on after', () => {
    const meter = meterAfter(noAgents, [server(3, 1)]);
    expect(meter.server).toEqual({ count: 1, peak: 0, peakAt: null });
    expect(settleMeter(meter).server).toEqual({ peak: 1, at: at(3) });
    expect(settleMeter(applyToMeter(meter, server(3, 1))).server).toEqual({ peak: 2, at: at(3) });
  });

  it('leaves the meter it was given as it was', () => {
    const meter = startMeter(period.start, { server: 1, workstation: 1 });
    const before = structuredClone(meter);
    applyToMeter(meter, server(3, 1));
    expect(meter).toEqual(before);
  });

  it('refuses a change earlier than the last', () => {
    expect(() => meterAfter(noAgents, [server(5, 1), server(4, 1)])).toThrow(RangeError);
    expect(() => meterAfter(noAgents, [{ at: '2026-02-28T22:59:59.999Z', kind: 'server', delta: 1 }])).toThrow(
      RangeError,
    );
  });

  it('refuses to settle an instant that leaves fewer agents than none', () => {
    const meter = meterAfter(noAgents, [server(5, -1)]);
    expect(() => settleMeter(meter)).toThrow(RangeError);
    expect(() => applyToMeter(meter, server(6, 1))).toThrow(RangeError);
    expect(settleMeter(applyToMeter(meter, server(5, 1))).server).toEqual(noPeak);
  });

  it('reaches the peaks of the batch computation, in whatever order the changes of one instant come', () => {
    const feeds = arbitraryIntervals(period).chain((intervals) => {
      const changes = changesOf(intervals);
      return fc.shuffledSubarray(changes, { minLength: changes.length }).map((shuffled) => ({
        intervals,
        changes: shuffled.sort((a, b) => Number(a.at > b.at) - Number(a.at < b.at)),
      }));
    });
    fc.assert(
      fc.property(feeds, ({ intervals, changes }) => {
        const { server, workstation } = peakOfMonth(intervals, period);
        expect(settleMeter(meterAfter(carriedIn(intervals), changes))).toEqual({
          server: { peak: server.peak, at: server.at },
          workstation: { peak: workstation.peak, at: workstation.at },
        });
      }),
      { numRuns: 2000 },
    );
  });

  it('goes on from its stored form as from itself', () => {
    fc.assert(
      fc.property(arbitraryIntervals(period), (intervals) => {
        const changes = changesOf(intervals).sort((a, b) => Number(a.at > b.at) - Number(a.at < b.at));
        const stored = changes.reduce(
          (meter, change) => MonthMeter.parse(JSON.parse(JSON.stringify(applyToMeter(meter, change)))),
          startMeter(period.start, carriedIn(intervals)),
        );
        expect(stored).toEqual(meterAfter(carriedIn(intervals), changes));
      }),
    );
  });
});
