/** A real app on a real SQLite store with a tenant tree in it: what the tests of the HTTP layer ask. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { OrganisationKind } from '@rollcall/shared/domain/organisation.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { nodeDigest, systemChance } from '@rollcall/shared/node/crypto.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { apiTokenTextFrom, tokenRandomBytes } from '../../core/token-text.ts';
import { createPdfPress, type PdfPress } from '../../delivery/pdf-press.ts';
import { openStore } from '../../store/open-store.ts';
import type { OrganisationRecord, Store } from '../../store/store.ts';
import { type AppOptions, createApp } from '../app.ts';
import type { AppEnv } from '../context.ts';

export type Answer = {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { rows?: Record<string, unknown>[]; nextCursor?: string | null };
};

/** One organisation of the tree and its token. */
export type Tenant = { id: string; kind: OrganisationKind; path: string; token: string; tokenId: string };

export type GatewayCalls = { changed: string[]; reset: string[]; connected: Set<string> };

export type TenantTree = {
  app: OpenAPIHono<AppEnv>;
  store: Store;
  clock: ManualClock;
  gateway: GatewayCalls;
  press: PdfPress;
  /** Everything that was logged, a line each. */
  log: string[];
  vendor: Tenant;
  north: Tenant;
  south: Tenant;
  /** Below `north`. */
  alpha: Tenant;
  beta: Tenant;
  /** Below `south`. */
  gamma: Tenant;
  ask(caller: Tenant | string | undefined, method: string, path: string, body?: unknown): Promise<Answer>;
  /** The same, and says what came instead where it is not 2xx. */
  ok(caller: Tenant, method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
  newToken(organisationId: string, facts?: { expiresAt?: string }): Promise<{ text: string; id: string }>;
  close(): Promise<void>;
};

export const startOfTests = '2026-03-10T08:00:00.000Z';

export const testLimits: AppOptions['limits'] = {
  bodyBytesMax: 256 * 1024,
  handlerTimeoutMs: 10_000,
  requestsPerTokenPerMinute: 100_000,
  failedSignInsPerAddressPerMinute: 100_000,
};

export async function plantTenantTree(
  options: Partial<Omit<AppOptions, 'limits'>> & { limits?: Partial<AppOptions['limits']> } = {},
): Promise<TenantTree> {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-http-'));
  const log: string[] = [];
  const logger = createLogger({ name: 'test', level: 'trace' }, { write: (line: string) => void log.push(line) });
  const store = await openStore(`sqlite:${join(folder, 'rollcall.db')}`);
  await store.migrate();
  const clock = new ManualClock(startOfTests);
  const press = createPdfPress();
  const gateway: GatewayCalls = { changed: [], reset: [], connected: new Set() };
  const app = createApp(
    {
      store,
      clock,
      chance: systemChance,
      logger,
      press,
      gateway: {
        isConnected: (siteId) => gateway.connected.has(siteId),
        connectedCount: () => gateway.connected.size,
        statusOf: () => undefined,
        siteChanged: (siteId) => void gateway.changed.push(siteId),
        siteReset: (siteId) => void gateway.reset.push(siteId),
      },
      enrol: async () => ({ ok: false, code: 'TOKEN_UNKNOWN', message: 'no such token' }),
    },
    {
      version: '1.2.3',
      publicUrl: () => 'https://rollcall.example.com',
      trustedProxies: 0,
      dashboardFolder: join(folder, 'no-dashboard'),
      isStopping: () => false,
      ...options,
      limits: { ...testLimits, ...options.limits },
    },
  );

  const newToken: TenantTree['newToken'] = async (organisationId, facts = {}) => {
    const text = apiTokenTextFrom(systemChance(tokenRandomBytes));
    const id = idFrom('apiToken', systemChance(idRandomBytes));
    await store.tokens.createApiToken(
      {
        id,
        organisationId,
        name: 'test',
        createdByTokenId: null,
        createdAt: clock.now(),
        expiresAt: facts.expiresAt ?? null,
        lastUsedAt: null,
        revokedAt: null,
      },
      nodeDigest.sha256(text),
    );
    return { text, id };
  };
  const plant = async (
    name: string,
    kind: OrganisationKind,
    parent: OrganisationRecord | null,
  ): Promise<[OrganisationRecord, Tenant]> => {
    const id = idFrom('organisation', systemChance(idRandomBytes));
    const organisation = {
      id,
      kind,
      parentId: parent?.id ?? null,
      name,
      country: 'IT',
      currency: 'EUR',
      taxId: null,
      addressLines: [],
      createdAt: clock.now(),
    };
    const made =
      parent === null
        ? await store.tenancy.createVendor(organisation)
        : await store.tenancy.createOrganisation(organisation, parent);
    if (!made.ok) throw new Error(made.code);
    const { text: token, id: tokenId } = await newToken(id);
    const path = `${parent?.path ?? ''}${id}/`;
    return [
      { ...organisation, path },
      { id, kind, path, token, tokenId },
    ];
  };
  const [vendorRecord, vendor] = await plant('Vendor', 'vendor', null);
  const [northRecord, north] = await plant('North', 'distributor', vendorRecord);
  const [southRecord, south] = await plant('South', 'distributor', vendorRecord);
  const [, alpha] = await plant('Alpha', 'msp', northRecord);
  const [, beta] = await plant('Beta', 'msp', northRecord);
  const [, gamma] = await plant('Gamma', 'msp', southRecord);

  const ask: TenantTree['ask'] = async (caller, method, path, body) => {
    const token = typeof caller === 'string' ? caller : caller?.token;
    const response = await app.request(
      path,
      {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      },
      {},
    );
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : { text };
    return { status: response.status, headers: response.headers, body: json };
  };
  return {
    app,
    store,
    clock,
    gateway,
    press,
    log,
    vendor,
    north,
    south,
    alpha,
    beta,
    gamma,
    ask,
    async ok(caller, method, path, body) {
      const answer = await ask(caller, method, path, body);
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    newToken,
    async close() {
      await press.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
