/** The plain recount of all months of a site that are over: what reports, the aggregator's count and invoices are held against. */
import type { Kind, RecountedPeak } from './ground-truth.ts';
import type { SimulatedSite } from './world.ts';

/** The billed figures of a site's month by the plain recount: as sealed, and after corrections. */
export type Recount = { sealed: Record<Kind, RecountedPeak>; corrected: Record<Kind, RecountedPeak> };
export type Recounts = Map<string, Map<string, Recount>>;

export function recountSite({ record: { truth }, excluded }: SimulatedSite, nowMs: number): Map<string, Recount> {
  const intervals = truth.intervals(nowMs);
  const of = (month: string, without?: ReadonlySet<string>): Record<Kind, RecountedPeak> => ({
    server: truth.recount(intervals, month, 'server', without),
    workstation: truth.recount(intervals, month, 'workstation', without),
  });
  return new Map(
    truth.monthsOver(nowMs).map((month) => [month, { sealed: of(month), corrected: of(month, excluded.get(month)) }]),
  );
}
