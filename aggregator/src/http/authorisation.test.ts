/** Every operation of the API document, asked by every organisation of a tenant tree on the real store. */
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { permissions } from '../core/permission.ts';
import {
  openToAll,
  type Operation,
  plantProbedWorld,
  type ProbedWorld,
  probes,
  publishedApi,
  tenants,
} from './testing/probes.ts';

let world: ProbedWorld;
let operations: Map<string, Operation>;

beforeAll(async () => {
  world = await plantProbedWorld();
  ({ operations } = await publishedApi(world));
});
afterAll(() => world.close());

/** Routes of an app that the document does not know: nobody would have said who may use them. */
function undeclared(routes: readonly { method: string; path: string }[], declared: ReadonlySet<string>): string[] {
  return routes
    .filter(({ method, path }) => method !== 'ALL' && /^\/(api|site)\//.test(path) && path !== '/api/v1/openapi.json')
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    .filter((operation) => !declared.has(operation));
}

describe('every operation', () => {
  it('says in the document which action it is, or that it is open to all', () => {
    const actions = new Set(Object.keys(permissions));
    const known = [...operations]
      .filter(([, operation]) => actions.has(operation['x-rollcall-action'] ?? ''))
      .map(([name]) => name);
    const open = [...operations]
      .filter(([, operation]) => operation['x-rollcall-action'] === 'public')
      .map(([name]) => name);
    expect(open.toSorted()).toEqual(openToAll);
    expect([...known, ...open].toSorted()).toEqual([...operations.keys()].toSorted());
    for (const name of known) expect([name, operations.get(name)?.security]).toEqual([name, [{ apiToken: [] }]]);
  });

  it('is in the document, whatever the app answers below /api and /site', () => {
    expect(world.app.routes.length).toBeGreaterThan(operations.size);
    expect(undeclared(world.app.routes, new Set(operations.keys()))).toEqual([]);
    const planted = new Hono().get('/api/v1/secrets/:secretId', (context) => context.text('')).routes;
    expect(undeclared(planted, new Set(operations.keys()))).toEqual(['get /api/v1/secrets/{secretId}']);
  });

  it('has a probe here', () => {
    expect(Object.keys(probes).toSorted()).toEqual(
      [...operations.keys()].filter((name) => !openToAll.includes(name)).toSorted(),
    );
  });

  it.each(Object.keys(probes))('%s: is not answered without a token, or with one nobody has', async (name) => {
    const [path, body] = probes[name]!.ask(world);
    const method = name.split(' ')[0]!.toUpperCase();
    for (const token of [undefined, 'rc_00000000000000000000000000000000000000ab', 'Bearer', `${world.alpha.token}0`]) {
      const answer = await world.ask(token, method, path, body);
      expect([answer.status, answer.body['code']]).toEqual([401, 'UNAUTHENTICATED']);
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });
});

describe('every organisation', () => {
  it.each(Object.keys(probes))('%s: is answered to whom it concerns and to nobody else', async (name) => {
    const { ask, allowed, never = [], lists } = probes[name]!;
    const method = name.split(' ')[0]!.toUpperCase();
    // Those who may not come first: had they an effect, those who may would stumble over it.
    for (const tenant of tenants.toSorted((a, b) => Number(allowed.includes(a)) - Number(allowed.includes(b)))) {
      const [path, body] = ask(world);
      const { status, body: answered } = await world.ask(world[tenant], method, path, body);
      const text = JSON.stringify(answered);
      if (never.includes(tenant)) expect([tenant, status, answered['code']]).toEqual([tenant, 403, 'NOT_ALLOWED']);
      else if (lists !== undefined) {
        expect([tenant, status]).toEqual([tenant, 200]);
        expect([tenant, text.includes(lists(world))]).toEqual([tenant, allowed.includes(tenant)]);
      } else if (allowed.includes(tenant))
        expect([tenant, [401, 403, 404, 500].includes(status), text]).toEqual([tenant, false, text]);
      else expect([tenant, status, answered['code']]).toEqual([tenant, 404, 'NOT_FOUND']);
    }
  });

  it.each([
    ['GET', ({ north }: ProbedWorld) => `/api/v1/organisations/${north.id}`],
    ['GET', ({ vendor }: ProbedWorld) => `/api/v1/organisations/${vendor.id}`],
    ['POST', ({ north }: ProbedWorld) => `/api/v1/api-tokens/${north.tokenId}/revoke`],
  ])('does not see above itself: %s of the parent’s', async (method, path) => {
    expect((await world.ask(world.beta, method, path(world), method === 'GET' ? undefined : {})).status).toBe(404);
  });

  it.each([
    ['/api/v1/api-tokens', ({ north }: ProbedWorld) => ({ organisationId: north.id, name: 'climb' })],
    ['/api/v1/accounts', ({ north }: ProbedWorld) => ({ mspId: north.id, name: 'climb', addressLines: [], note: '' })],
  ])('makes nothing above itself: POST %s', async (path, body) => {
    expect((await world.ask(world.beta, 'POST', path, body(world))).status).toBe(404);
  });
});
