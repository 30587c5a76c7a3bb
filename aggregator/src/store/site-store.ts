/** Sites as people see them: the rows, their deployments and findings. How a site enrols is enrolment-store.ts. */
import { type Deployment, type Finding, type Site, siteFlags } from '@rollcall/shared/api/site.ts';
import { Instant } from '@rollcall/shared/domain/instant.ts';
import { monthOf } from '@rollcall/shared/domain/month.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { sql } from 'kysely';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { decodeCursor, pageOfRows } from './cursor.ts';
import type { Engine, QueryBuilder, Step } from './engine.ts';
import { latestOfEach } from './latest.ts';
import { nameKey } from './name-key.ts';
import { lockSites } from './row-locks.ts';
import type { DeploymentRow, FindingRow, SiteRow } from './schema.ts';
import { organisationsWithin, withinPath } from './scope-filter.ts';
import type { SiteStore } from './store.ts';
import { anchor } from './tenancy-store.ts';

/** Number of the entry that began the last deployment of a page. */
const SeqCursor = z.tuple([z.int().positive()]);
/** Identifiers of findings are drawn by ingest too, from what was found. */
const FindingCursor = z.tuple([Instant, z.string().regex(/^[0-9A-Za-z_-]{1,64}$/)]);

/** Contacts written by one statement. */
const contactsAtOnce = 500;

export function siteStore(engine: Engine): Omit<SiteStore, 'enrolmentView' | 'applyEnrolment' | 'session'> {
  const { db } = engine;
  const inScope = (scope: Scope) => siteQuery(db).where(withinPath(scope.path));
  const find = async (scope: Scope, id: string): Promise<Site | undefined> => {
    const row = await engine.first(inScope(scope).where('sites.id', '=', id));
    return row && siteOf(row);
  };
  const updateWithin = (scope: Scope, id: string) =>
    db.updateTable('sites').where('id', '=', id).where('msp_id', 'in', organisationsWithin(scope.path));

  return {
    async createSite(site) {
      const done = await engine.batch([
        { run: db.insertInto('sites').values(siteRow(site, null)), taken: 'NAME_TAKEN' as const },
      ]);
      return done.ok ? { ok: true } : refuse('NAME_TAKEN', 'the MSP has a site of this name already');
    },

    site: find,

    async sites(scope, filter, page) {
      let query = inScope(scope);
      if (filter.accountId !== undefined) query = query.where('sites.account_id', '=', filter.accountId);
      if (filter.mspId !== undefined) query = query.where('sites.msp_id', '=', filter.mspId);
      if (filter.flagged !== undefined) query = query.where('sites.flag', filter.flagged ? 'is not' : 'is', null);
      const after = await anchor(page, (id) => engine.first(inScope(scope).where('sites.id', '=', id)));
      if (after !== undefined)
        query = query.where((eb) =>
          eb(eb.refTuple('sites.name_key', 'sites.id'), '>', eb.tuple(after.name_key, after.id)),
        );
      const rows = await engine.all(
        query
          .orderBy('sites.name_key')
          .orderBy('sites.id')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, siteOf, (row) => [row.id]);
    },

    async changeSite(scope, id, change) {
      const values = {
        ...(change.settings === undefined ? {} : { settings: JSON.stringify(change.settings) }),
        ...(change.note === undefined ? {} : { note: change.note }),
      };
      if (Object.keys(values).length > 0) await engine.batch([{ run: updateWithin(scope, id).set(values) }]);
      return find(scope, id);
    },

    async closeSite(scope, id, at) {
      const site = await find(scope, id);
      if (site === undefined) return undefined;
      const close = updateWithin(scope, id)
        .set({ closed_at: at, last_month: monthOf(at, site.timeZone) })
        .where('closed_at', 'is', null);
      await engine.batch([{ run: close }]);
      return find(scope, id);
    },

    async deployments(scope, siteId, filter, page) {
      if ((await find(scope, siteId)) === undefined) return undefined;
      let query = db.selectFrom('deployments').selectAll().where('site_id', '=', siteId);
      if (filter.current) query = query.where('removed_at', 'is', null);
      if (page.cursor !== undefined) query = query.where('deployed_seq', '<', decodeCursor(SeqCursor, page.cursor)[0]);
      const rows = await engine.all(query.orderBy('deployed_seq', 'desc').limit(page.limit + 1));
      return pageOfRows(rows, page.limit, deploymentOf, (row) => [row.deployed_seq]);
    },

    async findings(scope, filter, page) {
      let query = db
        .selectFrom('findings')
        .innerJoin('sites', 'sites.id', 'findings.site_id')
        .innerJoin('organisations', 'organisations.id', 'sites.msp_id')
        .selectAll('findings')
        .where(withinPath(scope.path));
      if (filter.siteId !== undefined) query = query.where('findings.site_id', '=', filter.siteId);
      if (filter.open !== undefined) query = query.where('findings.resolved_at', filter.open ? 'is' : 'is not', null);
      if (page.cursor !== undefined) {
        const [at, id] = decodeCursor(FindingCursor, page.cursor);
        query = query.where((eb) => eb(eb.refTuple('findings.at', 'findings.id'), '<', eb.tuple(at, id)));
      }
      const rows = await engine.all(
        query
          .orderBy('findings.at', 'desc')
          .orderBy('findings.id', 'desc')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, findingOf, (row) => [row.at, row.id]);
    },

    async flagSite(siteId, flag, finding) {
      // The update locks the site's row, so that of two at once the second sees the first one's finding.
      const openOne = db
        .selectFrom('findings')
        .select('findings.id')
        .where((eb) =>
          eb.or([
            eb('id', '=', finding.id),
            eb.and([eb('site_id', '=', siteId), eb('code', '=', finding.code), eb('resolved_at', 'is', null)]),
          ]),
        );
      const insert = db
        .insertInto('findings')
        .columns(['id', 'site_id', 'code', 'message', 'at', 'resolved_at'])
        .expression((eb) =>
          eb
            .selectFrom('sites')
            .select([
              eb.cast<string>(eb.val(finding.id), 'text').as('finding_id'),
              'sites.id as site_id',
              eb.cast<string>(eb.val(finding.code), 'text').as('code'),
              eb.cast<string>(eb.val(finding.message), 'text').as('message'),
              eb.cast<string>(eb.val(finding.at), 'text').as('at'),
              sql<null>`null`.as('resolved_at'),
            ])
            .where('sites.id', '=', siteId)
            .where((inner) => inner.not(inner.exists(openOne))),
        );
      await engine.batch([
        { run: db.updateTable('sites').set({ flag }).where('id', '=', siteId), rows: 1 },
        { run: insert },
      ]);
    },

    async clearFlag(scope, siteId, at) {
      if ((await find(scope, siteId)) === undefined) return undefined;
      await engine.batch([
        { run: updateWithin(scope, siteId).set({ flag: null }), rows: 1 },
        { run: resolveRefusals(db, siteId, at) },
      ]);
      return find(scope, siteId);
    },

    async recordContacts(contacts) {
      const latest = latestOfEach(
        contacts,
        ({ siteId }) => siteId,
        ({ at }) => at,
      );
      if (latest.length === 0) return;
      const steps: Step[] = lockSites(
        engine,
        latest.map(({ siteId }) => siteId),
      );
      for (let start = 0; start < latest.length; start += contactsAtOnce) {
        const rows = latest
          .slice(start, start + contactsAtOnce)
          .map(({ siteId, at, software }) => sql`(${siteId}, ${at}, ${software})`);
        steps.push({
          run: sql`UPDATE sites SET
              last_contact_at = CASE WHEN last_contact_at > heard.column2 THEN last_contact_at ELSE heard.column2 END,
              software = coalesce(heard.column3, software)
            FROM (VALUES ${sql.join(rows)}) AS heard WHERE sites.id = heard.column1`.compile(db),
        });
      }
      await engine.batch(steps);
    },
  };
}

