/** Every operation of the API document, asked by every organisation of a tenant tree on the real store. */
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { permissions } from '../core/permission.ts';
import { BillingWorld } from '../jobs/testing/billing-world.ts';
import { plantTenantTree, type TenantTree } from './testing/tenant-tree.ts';

const tenants = ['vendor', 'north', 'south', 'alpha', 'beta', 'gamma'] as const;
type TenantName = (typeof tenants)[number];

type World = TenantTree & {
  accountId: string;
  siteId: string;
  keyId: string;
  enrolmentTokenId: string;
  agreementId: string;
  invoiceId: string;
  /** One of alpha's that nobody signs in with. */
  spareTokenId: string;
};

/**
 * What an operation is asked with, and by whom it may be. `allowed` must get through to it, `never` is told 403, and for all others the
 * thing asked for does not exist. A list answers everyone; `lists` must be in the answers of `allowed` and in no other.
 */
type Probe = {
  ask: (world: World) => [path: string, body?: unknown];
  allowed: readonly TenantName[];
  never?: readonly TenantName[];
  lists?: (world: World) => string;
};

const branch = ['vendor', 'north', 'alpha'] as const;
const edge = ['north', 'alpha'] as const;
const msps = ['alpha', 'beta', 'gamma'] as const;

let count = 0;
const fresh = (what: string): string => `${what} ${++count}`;
const terms = {
  programme: 'metered-peak',
  currency: 'EUR',
  serverUnitPriceMinor: 950,
  workstationUnitPriceMinor: 300,
  taxRatePercent: '22',
  paymentTermDays: 30,
  timeZone: 'Europe/Rome',
  missingReportPolicy: 'hold',
};

