import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { plantTenantTree, startOfTests, type TenantTree } from './testing/tenant-tree.ts';

let tree: TenantTree;
beforeEach(async () => {
  tree = await plantTenantTree();
});
afterEach(() => tree.close());

const hourMs = 3_600_000;
const requestLine = (log: readonly string[]): Record<string, unknown> =>
  JSON.parse(log.findLast((line) => line.includes('"request"'))!);

describe('signing in', () => {
  it('says who one is, without what is kept inside', async () => {
    const { body } = await tree.ask(tree.alpha, 'GET', '/api/v1/me');
    expect(body).toMatchObject({
      organisation: { id: tree.alpha.id, name: 'Alpha', kind: 'msp' },
      token: { id: tree.alpha.tokenId },
    });
    expect(body['organisation']).not.toHaveProperty('path');
    expect(JSON.stringify(body)).not.toContain(tree.alpha.token);
  });

  it('ends with a token at the instant it runs out', async () => {
    const { text } = await tree.newToken(tree.alpha.id, { expiresAt: '2026-03-10T09:00:00.000Z' });
    tree.clock.advance(hourMs - 1);
    expect((await tree.ask(text, 'GET', '/api/v1/me')).status).toBe(200);
    tree.clock.advance(1);
    const answer = await tree.ask(text, 'GET', '/api/v1/me');
    expect([answer.status, answer.body['code']]).toEqual([401, 'API_TOKEN_EXPIRED']);
  });

  it('ends at once when the token is revoked, and the first instant stays', async () => {
    const made = await tree.ok(tree.north, 'POST', '/api/v1/api-tokens', {
      organisationId: tree.alpha.id,
      name: 'export',
      validDays: 10,
    });
    const token = String(made['token']);
    expect(made['expiresAt']).toBe('2026-03-20T08:00:00.000Z');
    expect((await tree.ask(token, 'GET', '/api/v1/me')).status).toBe(200);
    const address = `/api/v1/api-tokens/${String(made['id'])}/revoke`;
    const revoked = await tree.ok(tree.north, 'POST', address);
    tree.clock.advance(hourMs);
    expect(await tree.ok(tree.north, 'POST', address)).toEqual(revoked);
    const answer = await tree.ask(token, 'GET', '/api/v1/me');
    expect([answer.status, answer.body['code'], revoked['revokedAt']]).toEqual([401, 'TOKEN_REVOKED', startOfTests]);
  });

  it('ends for a token no later than for the one it was made with', async () => {
    const day = await tree.newToken(tree.north.id, { expiresAt: '2026-03-11T08:00:00.000Z' });
    const draft = { organisationId: tree.alpha.id, name: 'minted' };
    for (const [asked, expiresAt] of [
      [{}, '2026-03-11T08:00:00.000Z'],
      [{ validDays: 3650 }, '2026-03-11T08:00:00.000Z'],
    ] as const) {
      const { status, body } = await tree.ask(day.text, 'POST', '/api/v1/api-tokens', { ...draft, ...asked });
      expect(status).toBe(201);
      expect(body).toMatchObject({ expiresAt, createdByTokenId: day.id });
      // Nor does what was made with that.
      const next = await tree.ask(String(body['token']), 'POST', '/api/v1/api-tokens', draft);
      expect(next.body).toMatchObject({ expiresAt, createdByTokenId: body['id'] });
    }
    const forGood = await tree.ok(tree.north, 'POST', '/api/v1/api-tokens', draft);
    expect(forGood).toMatchObject({ expiresAt: null, createdByTokenId: tree.north.tokenId });
  });

  it('ends with the token it was made with when that is revoked', async () => {
    const stolen = await tree.newToken(tree.north.id);
    const draft = { organisationId: tree.alpha.id, name: 'minted' };
    const minted = (await tree.ask(stolen.text, 'POST', '/api/v1/api-tokens', draft)).body;
    const again = (await tree.ask(String(minted['token']), 'POST', '/api/v1/api-tokens', draft)).body;
    await tree.ok(tree.vendor, 'POST', `/api/v1/api-tokens/${stolen.id}/revoke`);
    for (const token of [stolen.text, String(minted['token']), String(again['token'])])
      expect((await tree.ask(token, 'GET', '/api/v1/me')).body).toMatchObject({ code: 'TOKEN_REVOKED' });
    expect((await tree.ask(tree.north, 'GET', '/api/v1/me')).status).toBe(200);
  });

  it('writes down the last use at most once a minute', async () => {
    const touch = vi.spyOn(tree.store.tokens, 'touchApiToken');
    for (const wait of [0, 1_000, 58_000]) {
      tree.clock.advance(wait);
      await tree.ok(tree.alpha, 'GET', '/api/v1/me');
    }
    expect(touch).toHaveBeenCalledTimes(1);
    tree.clock.advance(1_000);
    await tree.ok(tree.alpha, 'GET', '/api/v1/me');
    expect(touch).toHaveBeenCalledTimes(2);
    const { token } = (await tree.ok(tree.alpha, 'GET', '/api/v1/me')) as { token: { lastUsedAt: string } };
    expect(token.lastUsedAt).toBe('2026-03-10T08:01:00.000Z');
  });

  it.each([
    'Basic cmM6',
    'Bearer',
    'bearer  ',
    `Bearer ${'x'.repeat(5000)}`,
    'Bearer rc_\u00e9',
    "Bearer rc_' OR 1=1 --",
  ])('refuses the header %j', async (authorization) => {
    const response = await tree.app.request('/api/v1/me', { headers: { authorization } }, {});
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([401, 'UNAUTHENTICATED']);
  });
});

