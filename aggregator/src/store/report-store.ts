/**
 * Deployed Agents Reports as rows: every site and month of its life up to now, whether anything came or not. The months are
 * walked here, newest first, one query each, so that a page costs the same at any age of the database.
 */
import type { ReportRow } from '@rollcall/shared/api/report.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { firstMonth, lastMonth, Month, monthOf, monthPeriod, previousMonth } from '@rollcall/shared/domain/month.ts';
import { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { afterThisTurn } from '@rollcall/shared/node/clock.ts';
import type { ExpressionBuilder, InferResult } from 'kysely';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { badCursor, decodeCursor, encodeCursor, pageOfRows } from './cursor.ts';
import type { Engine } from './engine.ts';
import type { ReportRevisionRow, Tables } from './schema.ts';
import { withinPath } from './scope-filter.ts';
import { carriedCounts, countsOf, reportedOf, siteMonths, sitesBelow } from './site-months.ts';
import { deploymentOf } from './site-store.ts';
import type { ReportRevision, ReportStore } from './store.ts';

/** The last row's month and site; the month alone where all of those before it were walked. */
const ReportCursor = z.union([z.tuple([Month, z.string().regex(/^[a-z]+_[0-9a-z]+$/)]), z.tuple([Month])]);

/**
 * Months walked for one page of many sites by status: few may have it, so a page may hold fewer rows than its limit, or none, and
 * still have a next one. At 10,000 sites a month takes a thirtieth of a second, in which SQLite serves nobody else.
 */
const monthsPerPageMax = 12;

/** Names of sites are unique within their MSP, so these four order all rows of a month. */
const orderColumns = ['organisations.name_key', 'organisations.id', 'accounts.name_key', 'sites.name_key'] as const;

type MonthRow = InferResult<ReturnType<typeof siteMonths>>[number] & { month: Month; running: boolean };
type ReportFilter = Parameters<ReportStore['reportRows']>[1];

export function reportStore(engine: Engine): ReportStore {
  const { db } = engine;

  return {
    async reportRows(scope, filter, now, page) {
      const start = page.cursor === undefined ? undefined : await startOf(scope, page.cursor);
      const zones = await zonesAt(now);
      const walk = await monthsToWalk(scope, filter, zones, start?.month);
      const monthsMax = filter.status === undefined || filter.siteId !== undefined ? walk.length : monthsPerPageMax;
      const rows: MonthRow[] = [];
      for (const [index, month] of walk.entries()) {
        if (rows.length > page.limit) break;
        if (index === monthsMax) return { rows: rows.map(reportRowOf), nextCursor: encodeCursor([month]) };
        // Others are served between two months; SQLite's queries hold the event loop.
        if (index > 0) await new Promise<void>((resolve) => afterThisTurn(resolve));
        const running = zonesWhere(zones, (current) => current === month);
        let query = monthQuery(scope, filter, month, zones, running);
        if (start?.month === month && start.after !== undefined) {
          const { msp_key, msp_id, account_key, site_key } = start.after;
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

  /** Where a cursor goes on. What its row sorts by is looked up within the scope: a foreign row must not tell where it would stand. */
  async function startOf(scope: Scope, cursor: string) {
    const [month, siteId] = decodeCursor(ReportCursor, cursor);
    if (siteId === undefined) return { month, after: undefined };
    const keys = sitesBelow(db, scope.path, { siteId }).select([
      'organisations.name_key as msp_key',
      'organisations.id as msp_id',
      'accounts.name_key as account_key',
      'sites.name_key as site_key',
    ]);
    const row = await engine.first(keys);
    if (row === undefined) throw badCursor();
    return { month, after: row };
  }

  /**
   * Months that may hold rows, newest first: from now, the last month that a site lived or the cursor's, back to the first that one
   * lived.
   */
  async function monthsToWalk(
    scope: Scope,
    filter: ReportFilter,
    zones: Map<string, Month>,
    startMonth: Month | undefined,
  ): Promise<Month[]> {
    const lives = sitesBelow(db, scope.path, filter).select((eb) => [
      eb.fn.min('sites.first_month').as('oldest'),
      eb.fn.max(eb.fn.coalesce('sites.last_month', eb.val(lastMonth))).as('newest'),
    ]);
    const life = await engine.first(lives);
    const current = [...zones.values()].reduce((latest, month) => (month > latest ? month : latest), firstMonth);
    if (life === undefined || life.oldest === null || life.newest === null) return [];
    const { oldest, newest } = life;
    let month = [current, newest, startMonth ?? lastMonth].reduce((least, each) => (each < least ? each : least));
    if (filter.month !== undefined) return filter.month <= month && filter.month >= oldest ? [filter.month] : [];
    const months: Month[] = [];
    for (; month > oldest; month = previousMonth(month)) months.push(month);
    if (month === oldest) months.push(month);
    if (filter.status !== 'running') return months;
    const runs = new Set(zones.values());
    return months.filter((each) => runs.has(each));
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
        // As it stands in the condition of the index of those that differ.
        return query.where((eb) => eb('report_revisions.agreeing', '=', eb.lit(0)));
      case 'running':
        return query
          .where(unreported(month))
          .where((eb) => (running.length > 0 ? eb('sites.time_zone', 'in', running) : eb.lit(false)));
      case 'missing':
        query = query.where(unreported(month));
        return running.length > 0 ? query.where('sites.time_zone', 'not in', running) : query;
    }
  }
}

/** Asked of the site before anything is joined to it: nearly all sites have reported nearly all months. */
const unreported = (month: Month) => (eb: ExpressionBuilder<Tables, 'sites'>) =>
  eb.not(
    eb.exists(
      eb
        .selectFrom('report_revisions as came')
        .select('came.revision')
        .whereRef('came.site_id', '=', 'sites.id')
        .where('came.month', '=', month),
    ),
  );

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