/** One line an operation, by method and path. Everything named belongs to alpha, which stands below north. */
const probes: Record<string, Probe> = {
  'get /api/v1/me': { ask: () => ['/api/v1/me'], allowed: tenants },
  'get /api/v1/organisations': {
    ask: () => ['/api/v1/organisations'],
    allowed: branch,
    lists: ({ alpha }) => alpha.id,
  },
  'post /api/v1/organisations': {
    ask: ({ north }) => [
      '/api/v1/organisations',
      {
        kind: 'msp',
        parentId: north.id,
        name: fresh('MSP'),
        country: 'IT',
        currency: 'EUR',
        taxId: null,
        addressLines: [],
      },
    ],
    allowed: ['vendor', 'north'],
    never: msps,
  },
  'get /api/v1/organisations/{organisationId}': {
    ask: ({ alpha }) => [`/api/v1/organisations/${alpha.id}`],
    allowed: branch,
  },
  'get /api/v1/accounts': { ask: () => ['/api/v1/accounts'], allowed: branch, lists: ({ accountId }) => accountId },
  'post /api/v1/accounts': {
    ask: ({ alpha }) => ['/api/v1/accounts', { mspId: alpha.id, name: fresh('Account'), addressLines: [], note: '' }],
    allowed: branch,
  },
  'get /api/v1/accounts/{accountId}': { ask: ({ accountId }) => [`/api/v1/accounts/${accountId}`], allowed: branch },
  'get /api/v1/sites': { ask: () => ['/api/v1/sites'], allowed: branch, lists: ({ siteId }) => siteId },
  'post /api/v1/sites': {
    ask: ({ accountId }) => ['/api/v1/sites', { accountId, name: fresh('Site'), timeZone: 'Europe/Rome', note: '' }],
    allowed: branch,
  },
  'get /api/v1/sites/{siteId}': { ask: ({ siteId }) => [`/api/v1/sites/${siteId}`], allowed: branch },
  'patch /api/v1/sites/{siteId}': {
    ask: ({ siteId }) => [`/api/v1/sites/${siteId}`, { note: 'changed' }],
    allowed: branch,
  },
  'post /api/v1/sites/{siteId}/clear-flag': {
    ask: ({ siteId }) => [`/api/v1/sites/${siteId}/clear-flag`, {}],
    allowed: branch,
  },
  'get /api/v1/sites/{siteId}/deployments': {
    ask: ({ siteId }) => [`/api/v1/sites/${siteId}/deployments`],
    allowed: branch,
  },
  'get /api/v1/sites/{siteId}/entries': { ask: ({ siteId }) => [`/api/v1/sites/${siteId}/entries`], allowed: branch },
  'get /api/v1/findings': { ask: () => ['/api/v1/findings'], allowed: branch, lists: ({ siteId }) => siteId },
  'get /api/v1/keys': { ask: () => ['/api/v1/keys'], allowed: branch, lists: ({ keyId }) => keyId },
  'post /api/v1/keys': { ask: ({ siteId }) => ['/api/v1/keys', { siteId, product: 'metered-agent' }], allowed: branch },
  'get /api/v1/keys/{keyId}': { ask: ({ keyId }) => [`/api/v1/keys/${keyId}`], allowed: branch },
  'post /api/v1/keys/{keyId}/deactivate': {
    ask: ({ keyId }) => [`/api/v1/keys/${keyId}/deactivate`, {}],
    allowed: branch,
  },
  'post /api/v1/keys/{keyId}/reactivate': {
    ask: ({ keyId }) => [`/api/v1/keys/${keyId}/reactivate`, {}],
    allowed: branch,
  },
  'get /api/v1/enrolment-tokens': {
    ask: () => ['/api/v1/enrolment-tokens'],
    allowed: branch,
    lists: ({ enrolmentTokenId }) => enrolmentTokenId,
  },
  'post /api/v1/enrolment-tokens': { ask: ({ siteId }) => ['/api/v1/enrolment-tokens', { siteId }], allowed: branch },
  'post /api/v1/enrolment-tokens/{tokenId}/withdraw': {
    ask: ({ enrolmentTokenId }) => [`/api/v1/enrolment-tokens/${enrolmentTokenId}/withdraw`, {}],
    allowed: branch,
  },
  'get /api/v1/api-tokens': { ask: () => ['/api/v1/api-tokens'], allowed: branch, lists: ({ alpha }) => alpha.tokenId },
  'post /api/v1/api-tokens': {
    ask: ({ alpha }) => ['/api/v1/api-tokens', { organisationId: alpha.id, name: 'x' }],
    allowed: branch,
  },
  'get /api/v1/reports': { ask: () => ['/api/v1/reports'], allowed: branch, lists: ({ siteId }) => siteId },
  'get /api/v1/reports/csv': { ask: () => ['/api/v1/reports/csv'], allowed: branch, lists: ({ siteId }) => siteId },
  'get /api/v1/sites/{siteId}/reports/{month}': {
    ask: ({ siteId }) => [`/api/v1/sites/${siteId}/reports/2026-01`],
    allowed: branch,
  },
  'get /api/v1/sites/{siteId}/reports/{month}/csv': {
    ask: ({ siteId }) => [`/api/v1/sites/${siteId}/reports/2026-01/csv`],
    allowed: branch,
  },
  'get /api/v1/agreements': {
    ask: () => ['/api/v1/agreements'],
    allowed: edge,
    lists: ({ agreementId }) => agreementId,
  },
  'post /api/v1/agreements': {
    ask: ({ alpha }) => ['/api/v1/agreements', { ...terms, buyerId: alpha.id, validFrom: '2027-01' }],
    allowed: ['north'],
    never: ['vendor', ...msps],
  },
  'get /api/v1/agreements/{agreementId}': {
    ask: ({ agreementId }) => [`/api/v1/agreements/${agreementId}`],
    allowed: edge,
  },
  'get /api/v1/closes': {
    ask: () => ['/api/v1/closes?month=2026-01'],
    allowed: ['north'],
    never: msps,
    lists: ({ agreementId }) => agreementId,
  },
  'post /api/v1/closes': {
    ask: () => ['/api/v1/closes', { month: '2026-01' }],
    allowed: ['north'],
    never: msps,
    lists: ({ agreementId }) => agreementId,
  },
  'get /api/v1/invoices': { ask: () => ['/api/v1/invoices'], allowed: edge, lists: ({ invoiceId }) => invoiceId },
  'get /api/v1/invoices/{invoiceId}': { ask: ({ invoiceId }) => [`/api/v1/invoices/${invoiceId}`], allowed: edge },
  'get /api/v1/invoices/{invoiceId}/lines': {
    ask: ({ invoiceId }) => [`/api/v1/invoices/${invoiceId}/lines`],
    allowed: edge,
  },
  'get /api/v1/invoices/{invoiceId}/lines/{number}/evidence': {
    ask: ({ invoiceId }) => [`/api/v1/invoices/${invoiceId}/lines/1/evidence`],
    allowed: edge,
  },
  'get /api/v1/invoices/{invoiceId}/csv': {
    ask: ({ invoiceId }) => [`/api/v1/invoices/${invoiceId}/csv`],
    allowed: edge,
  },
  'get /api/v1/invoices/{invoiceId}/pdf': {
    ask: ({ invoiceId }) => [`/api/v1/invoices/${invoiceId}/pdf`],
    allowed: edge,
  },
  // Last, since what they end others would miss.
  'post /api/v1/sites/{siteId}/close': { ask: ({ siteId }) => [`/api/v1/sites/${siteId}/close`, {}], allowed: branch },
  'post /api/v1/api-tokens/{tokenId}/revoke': {
    ask: ({ spareTokenId }) => [`/api/v1/api-tokens/${spareTokenId}/revoke`, {}],
    allowed: branch,
  },
};