/** Marks the findings of a site's refusals as seen to. Others stay open: lifting a flag says nothing about a report that differs. */
export const resolveRefusals = (db: QueryBuilder, siteId: string, at: Instant) =>
  db
    .updateTable('findings')
    .set({ resolved_at: at })
    .where('site_id', '=', siteId)
    .where('code', 'in', siteFlags)
    .where('resolved_at', 'is', null);

/** Sites with what the ledger says of them, joined with their MSP for the scope. */
export const siteQuery = (db: QueryBuilder) =>
  db
    .selectFrom('sites')
    .innerJoin('organisations', 'organisations.id', 'sites.msp_id')
    .leftJoin('site_ingest', 'site_ingest.site_id', 'sites.id')
    .selectAll('sites')
    .select(['site_ingest.head_seq', 'site_ingest.server_count', 'site_ingest.workstation_count']);

export type SiteWithLedger = SiteRow & {
  head_seq: number | null;
  server_count: number | null;
  workstation_count: number | null;
};

export const siteOf = (row: SiteWithLedger): Site => ({
  id: row.id,
  mspId: row.msp_id,
  accountId: row.account_id,
  name: row.name,
  timeZone: row.time_zone,
  note: row.note,
  settings: SiteSettings.parse(JSON.parse(row.settings)),
  createdAt: row.created_at,
  enrolledAt: row.enrolled_at,
  closedAt: row.closed_at,
  software: row.software,
  lastContactAt: row.last_contact_at,
  ledger: { seq: row.head_seq ?? 0 },
  // Between two entries of one instant a count may stand below zero for a moment.
  deployed: { server: Math.max(0, row.server_count ?? 0), workstation: Math.max(0, row.workstation_count ?? 0) },
  flag: row.flag,
});

export const siteRow = (site: Site, madeByTokenId: string | null): SiteRow => ({
  id: site.id,
  msp_id: site.mspId,
  account_id: site.accountId,
  name: site.name,
  name_key: nameKey(site.name),
  time_zone: site.timeZone,
  note: site.note,
  settings: JSON.stringify(site.settings),
  created_at: site.createdAt,
  enrolled_at: site.enrolledAt,
  first_month: site.enrolledAt === null ? null : monthOf(site.enrolledAt, site.timeZone),
  closed_at: site.closedAt,
  last_month: site.closedAt === null ? null : monthOf(site.closedAt, site.timeZone),
  software: site.software,
  last_contact_at: site.lastContactAt,
  flag: site.flag,
  public_key: null,
  made_by_token_id: madeByTokenId,
  commands_queued: 0,
});

export const deploymentOf = (row: DeploymentRow): Deployment => ({
  endpointId: row.endpoint_id,
  hostName: row.host_name,
  machineId: row.machine_id,
  kind: row.kind,
  origin: row.origin,
  agentVersion: row.agent_version,
  deployedAt: row.deployed_at,
  removedAt: row.removed_at,
  removedReason: row.removed_reason,
});

const findingOf = (row: FindingRow): Finding => ({
  id: row.id,
  siteId: row.site_id,
  code: row.code,
  message: row.message,
  at: row.at,
  resolvedAt: row.resolved_at,
});
