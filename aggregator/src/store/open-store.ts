/** Opens the store a database URL names: `sqlite:PATH` or `postgres://…`. The caller migrates it before anything else. */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { billingStore } from './billing-store.ts';
import type { Engine } from './engine.ts';
import { enrolmentStore } from './enrolment-store.ts';
import { keyStore } from './key-store.ts';
import { ledgerReads } from './ledger-reads.ts';
import { type NodeLock, noLock, sqliteNodeLock } from './node-lock.ts';
import { connectPostgres, type PostgresOptions } from './postgres-connection.ts';
import { postgresEngine } from './postgres-engine.ts';
import { postgresIngest } from './postgres-ingest.ts';
import { postgresNodeLock } from './postgres-node-lock.ts';
import { reportStore } from './report-store.ts';
import { secretStore } from './secret-store.ts';
import { siteStore } from './site-store.ts';
import { openSqliteEngine } from './sqlite-engine.ts';
import { sqliteIngest } from './sqlite-ingest.ts';
import type { IngestStore, Store } from './store.ts';
import { tenancyStore } from './tenancy-store.ts';
import { tokenStore } from './token-store.ts';

/**
 * `readTimeoutMs` bounds the reads of people, where the database is a server.
 * @throws RollcallError `DATABASE_URL_INVALID`; `DATABASE_UNUSABLE` when a SQLite file cannot be opened. Neither shows the
 * URL, which may hold a password.
 */
export async function openStore(databaseUrl: string, options: PostgresOptions = {}): Promise<Store> {
  const [scheme] = databaseUrl.split(':', 1);
  switch (scheme) {
    case 'sqlite': {
      const path = databaseUrl.slice('sqlite:'.length);
      if (path === '') throw invalidUrl('sqlite: needs a path, such as sqlite:./data/rollcall.db');
      const engine = openSqliteEngine(path);
      return storeOn(engine, sqliteIngest(engine), { nodeLock: sqliteNodeLock(path) });
    }
    case 'postgres':
    case 'postgresql': {
      const engine = postgresEngine(connectPostgres(databaseUrl, options));
      // Connections of their own: however long people's lists take, sites connect and are acknowledged.
      const siteEngine = postgresEngine(connectPostgres(databaseUrl, { logger: options.logger }));
      const nodeLock = postgresNodeLock(databaseUrl, options.logger);
      return storeOn(engine, postgresIngest(siteEngine), { siteEngine, nodeLock });
    }
    default:
      throw invalidUrl('it begins neither with sqlite: nor with postgres://');
  }
}

/**
 * The store on an engine; `ingest` is the engine's own way of committing groups, `nodeLock` of keeping others away. What the
 * gateway asks goes to `siteEngine`, what people ask to `engine`, where these are two.
 */
export function storeOn(
  engine: Engine,
  ingest: Pick<IngestStore, 'apply'>,
  { siteEngine = engine, nodeLock = noLock }: { siteEngine?: Engine; nodeLock?: NodeLock } = {},
): Store {
  const [ofSites, ofKeys, ofLedgers] = [siteStore(siteEngine), keyStore(siteEngine), ledgerReads(siteEngine)];
  const { entries } = ledgerReads(engine);
  return {
    tenancy: tenancyStore(engine),
    tokens: tokenStore(engine),
    sites: {
      ...siteStore(engine),
      ...enrolmentStore(siteEngine),
      flagSite: (siteId, flag, finding) => ofSites.flagSite(siteId, flag, finding),
      recordContacts: (contacts) => ofSites.recordContacts(contacts),
    },
    keys: {
      ...keyStore(engine),
      keysOfSite: (siteId) => ofKeys.keysOfSite(siteId),
      pendingCommands: (siteId, limit) => ofKeys.pendingCommands(siteId, limit),
      recordLeases: (leases) => ofKeys.recordLeases(leases),
    },
    ingest: { ...ingest, ...ofLedgers, entries },
    reports: reportStore(engine),
    billing: billingStore(engine),
    secrets: secretStore(engine),
    occupy: (onLost) => nodeLock.take(onLost),
    migrate: () => siteEngine.migrate(),
    ping: () => engine.ping(),
    async close() {
      await Promise.all([engine, siteEngine].map((each) => each.close()));
      // Last, so that whoever waits for the database finds it left alone.
      await nodeLock.release();
    },
  };
}

const invalidUrl = (why: string): RollcallError =>
  new RollcallError('DATABASE_URL_INVALID', `the database URL cannot be used: ${why}`, {
    retryable: false,
    hint: 'write sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE',
  });
