/** What every engine must keep apart: each read and write of a person, tried by everyone who may and everyone who may not. */
import { describe, expect, test } from 'vitest';
import type { Scope } from '../../core/scope.ts';
import { LedgerPen, opened, receivedReport } from './ledger-pen.ts';
import type { OpenedStore } from './store-engines.ts';
import {
  addAccount,
  addBranch,
  addKey,
  addOrganisation,
  addSite,
  all,
  begin,
  enrolmentTokenDraft,
  newHash,
  newId,
  scopeOf,
} from './tenants.ts';

const now = '2026-02-10T00:00:00.000Z';

/** Something of an MSP, and how each operation gets at it; true when it was seen. */
async function belongings({ store }: OpenedStore) {
  const branch = await addBranch(store);
  const { vendor, distributor, msp, account, site } = branch;
  const key = await addKey(store, site.id);
  const apiToken = {
    id: newId('apiToken'),
    organisationId: msp.id,
    name: 'console',
    createdAt: begin,
    expiresAt: null,
    createdByTokenId: null,
    lastUsedAt: null,
    revokedAt: null,
  };
  await store.tokens.createApiToken(apiToken, newHash());
  const enrolmentToken = enrolmentTokenDraft(account);
  await store.tokens.createEnrolmentToken(enrolmentToken, newHash());
  const finding = { id: newId('finding'), siteId: site.id, code: 'CLOCK_ANOMALY', message: 'an hour back', at: begin };
  const reports = [receivedReport(site, '2026-01', { server: 1, workstation: 0 })];
  await store.ingest.apply([
    new LedgerPen(site).plan({ at: begin, deployments: [opened('ep_1', begin, 1)], findings: [finding], reports }),
  ]);

  const has = (page: { rows: { id: string }[] }, id: string): boolean => page.rows.some((row) => row.id === id);
  const command = () => ({ id: newId('command'), name: 'deactivate-key', keyId: key.id, issuedAt: begin });
  const { tenancy, tokens, sites, keys, ingest } = store;
  const reads: Record<string, (scope: Scope) => Promise<boolean>> = {
    organisation: async (scope) => (await tenancy.organisation(scope, msp.id)) !== undefined,
    organisations: async (scope) => has(await tenancy.organisations(scope, { parentId: distributor.id }, all), msp.id),
    account: async (scope) => (await tenancy.account(scope, account.id)) !== undefined,
    accounts: async (scope) => has(await tenancy.accounts(scope, { mspId: msp.id }, all), account.id),
    'API tokens': async (scope) => has(await tokens.apiTokens(scope, all), apiToken.id),
    'enrolment tokens': async (scope) =>
      has(await tokens.enrolmentTokens(scope, { accountId: account.id }, all), enrolmentToken.id),
    site: async (scope) => (await sites.site(scope, site.id)) !== undefined,
    sites: async (scope) => has(await sites.sites(scope, { mspId: msp.id }, all), site.id),
    deployments: async (scope) => (await sites.deployments(scope, site.id, { current: true }, all)) !== undefined,
    findings: async (scope) => has(await sites.findings(scope, { siteId: site.id }, all), finding.id),
    key: async (scope) => (await keys.key(scope, key.id)) !== undefined,
    keys: async (scope) => has(await keys.keys(scope, { siteId: site.id }, all), key.id),
    entries: async (scope) => (await ingest.entries(scope, site.id, 0, 10)) !== undefined,
    'report rows': async (scope) =>
      (await store.reports.reportRows(scope, { siteId: site.id }, now, all)).rows.length > 0,
    revisions: async (scope) => (await store.reports.revisions(scope, site.id, '2026-01')) !== undefined,
  };
  const writes: Record<string, (scope: Scope) => Promise<boolean>> = {
    'change a site': async (scope) => (await sites.changeSite(scope, site.id, { note: 'changed' })) !== undefined,
    'clear a flag': async (scope) => (await sites.clearFlag(scope, site.id, now)) !== undefined,
    'wish for a key': async (scope) => (await keys.wishKey(scope, key.id, 'deactivated', command())).ok,
    'revoke a token': async (scope) => (await tokens.revokeApiToken(scope, apiToken.id, now)) !== undefined,
    'withdraw a token': async (scope) =>
      (await tokens.withdrawEnrolmentToken(scope, enrolmentToken.id, now)) !== undefined,
    'close a site': async (scope) => (await sites.closeSite(scope, site.id, now)) !== undefined,
  };
  const own = scopeOf(msp);
  const state = async () => [
    await sites.site(own, site.id),
    await keys.key(own, key.id),
    await tokens.apiTokens(own, all),
    await tokens.enrolmentTokens(own, {}, all),
    await sites.findings(own, {}, all),
    await keys.pendingCommands(site.id, 10),
  ];
  return { vendor, distributor, msp, reads, writes, state };
}

