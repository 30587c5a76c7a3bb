// Runs the metering of shared/ against the published cases: peaks with their witness, and active days of product keys.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import { Instant } from '@rollcall/shared/domain/instant.ts';
import { Month, monthPeriod, Period } from '@rollcall/shared/domain/month.ts';
import { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import { activeDays } from '@rollcall/shared/metering/active-days.ts';
import { DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import { applyToMeter, type MeterChange, settleMeter, startMeter } from '@rollcall/shared/metering/month-meter.ts';
import { peakOfMonth } from '@rollcall/shared/metering/peak.ts';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const ExpectedPeak = z.object({ peak: z.int(), at: Instant.nullable(), endpoints: z.array(z.string()) });

const PeakCase = z.object({
  name: z.string(),
  zone: TimeZone,
  month: Month,
  period: Period,
  intervals: z.array(DeployedInterval),
  expected: z.record(AgentKind, ExpectedPeak),
});
type PeakCase = z.infer<typeof PeakCase>;

const ActiveDaysCase = z.object({
  name: z.string(),
  zone: TimeZone,
  month: Month,
  active: z.array(z.object({ from: Instant, to: Instant.nullable() })),
  expected: z.object({ days: z.int(), billable: z.boolean() }),
});

/** The cases' months in which Morocco's law has moved the clocks since (see `zoneAsPublished`). */
const monthsMoved: ReadonlySet<Month> = new Set(['2026-10', '2026-11', '2027-10', '2030-03', '2030-04']);

const peakCases = z.array(PeakCase).parse(vectors('peaks.json'));
const activeDaysCases = z.array(ActiveDaysCase).parse(vectors('active-days.json'));

describe('peaks', () => {
  it('has all its cases', () => expect(peakCases).toHaveLength(150));

  it.each(peakCases)('$name: the period of $month in $zone', ({ month, zone, period }) => {
    expect(monthPeriod(month, zoneAsPublished(zone, month))).toEqual(period);
  });

  it.each(peakCases)('$name: peaks and witness', ({ intervals, period, expected }) => {
    expect(peakOfMonth(intervals, period)).toEqual(expected);
  });

  it.each(peakCases)('$name: the running meter', ({ intervals, period, expected }) => {
    const { server, workstation } = expected;
    expect(metered(intervals, period)).toEqual({
      server: { peak: server.peak, at: server.at },
      workstation: { peak: workstation.peak, at: workstation.at },
    });
  });
});

describe('active days', () => {
  it('has all its cases', () => expect(activeDaysCases).toHaveLength(150));

  it.each(activeDaysCases)('$name: $month in $zone', ({ active, month, zone, expected }) => {
    expect(activeDays(active, month, zoneAsPublished(zone, month))).toEqual(expected);
  });

  it('differ under the rules of today in one case at most', () => {
    const differing = activeDaysCases.filter(
      ({ active, month, zone, expected }) => !isDeepStrictEqual(activeDays(active, month, zone), expected),
    );
    expect(['days-11-106']).toEqual(expect.arrayContaining(differing.map(({ name }) => name)));
  });
});

/**
 * Morocco went back from UTC+1 to UTC on 2026-09-20 (tz database 2026c). The cases are older: in these months of theirs
 * Casablanca is an hour from where it is now, so they run in a zone that has stayed at UTC+1. That the product follows
 * Morocco is asserted beside `month.ts`.
 */
function zoneAsPublished(zone: TimeZone, month: Month): TimeZone {
  return zone === 'Africa/Casablanca' && monthsMoved.has(month) ? 'Africa/Lagos' : zone;
}

function vectors(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/metering/${file}`, import.meta.url), 'utf8'));
}

/** Feeds a meter as ingest would: what began before the period as counts, then every change in order of time. */
function metered(intervals: PeakCase['intervals'], period: Period): ReturnType<typeof settleMeter> {
  const counts = { server: 0, workstation: 0 };
  const changes: MeterChange[] = [];
  for (const { kind, deployedAt, removedAt } of intervals) {
    if (removedAt !== null && removedAt < period.start) continue;
    if (deployedAt < period.start) counts[kind] += 1;
    else changes.push({ at: deployedAt, kind, delta: 1 });
    if (removedAt !== null) changes.push({ at: removedAt, kind, delta: -1 });
  }
  const inOrder = changes.filter(({ at }) => at < period.end).sort((a, b) => Number(a.at > b.at) - Number(a.at < b.at));
  return settleMeter(inOrder.reduce(applyToMeter, startMeter(period.start, counts)));
}
