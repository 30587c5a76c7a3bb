/**
 * Owns the running meter of one month at one site: the counts and peaks so far, brought forward by each entry in constant
 * time. Both sides keep one and reach the figures of `peak.ts`; which entries change a count belongs to `ledger/`.
 */
import { z } from 'zod';
import { type AgentKind, agentKinds } from '../domain/agent-kind.ts';
import { Instant } from '../domain/instant.ts';

const KindMeter = z.object({
  /** Agents deployed after all changes so far; below zero only between two changes at one instant. */
  count: z.int(),
  /** The highest count among the instants that are settled. */
  peak: z.int().nonnegative(),
  /** The earliest instant of `peak`; null while it is 0. */
  peakAt: Instant.nullable(),
});
type KindMeter = z.infer<typeof KindMeter>;

/**
 * `instant` is not settled yet: more changes may come at it. The count at an instant is the one after all its changes, so
 * it is taken for a peak only when a later change arrives or the month is settled. An agent deployed and removed within
 * one millisecond therefore never raises a peak.
 */
export const MonthMeter = z.object({ instant: Instant, server: KindMeter, workstation: KindMeter });
export type MonthMeter = z.infer<typeof MonthMeter>;

export type AgentCounts = Record<AgentKind, number>;
export type MeterChange = { at: Instant; kind: AgentKind; delta: 1 | -1 };

/** A meter at the start of a period, with the agents that were deployed before it. */
export function startMeter(periodStart: Instant, counts: AgentCounts): MonthMeter {
  const kindMeter = (count: number): KindMeter => ({ count, peak: 0, peakAt: null });
  return { instant: periodStart, server: kindMeter(counts.server), workstation: kindMeter(counts.workstation) };
}

/**
 * The meter after one change; the one given stays as it was. A change at or after the period's end belongs to the next
 * month's meter, which the caller starts.
 * @throws RangeError when the change is earlier than `meter.instant`, or when it settles an instant at which more agents
 * were removed than stood deployed.
 */
export function applyToMeter(meter: MonthMeter, change: MeterChange): MonthMeter {
  if (change.at < meter.instant) throw new RangeError(`a change at ${change.at} comes after one at ${meter.instant}`);
  const current = change.at > meter.instant ? settleInstant(meter, change.at) : meter;
  const kindMeter = current[change.kind];
  return { ...current, [change.kind]: { ...kindMeter, count: kindMeter.count + change.delta } };
}

/**
 * The peaks of the month, once all its changes were applied.
 * @throws RangeError when more agents were removed at the last instant than stood deployed.
 */
export function settleMeter(meter: MonthMeter): Record<AgentKind, { peak: number; at: Instant | null }> {
  const { server, workstation } = settleInstant(meter, meter.instant);
  return {
    server: { peak: server.peak, at: server.peakAt },
    workstation: { peak: workstation.peak, at: workstation.peakAt },
  };
}

function settleInstant(meter: MonthMeter, next: Instant): MonthMeter {
  for (const kind of agentKinds) {
    if (meter[kind].count < 0) throw new RangeError(`${meter[kind].count} agents of kind ${kind} at ${meter.instant}`);
  }
  return {
    instant: next,
    server: settleKind(meter.server, meter.instant),
    workstation: settleKind(meter.workstation, meter.instant),
  };
}

function settleKind(kindMeter: KindMeter, instant: Instant): KindMeter {
  return kindMeter.count > kindMeter.peak ? { ...kindMeter, peak: kindMeter.count, peakAt: instant } : kindMeter;
}
