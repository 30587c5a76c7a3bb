/** Sites over HTTP: made, shown, changed, closed. What hangs under a site for reading is site-records-routes.ts. */
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { type Site, SiteChange, SiteDraft, SiteView } from '@rollcall/shared/api/site.ts';
import { AccountId, idFrom, idRandomBytes, OrganisationId, SiteId } from '@rollcall/shared/domain/id.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { defaultSiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { z } from 'zod';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const tag = 'sites';
const SiteParams = z.object({ siteId: SiteId });
const noSuchSite = refuse('NOT_FOUND', 'there is no site with this identifier');

/** `?flagged=true` as a query writes it. */
const Flag = z.enum(['true', 'false']).transform((text) => text === 'true');

export function siteRoutes(api: Api, { store, gateway, chance }: RouteDeps): void {
  const view = (site: Site): SiteView => ({ ...site, connected: gateway.isConnected(site.id) });

  api.json(
    {
      method: 'get',
      path: '/api/v1/sites',
      action: 'site.read',
      tag,
      summary: 'Lists sites with what is known of their Site Managers',
      query: PageQuery.extend({
        accountId: AccountId.optional(),
        mspId: OrganisationId.optional(),
        flagged: Flag.optional(),
      }),
      answer: pageOf(SiteView),
    },
    async ({ caller, query: { accountId, mspId, flagged, ...page } }) => {
      const { rows, nextCursor } = await store.sites.sites(caller.scope, { accountId, mspId, flagged }, page);
      return { ok: true, answer: { rows: rows.map(view), nextCursor } };
    },
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/sites',
      action: 'site.create',
      tag,
      summary: 'Makes a site of an account',
      body: SiteDraft,
      answer: SiteView,
      status: 201,
      refusals: ['NOT_FOUND', 'NAME_TAKEN'],
    },
    async ({ caller, body, now }) => {
      const account = await store.tenancy.account(caller.scope, body.accountId);
      if (account === undefined) return refuse('NOT_FOUND', 'there is no account with the identifier of accountId');
      const site: Site = {
        id: idFrom('site', chance(idRandomBytes)),
        mspId: account.mspId,
        accountId: account.id,
        name: body.name,
        timeZone: body.timeZone,
        note: body.note,
        settings: body.settings ?? defaultSiteSettings,
        createdAt: now,
        enrolledAt: null,
        closedAt: null,
        software: null,
        lastContactAt: null,
        ledger: { seq: 0 },
        deployed: { server: 0, workstation: 0 },
        flag: null,
      };
      const made = await store.sites.createSite(site);
      return made.ok ? { ok: true, answer: view(site), location: `/api/v1/sites/${site.id}` } : made;
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/sites/{siteId}',
      action: 'site.read',
      tag,
      summary: 'Shows a site',
      params: SiteParams,
      answer: SiteView,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params }) => {
      const site = await store.sites.site(caller.scope, params.siteId);
      return site === undefined ? noSuchSite : { ok: true, answer: view(site) };
    },
  );

  api.json(
    {
      method: 'patch',
      path: '/api/v1/sites/{siteId}',
      action: 'site.change',
      tag,
      summary: 'Changes the settings or the note of a site',
      description:
        'At least one of `settings` and `note` is given. Name and time zone are fixed: they stand on reports that are signed.',
      params: SiteParams,
      body: SiteChange.refine(
        (change) => change.settings !== undefined || change.note !== undefined,
        'give settings, note or both',
      ),
      answer: SiteView,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, body }) => {
      const site = await store.sites.changeSite(caller.scope, params.siteId, body);
      if (site === undefined) return noSuchSite;
      if (body.settings !== undefined) gateway.siteChanged(site.id);
      return { ok: true, answer: view(site) };
    },
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/sites/{siteId}/close',
      action: 'site.close',
      tag,
      summary: 'Closes a site: billed for the running month and no later one',
      description: 'Closed again, it changes nothing and answers the site as it is.',
      params: SiteParams,
      answer: SiteView,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, now }) => {
      const site = await store.sites.closeSite(caller.scope, params.siteId, now);
      if (site === undefined) return noSuchSite;
      gateway.siteReset(site.id);
      return { ok: true, answer: view(site) };
    },
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/sites/{siteId}/clear-flag',
      action: 'site.clear-flag',
      tag,
      summary: 'Lifts the flag of a site whose Site Manager was refused, and resolves the findings of its refusals',
      params: SiteParams,
      answer: SiteView,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, now }) => {
      const site = await store.sites.clearFlag(caller.scope, params.siteId, now);
      if (site === undefined) return noSuchSite;
      gateway.siteReset(site.id);
      return { ok: true, answer: view(site) };
    },
  );
}
