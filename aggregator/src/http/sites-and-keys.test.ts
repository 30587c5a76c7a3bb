import { idFrom } from '@rollcall/shared/domain/id.ts';
import { systemChance } from '@rollcall/shared/node/crypto.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BillingWorld } from '../jobs/testing/billing-world.ts';
import { plantTenantTree, startOfTests, type TenantTree } from './testing/tenant-tree.ts';

let tree: TenantTree;
let accountId: string;
let siteId: string;
beforeEach(async () => {
  tree = await plantTenantTree();
  accountId = String(
    (
      await tree.ok(tree.alpha, 'POST', '/api/v1/accounts', {
        mspId: tree.alpha.id,
        name: 'Huber',
        addressLines: ['Hauptstr. 1'],
        note: '',
      })
    )['id'],
  );
  siteId = String((await newSite('Head office'))['id']);
});
afterEach(() => tree.close());

const newSite = (name: string) =>
  tree.ok(tree.alpha, 'POST', '/api/v1/sites', { accountId, name, timeZone: 'Europe/Vienna', note: '' });
const newKey = () => tree.ok(tree.alpha, 'POST', '/api/v1/keys', { siteId, product: 'metered-agent' });

describe('a site', () => {
  it('is made with what the product says of new ones, and told where it is', async () => {
    const answer = await tree.ask(tree.alpha, 'POST', '/api/v1/sites', {
      accountId,
      name: 'Warehouse',
      timeZone: 'Europe/Vienna',
      note: 'by the lake',
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      mspId: tree.alpha.id,
      settings: { staleAfterDays: 30 },
      createdAt: startOfTests,
      enrolledAt: null,
      connected: false,
      deployed: { server: 0, workstation: 0 },
      note: 'by the lake',
    });
    expect(await tree.ok(tree.alpha, 'GET', answer.headers.get('location')!)).toEqual(answer.body);
  });

  it('is shown as connected while its Site Manager is', async () => {
    tree.gateway.connected.add(siteId);
    expect((await tree.ok(tree.north, 'GET', `/api/v1/sites/${siteId}`))['connected']).toBe(true);
  });

  it('tells its Site Manager when its settings change, and not when its note does', async () => {
    await tree.ok(tree.alpha, 'PATCH', `/api/v1/sites/${siteId}`, { note: 'new note' });
    expect(tree.gateway.changed).toEqual([]);
    const changed = await tree.ok(tree.alpha, 'PATCH', `/api/v1/sites/${siteId}`, { settings: { staleAfterDays: 7 } });
    expect(changed).toMatchObject({ settings: { staleAfterDays: 7 }, note: 'new note' });
    expect(tree.gateway.changed).toEqual([siteId]);
  });

  it('once closed stays closed since then, takes no key and no token, and lets its Site Manager come back to hear of it', async () => {
    await tree.ok(tree.alpha, 'POST', `/api/v1/sites/${siteId}/close`);
    tree.clock.advance(60_000);
    expect((await tree.ok(tree.alpha, 'POST', `/api/v1/sites/${siteId}/close`))['closedAt']).toBe(startOfTests);
    expect(tree.gateway.reset[0]).toBe(siteId);
    for (const [path, body] of [
      ['/api/v1/keys', { siteId, product: 'metered-agent' }],
      ['/api/v1/enrolment-tokens', { siteId }],
    ] as const) {
      const answer = await tree.ask(tree.alpha, 'POST', path, body);
      expect([answer.status, answer.body['code']]).toEqual([409, 'SITE_CLOSED']);
    }
  });

  it('that was refused is listed as flagged until somebody clears it', async () => {
    await newSite('Innocent');
    await tree.store.sites.flagSite(siteId, 'FORK', {
      id: idFrom('finding', systemChance(20)),
      siteId,
      code: 'FORK',
      message: 'two ledgers',
      at: startOfTests,
    });
    const flagged = async () =>
      (await tree.ask(tree.alpha, 'GET', '/api/v1/sites?flagged=true')).body.rows!.map((row) => row['id']);
    expect(await flagged()).toEqual([siteId]);
    expect((await tree.ask(tree.alpha, 'GET', '/api/v1/findings?open=true')).body.rows).toMatchObject([
      { siteId, code: 'FORK', resolvedAt: null },
    ]);
    expect((await tree.ok(tree.alpha, 'POST', `/api/v1/sites/${siteId}/clear-flag`))['flag']).toBeNull();
    expect(await flagged()).toEqual([]);
    expect((await tree.ask(tree.alpha, 'GET', '/api/v1/findings?open=true')).body.rows).toEqual([]);
    expect((await tree.ask(tree.alpha, 'GET', '/api/v1/findings')).body.rows).toHaveLength(1);
    expect(tree.gateway.reset).toEqual([siteId]);
  });
});

