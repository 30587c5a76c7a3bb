/**
 * Deployed Agents Reports as rows: every site and month of its life up to now, whether anything came or not. The months are
 * walked here, newest first, one query each, so that a page costs the same at any age of the database.
 */
import type { ReportRow } from '@rollcall/shared/api/report.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { firstMonth, Month, monthOf, monthPeriod, previousMonth } from '@rollcall/shared/domain/month.ts';
import { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import type { InferResult } from 'kysely';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { badCursor, decodeCursor, pageOfRows } from './cursor.ts';
import type { Engine } from './engine.ts';
import type { ReportRevisionRow } from './schema.ts';
import { withinPath } from './scope-filter.ts';
import { carriedCounts, countsOf, reportedOf, siteMonths, sitesBelow } from './site-months.ts';
import { deploymentOf } from './site-store.ts';
import type { ReportRevision, ReportStore } from './store.ts';

const ReportCursor = z.tuple([Month, z.string().regex(/^[a-z]+_[0-9a-z]+$/)]);

/** Names of sites are unique within their MSP, so these four order all rows of a month. */
const orderColumns = ['organisations.name_key', 'organisations.id', 'accounts.name_key', 'sites.name_key'] as const;

type MonthRow = InferResult<ReturnType<typeof siteMonths>>[number] & { month: Month; running: boolean };
type ReportFilter = Parameters<ReportStore['reportRows']>[1];

export function reportStore(engine: Engine): ReportStore {
  const { db } = engine;

  return {
    async reportRows(scope, filter, now, page) {
      const anchor = page.cursor === undefined ? undefined : await anchorOf(scope, page.cursor);
      const zones = await zonesAt(now);
      const walk = await monthsToWalk(scope, filter, zones, anchor?.month);
      const rows: MonthRow[] = [];
      for (const month of walk) {
        if (rows.length > page.limit) break;
        const running = zonesWhere(zones, (current) => current === month);
        let query = monthQuery(scope, filter, month, zones, running);
        if (anchor?.month === month) {
          const { msp_key, msp_id, account_key, site_key } = anchor;
          query = query.where((eb) =>
            eb(eb.refTuple(...orderColumns), '>', eb.tuple(msp_key, msp_id, account_key, site_key)),
          );
        }
        for (const column of orderColumns) query = query.orderBy(column);
        const found = await engine.all(query.limit(page.limit + 1 - rows.length));
        rows.push(...found.map((row) => ({ ...row, month, running: running.includes(row.time_zone) })));
      }
      return pageOfRows(rows, page.limit, reportRowOf, (row) => [row.month, row.site_id]);
    },

    async revisions(scope, siteId, month) {
      const site = db
        .selectFrom('sites')
        .innerJoin('organisations', 'organisations.id', 'sites.msp_id')
        .select('sites.id')
        .where(withinPath(scope.path));
      if ((await engine.first(site.where('sites.id', '=', siteId))) === undefined) return undefined;
      const revisions = db
        .selectFrom('report_revisions')
        .selectAll()
        .where('site_id', '=', siteId)
        .where('month', '=', month);
      return (await engine.all(revisions.orderBy('revision'))).map(revisionOf);
    },

    async intervals(siteId, from, to, limit, upToSeq = null) {
      let touching = db
        .selectFrom('deployments')
        .selectAll()
        .where('site_id', '=', siteId)
        .where('deployed_at', '<', to)
        .where((eb) =>
          eb.or([
            eb('removed_at', 'is', null),
            eb('removed_at', '>', from),
            ...(upToSeq === null ? [] : [eb('removed_seq', '>', upToSeq)]),
          ]),
        );
      if (upToSeq !== null) touching = touching.where('deployed_seq', '<=', upToSeq);
      const rows = await engine.all(touching.orderBy('deployed_seq').limit(limit));
      return rows.map((row) => {
        const isOpen = upToSeq !== null && row.removed_seq !== null && row.removed_seq > upToSeq;
        const removal = isOpen ? { removedAt: null, removedReason: null } : {};
        return { ...deploymentOf(row), ...removal, deployedSeq: row.deployed_seq };
      });
    },

    async ownCount(siteId, month) {
      const counted = await engine.first(
        db.selectFrom('month_counts').selectAll().where('site_id', '=', siteId).where('month', '=', month),
      );
      if (counted !== undefined)
        return {
          server: { peak: counted.server_peak, at: counted.server_peak_at },
          workstation: { peak: counted.workstation_peak, at: counted.workstation_peak_at },
        };
      const ingest = await engine.first(db.selectFrom('site_ingest').selectAll().where('site_id', '=', siteId));
      const { server, workstation } = carriedCounts(ingest, month);
      const start = monthPeriod(month, ingest?.time_zone ?? 'UTC').start;
      return {
        server: { peak: server, at: server === 0 ? null : start },
        workstation: { peak: workstation, at: workstation === 0 ? null : start },
      };
    },
  };

  /** Zones of all sites, each with the month it is there: two months at most, around a month's end. */
  async function zonesAt(now: Instant): Promise<Map<string, Month>> {
    const zones = await engine.all(db.selectFrom('sites').select('time_zone').distinct());
    return new Map(zones.map(({ time_zone }) => [time_zone, monthOf(now, time_zone)]));
  }

  /** What the row at a cursor sorts by, looked up within the scope: a foreign row must not tell where it would stand. */
  async function anchorOf(scope: Scope, cursor: string) {
    const [month, siteId] = decodeCursor(ReportCursor, cursor);
    const keys = sitesBelow(db, scope.path, { siteId }).select([
      'organisations.name_key as msp_key',
      'organisations.id as msp_id',
      'accounts.name_key as account_key',
      'sites.name_key as site_key',
    ]);
    const row = await engine.first(keys);
    if (row === undefined) throw badCursor();
    return { ...row, month };
  }

  /** Months a page may hold, newest first: from now, or the cursor's month, back to the first month that a site lived. */
  async function monthsToWalk(
    scope: Scope,
    filter: ReportFilter,
    zones: Map<string, Month>,
    anchorMonth: Month | undefined,
  ): Promise<Month[]> {
    const lives = sitesBelow(db, scope.path, filter).select((eb) => eb.fn.min('sites.first_month').as('month'));
    const oldest = (await engine.first(lives))?.month;
    let month = [...zones.values()].reduce((latest, current) => (current > latest ? current : latest), firstMonth);
    if (oldest === undefined || oldest === null) return [];
    if (anchorMonth !== undefined && anchorMonth < month) month = anchorMonth;
    if (filter.month !== undefined) return filter.month <= month && filter.month >= oldest ? [filter.month] : [];
    const months: Month[] = [];
    for (; month > oldest; month = previousMonth(month)) months.push(month);
    return month === oldest ? [...months, month] : months;
  }

  function monthQuery(scope: Scope, filter: ReportFilter, month: Month, zones: Map<string, Month>, running: string[]) {
    let query = siteMonths(db, scope.path, filter, month);
    const begun = zonesWhere(zones, (current) => current >= month);
    if (begun.length < zones.size) query = query.where('sites.time_zone', 'in', begun);
    switch (filter.status) {
      case undefined:
        return query;
      case 'agreeing':
        return query.where('report_revisions.agreeing', '=', 1);
      case 'differing':
        return query.where('report_revisions.agreeing', '=', 0);
      case 'running':
        return query
          .where('report_revisions.agreeing', 'is', null)
          .where((eb) => (running.length > 0 ? eb('sites.time_zone', 'in', running) : eb.lit(false)));
      case 'missing':
        query = query.where('report_revisions.agreeing', 'is', null);
        return running.length > 0 ? query.where('sites.time_zone', 'not in', running) : query;
    }
  }
}

const zonesWhere = (zones: Map<string, Month>, holds: (current: Month) => boolean): string[] =>
  [...zones].filter(([, current]) => holds(current)).map(([zone]) => zone);

function reportRowOf(row: MonthRow): ReportRow {
  const reported = reportedOf(row);
  const unreported = row.running ? 'running' : 'missing';
  return {
    siteId: row.site_id,
    siteName: row.site_name,
    accountId: row.account_id,
    accountName: row.account_name,
    mspId: row.msp_id,
    mspName: row.msp_name,
    month: row.month,
    timeZone: row.time_zone,
    status: reported === null ? unreported : row.agreeing === 1 ? 'agreeing' : 'differing',
    revision: reported?.revision ?? null,
    reported: reported && { server: reported.server, workstation: reported.workstation },
    counted: countsOf(row, row.month),
    receivedAt: row.received_at,
  };
}

const revisionOf = (row: ReportRevisionRow): ReportRevision => ({
  siteId: row.site_id,
  month: row.month,
  revision: row.revision,
  seq: row.seq,
  hash: row.hash,
  agreeing: row.agreeing === 1,
  receivedAt: row.received_at,
  report: DeployedAgentsReport.parse(JSON.parse(row.report)),
});
