/**
 * One row for each site that lives in a month: its names, the latest revision of its report, and the aggregator's own
 * count. The one query behind report rows and billing, so that the portal and the invoice cannot disagree.
 */
import type { KindCounts } from '@rollcall/shared/api/site.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import type { TreePath } from '../core/scope.ts';
import type { QueryBuilder } from './engine.ts';
import { withinPath } from './scope-filter.ts';

export type SiteFilter = { siteId?: string | undefined; mspId?: string | undefined };

/** Sites below a path, with MSP and account joined. */
export function sitesBelow(db: QueryBuilder, path: TreePath, filter: SiteFilter) {
  let query = db
    .selectFrom('sites')
    .innerJoin('organisations', 'organisations.id', 'sites.msp_id')
    .innerJoin('accounts', 'accounts.id', 'sites.account_id')
    .where(withinPath(path));
  if (filter.siteId !== undefined) query = query.where('sites.id', '=', filter.siteId);
  if (filter.mspId !== undefined) query = query.where('sites.msp_id', '=', filter.mspId);
  return query;
}

/** A site is in a month from the first month of its life to the month of its closing, both included. */
export function siteMonths(db: QueryBuilder, path: TreePath, filter: SiteFilter, month: Month) {
  return sitesBelow(db, path, filter)
    .leftJoin('site_ingest', 'site_ingest.site_id', 'sites.id')
    .leftJoin('month_counts', (join) =>
      join.onRef('month_counts.site_id', '=', 'sites.id').on('month_counts.month', '=', month),
    )
    .leftJoin('report_revisions', (join) =>
      join
        .onRef('report_revisions.site_id', '=', 'sites.id')
        .on('report_revisions.month', '=', month)
        .on((eb) =>
          eb(
            'report_revisions.revision',
            '=',
            eb
              .selectFrom('report_revisions as newest')
              .select((inner) => inner.fn.max('newest.revision').as('revision'))
              .whereRef('newest.site_id', '=', 'sites.id')
              .where('newest.month', '=', month),
          ),
        ),
    )
    .where('sites.first_month', '<=', month)
    .where((eb) => eb.or([eb('sites.last_month', 'is', null), eb('sites.last_month', '>=', month)]))
    .select([
      'sites.id as site_id',
      'sites.name as site_name',
      'sites.time_zone',
      'accounts.id as account_id',
      'accounts.name as account_name',
      'organisations.id as msp_id',
      'organisations.name as msp_name',
      'site_ingest.head_seq',
      'site_ingest.month as meter_month',
      'site_ingest.server_count',
      'site_ingest.workstation_count',
      'month_counts.server_peak as counted_server',
      'month_counts.workstation_peak as counted_workstation',
      'report_revisions.revision',
      'report_revisions.agreeing',
      'report_revisions.received_at',
      'report_revisions.server_peak as reported_server',
      'report_revisions.workstation_peak as reported_workstation',
    ]);
}

type Meter = { month: Month | null; server_count: number | null; workstation_count: number | null };
type CountedMonth = Omit<Meter, 'month'> & {
  meter_month: Month | null;
  counted_server: number | null;
  counted_workstation: number | null;
};

/** The own count of a month. */
export function countsOf(row: CountedMonth, month: Month): KindCounts {
  if (row.counted_server !== null && row.counted_workstation !== null)
    return { server: row.counted_server, workstation: row.counted_workstation };
  return carriedCounts({ ...row, month: row.meter_month }, month);
}

/**
 * The own count of a month that has none: after the last entry received, what stood deployed then is carried, because
 * silence removes nobody; before the first, nobody stood.
 */
export function carriedCounts(meter: Meter | undefined, month: Month): KindCounts {
  if (meter === undefined || meter.month === null || meter.month >= month) return { server: 0, workstation: 0 };
  return { server: Math.max(0, meter.server_count ?? 0), workstation: Math.max(0, meter.workstation_count ?? 0) };
}

/** The figures of the latest revision; null where none came. */
export function reportedOf(row: {
  revision: number | null;
  reported_server: number | null;
  reported_workstation: number | null;
}): (KindCounts & { revision: number }) | null {
  const { revision, reported_server, reported_workstation } = row;
  if (revision === null || reported_server === null || reported_workstation === null) return null;
  return { revision, server: reported_server, workstation: reported_workstation };
}