const openToAll = ['get /health', 'post /site/v1/enrol'];

type Operation = { 'x-rollcall-action'?: string; security?: unknown[] };
type Document = Record<string, unknown> & { paths: Record<string, Record<string, Operation>> };

let world: World;
let operations: Map<string, Operation>;

beforeAll(async () => {
  const tree = await plantTenantTree();
  const billing = new BillingWorld(tree.store);
  const site = await billing.site(tree.alpha, 'Head office', '2026-01-05T10:00:00.000Z');
  site.deploy('2026-01-06T10:00:00.000Z', 'server', 3);
  site.seal('2026-01');
  await site.send();
  const finding = {
    id: 'fnd_00000000000000000000',
    siteId: site.siteId,
    code: 'FORK',
    message: 'a copy',
    at: '2026-02-01T00:00:00.000Z',
  };
  await tree.store.sites.flagSite(site.siteId, 'FORK', finding);
  const shown = await tree.ok(tree.alpha, 'GET', `/api/v1/sites/${site.siteId}`);
  const key = await tree.ok(tree.alpha, 'POST', '/api/v1/keys', { siteId: site.siteId, product: 'metered-agent' });
  const token = await tree.ok(tree.alpha, 'POST', '/api/v1/enrolment-tokens', { siteId: site.siteId });
  const agreement = await tree.ok(tree.north, 'POST', '/api/v1/agreements', {
    ...terms,
    buyerId: tree.alpha.id,
    validFrom: '2026-01',
  });
  await tree.ok(tree.north, 'POST', '/api/v1/closes', { month: '2026-01' });
  const [invoice] = (await tree.ok(tree.north, 'GET', '/api/v1/invoices'))['rows'] as { id: string }[];
  world = {
    ...tree,
    accountId: String(shown['accountId']),
    siteId: site.siteId,
    keyId: String(key['id']),
    enrolmentTokenId: String(token['id']),
    agreementId: String(agreement['id']),
    invoiceId: invoice!.id,
    spareTokenId: (await tree.newToken(tree.alpha.id)).id,
  };
  const { paths } = (await tree.ok(tree.alpha, 'GET', '/api/v1/openapi.json')) as Document;
  operations = new Map(
    Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation]),
    ),
  );
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
    ['GET', ({ north }: World) => `/api/v1/organisations/${north.id}`],
    ['GET', ({ vendor }: World) => `/api/v1/organisations/${vendor.id}`],
    ['POST', ({ north }: World) => `/api/v1/api-tokens/${north.tokenId}/revoke`],
  ])('does not see above itself: %s of the parent’s', async (method, path) => {
    expect((await world.ask(world.beta, method, path(world), method === 'GET' ? undefined : {})).status).toBe(404);
  });

  it.each([
    ['/api/v1/api-tokens', ({ north }: World) => ({ organisationId: north.id, name: 'climb' })],
    ['/api/v1/accounts', ({ north }: World) => ({ mspId: north.id, name: 'climb', addressLines: [], note: '' })],
  ])('makes nothing above itself: POST %s', async (path, body) => {
    expect((await world.ask(world.beta, 'POST', path, body(world))).status).toBe(404);
  });
});