describe('limits', () => {
  it('answers 429 with when to come back once a token asked too often, and other tokens as before', async () => {
    await tree.close();
    tree = await plantTenantTree({ limits: { requestsPerTokenPerMinute: 3 } });
    for (const left of [2, 1, 0])
      expect((await tree.ask(tree.alpha, 'GET', '/api/v1/me')).headers.get('ratelimit')).toMatch(
        new RegExp(`^"token";r=${left};t=\\d+$`),
      );
    const refused = await tree.ask(tree.alpha, 'GET', '/api/v1/me');
    expect([refused.status, refused.body['code']]).toEqual([429, 'RATE_LIMITED']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('ratelimit-policy')).toBe('"token";q=3;w=60');
    expect((await tree.ask(tree.beta, 'GET', '/api/v1/me')).status).toBe(200);
  });

  it('answers 429 to an address that tried too many wrong tokens, also when the next one is right', async () => {
    await tree.close();
    tree = await plantTenantTree({ limits: { failedSignInsPerAddressPerMinute: 2 } });
    for (let attempt = 0; attempt < 2; attempt++)
      expect((await tree.ask('rc_wrong', 'GET', '/api/v1/me')).status).toBe(401);
    expect((await tree.ask(tree.alpha, 'GET', '/api/v1/me')).status).toBe(429);
  });

  it('answers 504 when a handler does not come to an end', async () => {
    await tree.close();
    tree = await plantTenantTree({ limits: { handlerTimeoutMs: 20 } });
    vi.spyOn(tree.store.tenancy, 'organisations').mockReturnValue(new Promise(() => undefined));
    const answer = await tree.ask(tree.alpha, 'GET', '/api/v1/organisations');
    expect([answer.status, answer.body['code']]).toEqual([504, 'HANDLER_TIMEOUT']);
  });

  it('answers 503 while the program stops', async () => {
    await tree.close();
    tree = await plantTenantTree({ isStopping: () => true });
    const answer = await tree.ask(tree.alpha, 'GET', '/api/v1/me');
    expect([answer.status, answer.body['code'], answer.headers.get('retry-after')]).toEqual([503, 'STOPPING', '5']);
  });
});

