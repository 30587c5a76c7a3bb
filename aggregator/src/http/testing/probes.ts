/** One request to every operation of the API, in a world that has something to answer each; for tests that drive them all. */
import { BillingWorld } from '../../jobs/testing/billing-world.ts';
import { plantTenantTree, type TenantTree } from './tenant-tree.ts';

export const tenants = ['vendor', 'north', 'south', 'alpha', 'beta', 'gamma'] as const;
type TenantName = (typeof tenants)[number];

export type ProbedWorld = TenantTree & {
  accountId: string;
  siteId: string;
  /** Another, that has no key and no Site Manager. */
  keylessSiteId: string;
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
export type Probe = {
  ask: (world: ProbedWorld) => [path: string, body?: unknown];
  allowed: readonly TenantName[];
  never?: readonly TenantName[];
  lists?: (world: ProbedWorld) => string;
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
export const probes: Record<string, Probe> = {
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
  'post /api/v1/keys': {
    ask: ({ keylessSiteId }) => ['/api/v1/keys', { siteId: keylessSiteId, product: 'metered-agent' }],
    allowed: branch,
  },
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
  'get /api/v1/closes/due': {
    ask: () => ['/api/v1/closes/due'],
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

/** Operations without sign-in. */
export const openToAll = ['get /health', 'post /site/v1/enrol'];

/** An operation as the document shows it. */
export type Operation = {
  'x-rollcall-action'?: string;
  security?: unknown[];
  description?: string;
  parameters?: { name: string; in: string; schema: { enum?: string[]; default?: unknown } }[];
  requestBody?: object;
  responses: Record<string, { description: string; content: Record<string, { schema: object }> }>;
};
export type ApiDocument = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object & { description?: string }> };
};

export async function plantProbedWorld(): Promise<ProbedWorld> {
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
  const keyless = await tree.ok(tree.alpha, 'POST', '/api/v1/sites', {
    accountId: shown['accountId'],
    name: 'Warehouse',
    timeZone: 'Europe/Rome',
    note: '',
  });
  const token = await tree.ok(tree.alpha, 'POST', '/api/v1/enrolment-tokens', { siteId: site.siteId });
  const agreement = await tree.ok(tree.north, 'POST', '/api/v1/agreements', {
    ...terms,
    buyerId: tree.alpha.id,
    validFrom: '2026-01',
  });
  await tree.ok(tree.north, 'POST', '/api/v1/closes', { month: '2026-01' });
  const [invoice] = (await tree.ok(tree.north, 'GET', '/api/v1/invoices'))['rows'] as { id: string }[];
  return {
    ...tree,
    accountId: String(shown['accountId']),
    siteId: site.siteId,
    keylessSiteId: String(keyless['id']),
    keyId: String(key['id']),
    enrolmentTokenId: String(token['id']),
    agreementId: String(agreement['id']),
    invoiceId: String(invoice?.id),
    spareTokenId: (await tree.newToken(tree.alpha.id)).id,
  };
}

/** The document as the app publishes it, and its operations by method and path. */
export async function publishedApi(
  world: ProbedWorld,
): Promise<{ document: ApiDocument; operations: Map<string, Operation> }> {
  const document = (await world.ok(world.alpha, 'GET', '/api/v1/openapi.json')) as unknown as ApiDocument;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation] as const),
  );
  return { document, operations: new Map(operations) };
}
