/**
 * Owns the figure that is billed under `metered-peak`: the highest number of agents deployed at one time, with its
 * witness (domain.md, section 2, "Precise counting"). Computed here from whole intervals; `month-meter.ts` reaches the
 * same peaks entry by entry.
 */
import type { AgentKind } from '../domain/agent-kind.ts';
import type { Instant } from '../domain/instant.ts';
import type { Period } from '../domain/month.ts';
import { clipToPeriod, type DeployedInterval } from './interval.ts';

/**
 * `at`: the earliest instant of the maximum within the period. `endpoints`: who stood deployed then, ascending by code
 * unit. A peak of 0 has no witness: `at` is null and `endpoints` empty.
 */
export type KindPeak = { peak: number; at: Instant | null; endpoints: string[] };

/**
 * The peaks of a period, each kind for itself. What was deployed when the period began counts from its start; at one
 * instant, removals come before deployments, so that an interval without length counts nothing.
 */
export function peakOfMonth(intervals: readonly DeployedInterval[], period: Period): Record<AgentKind, KindPeak> {
  const present: Record<AgentKind, Presence[]> = { server: [], workstation: [] };
  for (const { endpoint, kind, deployedAt, removedAt } of intervals) {
    const clipped = clipToPeriod(deployedAt, removedAt, period);
    if (clipped !== null) present[kind].push({ endpoint, ...clipped });
  }
  return { server: peakOf(present.server), workstation: peakOf(present.workstation) };
}

/** An interval of one kind within the period, not empty. */
type Presence = Period & { endpoint: string };

function peakOf(present: readonly Presence[]): KindPeak {
  const starts = present.map(({ start }) => start).sort();
  const ends = present.map(({ end }) => end).sort();
  let peak = 0;
  let at: Instant | null = null;
  let ended = 0;
  for (const [index, start] of starts.entries()) {
    for (let end = ends[ended]; end !== undefined && end <= start; end = ends[ended]) ended++;
    // Several that start together are candidates one after the other; the last of them has the instant's true count.
    const count = index + 1 - ended;
    if (count > peak) {
      peak = count;
      at = start;
    }
  }
  return { peak, at, endpoints: at === null ? [] : endpointsAt(present, at) };
}

/** Sorted by code unit, which is what `sort` does unless told otherwise. */
function endpointsAt(present: readonly Presence[], at: Instant): string[] {
  return present
    .filter(({ start, end }) => start <= at && at < end)
    .map(({ endpoint }) => endpoint)
    .sort();
}
