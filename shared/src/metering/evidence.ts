/**
 * Owns what a Deployed Agents Report shows beside its peaks: per endpoint the intervals deployed and the days (domain.md,
 * section 2). The report around it belongs to `ledger/report.ts`.
 */
import { z } from 'zod';
import { AgentKind } from '../domain/agent-kind.ts';
import { EndpointId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { monthOf, type Period } from '../domain/month.ts';
import type { TimeZone } from '../domain/time-zone.ts';
import { daysTouched } from './active-days.ts';
import { clipToPeriod, type DeployedInterval } from './interval.ts';

/** More than fit into the largest report at all; an endpoint changes a few times a month. */
const intervalsPerEndpointMax = 10_000;

/**
 * `intervals` keep their true instants, in order of their start; `removedAt` is null where the agent still stood deployed
 * at the period's end, whatever came after. `days`: calendar days of the site's zone with the agent deployed.
 */
export const EvidenceRow = z.object({
  endpoint: EndpointId,
  intervals: z
    .array(z.object({ kind: AgentKind, deployedAt: Instant, removedAt: Instant.nullable() }))
    .min(1)
    .max(intervalsPerEndpointMax),
  days: z.int().min(1).max(31),
});
export type EvidenceRow = z.infer<typeof EvidenceRow>;

/**
 * One row for each endpoint that was deployed within the period, ascending by code unit. The period is a month in the
 * zone, or the part of one that a site lived; days after the month of its start are not counted.
 */
export function evidenceOfMonth(intervals: readonly DeployedInterval[], period: Period, zone: TimeZone): EvidenceRow[] {
  const rows = new Map<string, { intervals: EvidenceRow['intervals']; clipped: Period[] }>();
  for (const { endpoint, kind, deployedAt, removedAt } of intervals) {
    const clipped = clipToPeriod(deployedAt, removedAt, period);
    if (clipped === null) continue;
    const row = rows.get(endpoint) ?? { intervals: [], clipped: [] };
    // The report tells what was known at the period's end, however late it is sealed.
    const removedInPeriod = removedAt !== null && removedAt < period.end ? removedAt : null;
    row.intervals.push({ kind, deployedAt, removedAt: removedInPeriod });
    row.clipped.push(clipped);
    rows.set(endpoint, row);
  }
  const month = monthOf(period.start, zone);
  return [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([endpoint, row]) => ({
      endpoint,
      intervals: row.intervals.sort(inOrder),
      days: daysTouched(
        row.clipped.map(({ start, end }) => ({ from: start, to: end })),
        month,
        zone,
      ),
    }));
}

/** By start, then kind and end, so that the same intervals make the same row whatever order they came in. */
function inOrder(a: EvidenceRow['intervals'][number], b: EvidenceRow['intervals'][number]): number {
  const [before, after] = [sortKey(a), sortKey(b)];
  return before < after ? -1 : Number(before > after);
}

function sortKey({ kind, deployedAt, removedAt }: EvidenceRow['intervals'][number]): string {
  return `${deployedAt} ${kind} ${removedAt ?? ''}`;
}
