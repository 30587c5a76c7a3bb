/** What is known of a site for reading: its deployments, its findings, the entries of its ledger as they are held here. */
import { HeldEntry } from '@rollcall/shared/api/ledger.ts';
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { Deployment, Finding } from '@rollcall/shared/api/site.ts';
import { SiteId } from '@rollcall/shared/domain/id.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { z } from 'zod';
import type { LogRow } from '../core/ingest-plan.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const SiteParams = z.object({ siteId: SiteId });
const noSuchSite = refuse('NOT_FOUND', 'there is no site with this identifier');
const Flag = z.enum(['true', 'false']);

export function siteRecordRoutes(api: Api, { store }: Pick<RouteDeps, 'store'>): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/sites/{siteId}/deployments',
      action: 'site.read',
      tag: 'sites',
      summary: 'Lists the deployed agents of a site, or all that ever were',
      params: SiteParams,
      query: PageQuery.extend({ current: Flag.default('true') }),
      answer: pageOf(Deployment),
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, query: { current, ...page } }) => {
      const deployments = await store.sites.deployments(
        caller.scope,
        params.siteId,
        { current: current === 'true' },
        page,
      );
      return deployments === undefined ? noSuchSite : { ok: true, answer: deployments };
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/findings',
      action: 'site.read',
      tag: 'sites',
      summary: 'Lists what operators should look at',
      query: PageQuery.extend({ siteId: SiteId.optional(), open: Flag.optional() }),
      answer: pageOf(Finding),
    },
    async ({ caller, query: { siteId, open, ...page } }) => ({
      ok: true,
      answer: await store.sites.findings(
        caller.scope,
        { siteId, open: open === undefined ? undefined : open === 'true' },
        page,
      ),
    }),
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/sites/{siteId}/entries',
      action: 'site.read',
      tag: 'sites',
      summary: 'Lists the entries of a site’s ledger in order, as they are held here',
      params: SiteParams,
      query: PageQuery,
      answer: pageOf(HeldEntry),
      refusals: ['NOT_FOUND', 'CURSOR_INVALID'],
    },
    async ({ caller, params, query: { cursor, limit } }) => {
      if (cursor !== undefined && !/^[1-9]\d{0,14}$/.test(cursor))
        return refuse('CURSOR_INVALID', 'the cursor is not one that was handed out here');
      const rows = await store.ingest.entries(caller.scope, params.siteId, Number(cursor ?? 0), limit);
      if (rows === undefined) return noSuchSite;
      const last = rows.at(-1);
      return {
        ok: true,
        answer: {
          rows: rows.map(heldEntry),
          nextCursor: last !== undefined && rows.length === limit ? String(last.seq) : null,
        },
      };
    },
  );
}

/** The text is what the site's hash covers; it was parsed when it came in. */
const heldEntry = ({ text, hash }: LogRow): HeldEntry => ({ ...LedgerEntry.parse(JSON.parse(text)), hash });