describe('what is held of a site', () => {
  it('is listed page by page: entries in order, deployments that stand and that stood', async () => {
    const site = await new BillingWorld(tree.store).site(tree.alpha, 'Ledger', '2026-01-05T10:00:00.000Z');
    const [first] = site.deploy('2026-01-06T10:00:00.000Z', 'server', 5);
    site.remove('2026-01-07T10:00:00.000Z', 'server', first!);
    await site.send();
    const address = `/api/v1/sites/${site.siteId}`;
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await tree.ask(
        tree.alpha,
        'GET',
        `${address}/entries?limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...body.rows!.map((row) => [row['seq'], row['kind']]));
      cursor = body.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual([
      [1, 'site-enrolled'],
      ...[2, 3, 4, 5, 6].map((seq) => [seq, 'agent-deployed']),
      [7, 'agent-removed'],
    ]);
    const deployments = async (query: string) =>
      (await tree.ask(tree.alpha, 'GET', `${address}/deployments${query}`)).body.rows!;
    expect(await deployments('')).toHaveLength(4);
    expect((await deployments('?current=false')).filter((row) => row['removedReason'] === 'uninstalled')).toHaveLength(
      1,
    );
    for (const wrong of ['0', '-1', '1e3', '99999999999999999'])
      expect((await tree.ask(tree.alpha, 'GET', `${address}/entries?cursor=${wrong}`)).body['code']).toBe(
        'CURSOR_INVALID',
      );
  });
});

describe('a key', () => {
  it('shows its text once, tells its site, and there is one a site', async () => {
    const made = await newKey();
    expect(made['keyText']).toMatch(/^([0-9a-z]{5}-){4}[0-9a-z]{5}$/);
    expect(made).toMatchObject({
      portalState: 'never-used',
      wish: 'active',
      keyHint: String(made['keyText']).slice(-5),
    });
    expect(tree.gateway.changed).toEqual([siteId]);
    const listed = JSON.stringify([
      (await tree.ask(tree.alpha, 'GET', '/api/v1/keys')).body,
      await tree.ok(tree.alpha, 'GET', `/api/v1/keys/${String(made['id'])}`),
    ]);
    expect(listed).not.toContain(made['keyText']);
    const again = await tree.ask(tree.alpha, 'POST', '/api/v1/keys', { siteId, product: 'metered-agent' });
    expect([again.status, again.body['code']]).toEqual([409, 'SITE_HAS_KEY']);
  });

  it('that is asked to be deactivated waits for its site with one command, however often it is asked', async () => {
    const id = String((await newKey())['id']);
    await tree.store.keys.recordLeases([{ keyId: id, issuedAt: startOfTests, until: '2026-03-24T08:00:00.000Z' }]);
    expect((await tree.ok(tree.alpha, 'GET', `/api/v1/keys/${id}`))['portalState']).toBe('ok');
    for (let time = 0; time < 3; time++)
      expect(await tree.ok(tree.alpha, 'POST', `/api/v1/keys/${id}/deactivate`)).toMatchObject({
        wish: 'deactivated',
        portalState: 'deactivation-requested',
      });
    expect(await tree.store.keys.pendingCommands(siteId, 10)).toMatchObject([
      { name: 'deactivate-key', keyId: id, issuedAt: startOfTests },
    ]);
  });

  it('turns critical once a quarter of its lease passed without a call', async () => {
    const id = String((await newKey())['id']);
    await tree.store.keys.recordLeases([{ keyId: id, issuedAt: startOfTests, until: '2026-03-14T08:00:00.000Z' }]);
    const state = async () => (await tree.ok(tree.alpha, 'GET', `/api/v1/keys/${id}`))['portalState'];
    tree.clock.advance(24 * 3_600_000 - 1);
    expect(await state()).toBe('ok');
    tree.clock.advance(1);
    expect(await state()).toBe('critical');
    tree.clock.advance(3 * 24 * 3_600_000);
    expect(await state()).toBe('disabled-offline');
  });
});

describe('an enrolment token', () => {
  it('is made for a site or a roll-out, shown once, listed and withdrawn', async () => {
    const one = await tree.ok(tree.alpha, 'POST', '/api/v1/enrolment-tokens', { siteId });
    expect(one).toMatchObject({ siteId, accountId, usesMax: 1, uses: 0, expiresAt: '2026-03-13T08:00:00.000Z' });
    expect(one['token']).toMatch(/^[A-Za-z0-9_.-]{20,200}$/);
    const many = await tree.ok(tree.alpha, 'POST', '/api/v1/enrolment-tokens', {
      accountId,
      usesMax: 25,
      validHours: 1,
    });
    expect(many).toMatchObject({ siteId: null, usesMax: 25, expiresAt: '2026-03-10T09:00:00.000Z' });
    const { rows } = (await tree.ask(tree.alpha, 'GET', '/api/v1/enrolment-tokens')).body;
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toContain(one['token']);
    const address = `/api/v1/enrolment-tokens/${String(many['id'])}/withdraw`;
    expect((await tree.ok(tree.alpha, 'POST', address))['withdrawnAt']).toBe(startOfTests);
  });
});

describe('lists', () => {
  it('come in pages that hold everything once', async () => {
    for (let n = 0; n < 6; n++) await newSite(`Site ${n}`);
    const seen: string[] = [];
    let address: string | undefined = '/api/v1/sites?limit=3';
    while (address !== undefined) {
      const { body } = await tree.ask(tree.north, 'GET', address);
      seen.push(...body.rows!.map((row) => String(row['name'])));
      address =
        typeof body.nextCursor !== 'string'
          ? undefined
          : `/api/v1/sites?limit=3&cursor=${encodeURIComponent(body.nextCursor)}`;
    }
    expect(seen.toSorted()).toEqual(['Head office', 'Site 0', 'Site 1', 'Site 2', 'Site 3', 'Site 4', 'Site 5']);
  });
});