describe('problems', () => {
  it.each([
    ['an address of the API that does not exist', 'GET', '/api/v1/nothing', undefined, 404, 'NOT_FOUND'],
    ['an identifier of the wrong form', 'GET', '/api/v1/sites/1', undefined, 404, 'NOT_FOUND'],
    ['an identifier of another noun', 'GET', '/api/v1/sites/acc_00000000000000000000', undefined, 404, 'NOT_FOUND'],
    ['a path that climbs', 'GET', '/api/v1/sites/..%2f..%2fetc%2fpasswd', undefined, 404, 'NOT_FOUND'],
    ['a method the address does not take', 'DELETE', '/api/v1/sites', undefined, 405, 'METHOD_NOT_ALLOWED'],
    ['a body that is not JSON', 'POST', '/api/v1/accounts', '{"name":', 400, 'BAD_JSON'],
    ['an empty body', 'POST', '/api/v1/accounts', '', 400, 'BAD_JSON'],
    ['a body of the wrong type', 'POST', '/api/v1/accounts', '[1,2]', 422, 'INVALID_INPUT'],
    ['null', 'POST', '/api/v1/accounts', 'null', 422, 'INVALID_INPUT'],
    ['a cursor made up', 'GET', '/api/v1/sites?cursor=garbage', undefined, 400, 'CURSOR_INVALID'],
    ['an empty cursor', 'GET', '/api/v1/sites?cursor=', undefined, 422, 'INVALID_INPUT'],
    ['a limit of nothing', 'GET', '/api/v1/sites?limit=0', undefined, 422, 'INVALID_INPUT'],
    ['a limit beyond the most', 'GET', '/api/v1/sites?limit=501', undefined, 422, 'INVALID_INPUT'],
    [
      'a filter that is misspelt',
      'GET',
      '/api/v1/sites?acountId=acc_00000000000000000000',
      undefined,
      422,
      'INVALID_INPUT',
    ],
    ['a filter given twice', 'GET', '/api/v1/sites?flagged=true&flagged=false', undefined, 422, 'INVALID_INPUT'],
  ])('%s: %s %s', async (_case, method, path, body, status, code) => {
    const answer = await tree.ask(tree.alpha, method, path, body);
    expect([answer.status, answer.body['status'], answer.body['code']]).toEqual([status, status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it.each([
    ['/api/v1/sites/nosuch', 'there is no site with this identifier'],
    ['/api/v1/invoices/nosuch/pdf', 'there is no invoice with this identifier'],
    ['/api/v1/sites/nosuch/reports/2026-13', 'there is no site with this identifier'],
    ['/api/v1/sites/site_00000000000000000000/reports/2026-13', 'there is nothing at this address'],
  ])('says what there is not: %s', async (path, detail) => {
    const { status, body } = await tree.ask(tree.alpha, 'GET', path);
    expect([status, body['detail']]).toEqual([404, detail]);
    expect(body['hint']).toMatch(/of the form (site|inv)_…|must be a month/);
  });

  it('names every field that is wrong, at once', async () => {
    const { body } = await tree.ask(tree.alpha, 'POST', '/api/v1/sites', {
      accountId: 'x',
      name: ' a',
      timeZone: '+02:00',
      settings: { staleAfterDays: -1 },
    });
    expect((body['errors'] as { field: string }[]).map(({ field }) => field)).toEqual([
      'accountId',
      'name',
      'timeZone',
      'note',
      'settings.staleAfterDays',
    ]);
    expect(body['errors']).toContainEqual({ field: 'note', message: 'is missing' });
  });

  it('tells which methods an address takes', async () => {
    expect((await tree.ask(tree.alpha, 'DELETE', '/api/v1/sites')).headers.get('allow')).toContain('POST');
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ''])(
    'refuses a body of the media type %j',
    async (mediaType) => {
      const headers = {
        authorization: `Bearer ${tree.alpha.token}`,
        ...(mediaType === '' ? {} : { 'content-type': mediaType }),
      };
      const response = await tree.app.request('/api/v1/accounts', { method: 'POST', headers, body: '{}' }, {});
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      ]);
    },
  );

  it('hides what failed inside, and logs it once under the number it tells', async () => {
    vi.spyOn(tree.store.tenancy, 'organisations').mockRejectedValue(new TypeError('secret of the inside'));
    const answer = await tree.ask(tree.alpha, 'GET', '/api/v1/organisations');
    expect([answer.status, answer.body['code']]).toEqual([500, 'INTERNAL']);
    expect(JSON.stringify(answer.body)).not.toContain('inside"');
    const logged = tree.log.filter((line) => line.includes('secret of the inside'));
    expect(logged).toHaveLength(1);
    expect(String(answer.body['hint'])).toContain(String(JSON.parse(logged[0]!).requestId));
    expect(answer.headers.get('x-request-id')).toBe(JSON.parse(logged[0]!).requestId);
  });

  it('answers 503 and when to come back while the store does not answer', async () => {
    vi.spyOn(tree.store, 'ping').mockRejectedValue(
      new RollcallError('STORE_UNAVAILABLE', 'the database does not answer', { retryable: true }),
    );
    const answer = await tree.ask(undefined, 'GET', '/health');
    expect([answer.status, answer.body['code'], answer.headers.get('retry-after')]).toEqual([
      503,
      'STORE_UNAVAILABLE',
      '5',
    ]);
  });
});

describe('the log', () => {
  it('has one line a request with the path template, and neither tokens nor identifiers', async () => {
    const before = tree.log.length;
    await tree.ask(tree.alpha, 'GET', `/api/v1/organisations/${tree.alpha.id}`);
    expect(tree.log.length).toBe(before + 1);
    expect(requestLine(tree.log)).toMatchObject({
      method: 'GET',
      path: '/api/v1/organisations/{organisationId}',
      status: 200,
    });
    await tree.ask(tree.alpha, 'GET', `/api/v1/sites?cursor=${tree.alpha.token}`);
    await tree.ask(tree.alpha, 'GET', `/${tree.alpha.token}`);
    expect(requestLine(tree.log)).toMatchObject({ path: 'unmatched', status: 404 });
    expect(tree.log.join('')).not.toContain(tree.alpha.token);
    expect(tree.log.slice(before).join('')).not.toContain(tree.alpha.id);
  });
});

describe('what browsers are told', () => {
  it('is the same on every answer: no frame, no foreign script, no sniffing, no referrer, no other origin', async () => {
    for (const [path, status] of [
      ['/health', 200],
      ['/nothing', 404],
      ['/api/v1/me', 401],
    ] as const) {
      const { headers, status: got } = await tree.ask(undefined, 'GET', path);
      expect(got).toBe(status);
      expect(headers.get('content-security-policy')).toMatch(/default-src 'self'.*frame-ancestors 'none'/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('strict-transport-security')).toContain('max-age=');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('is the dashboard where it was built, with names that change cached for good', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-dashboard-'));
    mkdirSync(join(folder, 'assets'));
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Rollcall</title>');
    writeFileSync(join(folder, 'assets', 'main-abc123.js'), 'export {};');
    writeFileSync(join(folder, 'secret.txt'), 'not served');
    await tree.close();
    tree = await plantTenantTree({ dashboardFolder: folder });
    const page = await tree.app.request('/', {}, {});
    expect([page.status, page.headers.get('cache-control'), page.headers.get('content-type')]).toEqual([
      200,
      'no-cache',
      expect.stringContaining('text/html'),
    ]);
    const asset = await tree.app.request('/assets/main-abc123.js', {}, {});
    expect([asset.status, asset.headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable']);
    for (const path of [
      '/secret.txt',
      '/assets/../secret.txt',
      '/assets/..%2fsecret.txt',
      '/assets/%2e%2e/secret.txt',
      '/assets/..\\secret.txt',
      '/assets/none.js',
    ])
      expect([path, (await tree.app.request(path, {}, {})).status]).toEqual([path, 404]);
    rmSync(folder, { recursive: true });
  });

  it('is that the dashboard was not built, where it was not', async () => {
    const answer = await tree.ask(undefined, 'GET', '/');
    expect([answer.status, answer.body['code']]).toEqual([404, 'DASHBOARD_NOT_BUILT']);
  });
});

describe('the API document', () => {
  it('is OpenAPI 3.1, names its schemas, and every reference leads somewhere', async () => {
    const document = await tree.ok(tree.alpha, 'GET', '/api/v1/openapi.json');
    expect(document['openapi']).toBe('3.1.0');
    expect(document['servers']).toEqual([{ url: 'https://rollcall.example.com' }]);
    const components = document['components'] as {
      schemas: Record<string, unknown>;
      securitySchemes: Record<string, unknown>;
    };
    expect(Object.keys(components.schemas)).toEqual(
      expect.arrayContaining(['SiteView', 'Problem', 'NewProductKey', 'Organisation', 'EnrolRequest']),
    );
    expect(Object.keys(components.securitySchemes)).toEqual(['apiToken']);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name!,
    );
    expect(references.length).toBeGreaterThan(50);
    expect(references.filter((name) => !Object.hasOwn(components.schemas, name))).toEqual([]);
  });

  it('gives every operation a name of its own', async () => {
    const { paths } = (await tree.ok(tree.alpha, 'GET', '/api/v1/openapi.json')) as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const names = Object.values(paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
    expect(names.length).toBe(new Set(names).size);
    expect(names).toContain('getApiV1SitesSiteId'.replace('ApiV1', ''));
  });
});