export function scopeContract(use: () => OpenedStore): void {
  describe('scopes', () => {
    test('let the organisation itself and those above it read everything', async () => {
      const { vendor, distributor, msp, reads } = await belongings(use());
      for (const scope of [vendor, distributor, msp].map(scopeOf)) {
        for (const [name, read] of Object.entries(reads))
          expect(await read(scope), `${name} by the ${scope.kind}`).toBe(true);
      }
    });

    test('let siblings, children and strangers read and write nothing', async () => {
      const { store } = use();
      const { vendor, distributor, reads, writes, state } = await belongings(use());
      const stranger = await addBranch(store);
      const outsiders = {
        sibling: await addOrganisation(store, 'msp', distributor),
        'distributor below the same one': await addOrganisation(store, 'distributor', distributor),
        'another distributor': await addOrganisation(store, 'distributor', vendor),
        'an MSP of another distributor': stranger.msp,
      };
      const before = await state();
      for (const [who, organisation] of Object.entries(outsiders)) {
        for (const [name, act] of Object.entries({ ...reads, ...writes }))
          expect(await act(scopeOf(organisation)), `${name} by ${who}`).toBe(false);
      }
      expect(await state()).toEqual(before);
    });

    test('let a child see nothing of its parent', async () => {
      const { store } = use();
      const { distributor, scope } = await addBranch(store);
      const token = {
        id: newId('apiToken'),
        organisationId: distributor.id,
        name: 'console',
        createdAt: begin,
        expiresAt: null,
        createdByTokenId: null,
        lastUsedAt: null,
        revokedAt: null,
      };
      await store.tokens.createApiToken(token, newHash());
      expect(await store.tenancy.organisation(scope, distributor.id)).toBeUndefined();
      expect((await store.tenancy.organisations(scope, {}, all)).rows.length).toBe(1);
      expect((await store.tokens.apiTokens(scope, all)).rows).toEqual([]);
      expect(await store.tokens.revokeApiToken(scope, token.id, now)).toBeUndefined();
      expect((await store.tokens.apiTokens(scopeOf(distributor), all)).rows).toEqual([token]);
    });

    test('let everyone above write', async () => {
      const { store } = use();
      for (const level of ['vendor', 'distributor', 'msp'] as const) {
        const { writes, ...organisations } = await belongings(use());
        for (const [name, write] of Object.entries(writes))
          expect(await write(scopeOf(organisations[level])), `${name} by the ${level}`).toBe(true);
      }
      expect(await store.ping()).toBeUndefined();
    });

    test('bound the sites that are billed', async () => {
      const { store } = use();
      const { distributor, msp, site } = await addBranch(store);
      const sub = await addOrganisation(store, 'distributor', distributor);
      const subMsp = await addOrganisation(store, 'msp', sub);
      const below = await addSite(store, await addAccount(store, subMsp), { enrolledAt: begin });
      const ids = async (path: string) =>
        (await store.billing.billableSites(path, '2026-01')).map(({ siteId }) => siteId).toSorted();
      expect(await ids(distributor.path)).toEqual([site.id, below.id].toSorted());
      expect(await ids(sub.path)).toEqual([below.id]);
      expect(await ids(msp.path)).toEqual([site.id]);
    });
  });
}
