/** What every engine must do for organisations, accounts and tokens. */
import { describe, expect, test } from 'vitest';
import type { OpenedStore } from './store-engines.ts';
import {
  addAccount,
  addBranch,
  addOrganisation,
  all,
  begin,
  enrolmentTokenDraft,
  newHash,
  newId,
  newName,
  organisationDraft,
  scopeOf,
  vendorOf,
  walk,
} from './tenants.ts';

export const awkwardNames = [
  `Robert'); DROP TABLE sites;--`,
  '100% _real_ \\ "quoted"',
  '../../etc/passwd',
  'org_/%2f/..',
  '🦊 Füchse & Söhne 👩‍👩‍👧‍👦',
  '漢字かな交じり',
  '%',
  '_',
];

export function tenancyContract(use: () => OpenedStore): void {
  describe('organisations and accounts', () => {
    test('has one vendor, whatever is tried', async () => {
      const { store } = use();
      const vendor = await vendorOf(store);
      const tries = await Promise.all(
        Array.from({ length: 50 }, () => store.tenancy.createVendor(organisationDraft('vendor', null))),
      );
      expect(tries.map((outcome) => !outcome.ok && outcome.code)).toEqual(Array(50).fill('VENDOR_EXISTS'));
      expect(await store.tenancy.vendor()).toEqual(vendor);
    });

    test('gives an organisation back as it came, with its path', async () => {
      const { store } = use();
      const { vendor, distributor, msp } = await addBranch(store);
      expect(msp.path).toBe(`${vendor.id}/${distributor.id}/${msp.id}/`);
      expect(await store.tenancy.organisation(scopeOf(vendor), msp.id)).toEqual(msp);
    });

    test.each([
      ['the same', 'Köln Backup', 'Köln Backup'],
      ['another case', 'Köln Backup', 'KÖLN backup'],
      ['the umlaut in two characters', 'Köln Backup', 'Ko\u0308ln Backup'],
    ])('takes a name once among the children of one parent: %s', async (_, first, second) => {
      const { store } = use();
      const vendor = await vendorOf(store);
      const [here, there] = [
        await addOrganisation(store, 'distributor', vendor),
        await addOrganisation(store, 'distributor', vendor),
      ];
      await addOrganisation(store, 'msp', here, first);
      expect(await store.tenancy.createOrganisation(organisationDraft('msp', here.id, second), here)).toMatchObject({
        ok: false,
        code: 'NAME_TAKEN',
      });
      expect(await store.tenancy.createOrganisation(organisationDraft('msp', there.id, second), there)).toEqual({
        ok: true,
      });
    });

    test.each(awkwardNames)('keeps the name %j as it is', async (name) => {
      const { store } = use();
      const { distributor, scope } = await addBranch(store);
      const msp = await addOrganisation(store, 'msp', distributor, name);
      const account = await addAccount(store, msp, name);
      expect((await store.tenancy.organisation(scopeOf(distributor), msp.id))?.name).toBe(name);
      expect(await store.tenancy.account(scopeOf(msp), account.id)).toEqual(account);
      expect(await store.tenancy.accounts(scopeOf(msp), { mspId: name }, all)).toEqual({ rows: [], nextCursor: null });
      expect((await store.tenancy.accounts(scope, {}, all)).rows.map(({ mspId }) => mspId)).not.toContain(msp.id);
    });

    test('does not take one identifier for the beginning of another', async () => {
      const { store } = use();
      const vendor = await vendorOf(store);
      const short = { ...organisationDraft('distributor', vendor.id), id: newId('organisation') };
      const long = { ...organisationDraft('distributor', vendor.id), id: `${short.id}0` };
      await store.tenancy.createOrganisation(short, vendor);
      await store.tenancy.createOrganisation(long, vendor);
      const scope = { organisationId: short.id, kind: 'distributor', path: `${vendor.path}${short.id}/` } as const;
      expect((await store.tenancy.organisations(scope, {}, all)).rows.map(({ id }) => id)).toEqual([short.id]);
    });

    test('lists by name and by filter', async () => {
      const { store } = use();
      const vendor = await vendorOf(store);
      const distributor = await addOrganisation(store, 'distributor', vendor, newName('ß-distributor'));
      for (const name of ['beta', 'Alpha', 'älter', 'Zeta']) await addOrganisation(store, 'msp', distributor, name);
      const scope = scopeOf(distributor);
      const names = async (filter: { parentId?: string; kind?: string }) =>
        (await store.tenancy.organisations(scope, filter, all)).rows.map(({ name }) => name);
      expect(await names({ kind: 'msp' })).toEqual(['Alpha', 'beta', 'Zeta', 'älter']);
      expect(await names({ parentId: distributor.id })).toEqual(['Alpha', 'beta', 'Zeta', 'älter']);
      expect(await names({ kind: 'distributor' })).toEqual([distributor.name]);
      expect(await names({ kind: `msp' OR '1'='1` })).toEqual([]);
    });

    test('pages without skipping or repeating, also while rows come in', async () => {
      const { store } = use();
      const { distributor, msp, scope } = await addBranch(store);
      const ids = new Set<string>();
      for (let i = 0; i < 22; i++)
        ids.add((await addAccount(store, msp, `${String(i).padStart(2, '0')} account of many`)).id);
      const seen = await walk((page) => store.tenancy.accounts(scope, {}, page), 5);
      expect(seen.length).toBe(23);
      expect(new Set(seen.map(({ id }) => id)).size).toBe(23);

      const first = await store.tenancy.accounts(scope, {}, { limit: 10 });
      await addAccount(store, msp, '00 before all others');
      await addAccount(store, msp, '99 after all others');
      const rest = await walk(
        (page) => store.tenancy.accounts(scope, {}, { cursor: first.nextCursor as string, ...page }),
        7,
      );
      expect(rest.length).toBe(14);
      expect(rest.some(({ id }) => first.rows.some((row) => row.id === id))).toBe(false);
      expect((await walk((page) => store.tenancy.organisations(scopeOf(distributor), {}, page), 1)).length).toBe(2);
    });
  });

  describe('tokens', () => {
    const apiToken = (organisationId: string, createdByTokenId: string | null = null) => ({
      id: newId('apiToken'),
      organisationId,
      name: newName('token'),
      createdByTokenId,
      createdAt: begin,
      expiresAt: null,
      lastUsedAt: null,
      revokedAt: null,
    });

    test('finds an API token by its hash, with its organisation', async () => {
      const { store } = use();
      const { msp } = await addBranch(store);
      const [token, hash] = [apiToken(msp.id), newHash()];
      await store.tokens.createApiToken(token, hash);
      expect(await store.tokens.apiTokenByHash(hash)).toEqual({ token, organisation: msp });
      expect(await store.tokens.apiTokenByHash(newHash())).toBeUndefined();
    });

    test('remembers the last use, never an earlier one', async () => {
      const { store } = use();
      const { msp } = await addBranch(store);
      const [token, hash] = [apiToken(msp.id), newHash()];
      await store.tokens.createApiToken(token, hash);
      for (const at of ['2026-02-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z', '2026-02-15T00:00:00.000Z'])
        await store.tokens.touchApiToken(token.id, at);
      expect((await store.tokens.apiTokenByHash(hash))?.token.lastUsedAt).toBe('2026-03-01T00:00:00.000Z');
    });

    test('revokes and withdraws once; the first instant stays', async () => {
      const { store } = use();
      const { msp, account, scope } = await addBranch(store);
      const token = apiToken(msp.id);
      await store.tokens.createApiToken(token, newHash());
      const enrolment = enrolmentTokenDraft(account);
      await store.tokens.createEnrolmentToken(enrolment, newHash());
      for (const at of ['2026-02-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z']) {
        expect(await store.tokens.revokeApiToken(scope, token.id, at)).toEqual({
          ...token,
          revokedAt: '2026-02-01T00:00:00.000Z',
        });
        expect(await store.tokens.withdrawEnrolmentToken(scope, enrolment.id, at)).toEqual({
          ...enrolment,
          withdrawnAt: '2026-02-01T00:00:00.000Z',
        });
      }
    });

    test('revokes with a token every one made with it, and no other', async () => {
      const { store } = use();
      const { distributor, msp, scope, vendorScope } = await addBranch(store);
      const root = apiToken(distributor.id);
      const child = apiToken(msp.id, root.id);
      const grandchild = apiToken(msp.id, child.id);
      const sibling = apiToken(distributor.id, root.id);
      const other = apiToken(msp.id);
      for (const token of [root, child, grandchild, sibling, other])
        expect(await store.tokens.createApiToken(token, newHash())).toEqual({ ok: true });
      const revokedAt = async () => {
        const rows = await walk((page) => store.tokens.apiTokens(scopeOf(distributor), page), 50);
        return [root, child, grandchild, sibling, other].map(({ id }) => rows.find((row) => row.id === id)?.revokedAt);
      };
      // Of another branch: nothing is found and nothing ends.
      expect(await store.tokens.revokeApiToken(scope, root.id, begin)).toBeUndefined();
      expect(await revokedAt()).toEqual([null, null, null, null, null]);
      const [first, second] = ['2026-02-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z'];
      await store.tokens.revokeApiToken(scope, child.id, first);
      expect(await revokedAt()).toEqual([null, first, first, null, null]);
      expect(await store.tokens.revokeApiToken(vendorScope, root.id, second)).toMatchObject({ revokedAt: second });
      expect(await revokedAt()).toEqual([second, first, first, second, null]);
    });

    test('makes none with a token that was revoked, however close the two come', async () => {
      const { store } = use();
      const { msp, scope } = await addBranch(store);
      const creator = apiToken(msp.id);
      await store.tokens.createApiToken(creator, newHash());
      const made = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          if (index === 10) await store.tokens.revokeApiToken(scope, creator.id, begin);
          return store.tokens.createApiToken(apiToken(msp.id, creator.id), newHash());
        }),
      );
      const rows = await walk((page) => store.tokens.apiTokens(scope, page), 50);
      expect(rows.filter(({ revokedAt }) => revokedAt === null)).toEqual([]);
      expect(rows.length).toBe(1 + made.filter(({ ok }) => ok).length);
      expect(await store.tokens.createApiToken(apiToken(msp.id, creator.id), newHash())).toMatchObject({
        ok: false,
        code: 'TOKEN_REVOKED',
      });
    });

    test('lists the newest first and pages over tokens of one instant', async () => {
      const { store } = use();
      const { msp, scope } = await addBranch(store);
      const account = await addAccount(store, msp);
      for (let i = 0; i < 12; i++) {
        await store.tokens.createApiToken(
          { ...apiToken(msp.id), createdAt: i < 9 ? begin : '2026-01-06T00:00:00.000Z' },
          newHash(),
        );
        await store.tokens.createEnrolmentToken(enrolmentTokenDraft(account), newHash());
      }
      const seen = await walk((page) => store.tokens.apiTokens(scope, page), 5);
      expect(new Set(seen.map(({ id }) => id)).size).toBe(12);
      expect(seen.slice(0, 3).map(({ createdAt }) => createdAt)).toEqual(Array(3).fill('2026-01-06T00:00:00.000Z'));
      const enrolment = await walk((page) => store.tokens.enrolmentTokens(scope, { accountId: account.id }, page), 5);
      expect(new Set(enrolment.map(({ id }) => id)).size).toBe(12);
      expect(enrolment.length).toBe(12);
    });
  });

  describe('cursors', () => {
    const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    test.each([
      ['a word', 'next'],
      ['no JSON', Buffer.from('{').toString('base64url')],
      ['an empty list', encoded([])],
      ['another shape', encoded([1, 2, 3])],
      ['an object', encoded({ id: 'x' })],
      ['a NUL', encoded(['acc_\u0000'])],
      ['SQL', encoded([`acc_' OR 1=1 --`])],
      ['a row that is not there', encoded(['acc_00000000000000000000'])],
    ])('refuses %s', async (_, cursor) => {
      const { store } = use();
      const { scope, site } = await addBranch(store);
      const page = { limit: 10, cursor };
      const bad = { code: 'CURSOR_INVALID', retryable: false };
      await expect(store.tenancy.accounts(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.tenancy.organisations(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.sites.sites(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.sites.deployments(scope, site.id, { current: false }, page)).rejects.toMatchObject(bad);
      await expect(store.sites.findings(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.keys.keys(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.tokens.apiTokens(scope, page)).rejects.toMatchObject(bad);
      await expect(store.tokens.enrolmentTokens(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.reports.reportRows(scope, {}, begin, page)).rejects.toMatchObject(bad);
      await expect(store.billing.agreements(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.billing.invoices(scope, {}, page)).rejects.toMatchObject(bad);
      await expect(store.billing.lines('inv_x', page)).rejects.toMatchObject(bad);
    });

    test('refuses a cursor of a foreign row', async () => {
      const { store } = use();
      const [mine, theirs] = [await addBranch(store), await addBranch(store)];
      await expect(
        store.sites.sites(mine.scope, {}, { limit: 5, cursor: encoded([theirs.site.id]) }),
      ).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
      await expect(
        store.reports.reportRows(mine.scope, {}, begin, { limit: 5, cursor: encoded(['2026-01', theirs.site.id]) }),
      ).rejects.toMatchObject({
        code: 'CURSOR_INVALID',
      });
    });
  });
}
