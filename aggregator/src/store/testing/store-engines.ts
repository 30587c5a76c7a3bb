/** The databases that the contract runs on: SQLite in a temporary file, PGlite, and a real PostgreSQL where one answers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import pg from 'pg';
import type { Engine } from '../engine.ts';
import { storeOn } from '../open-store.ts';
import { connectPostgres } from '../postgres-connection.ts';
import { type PostgresEngine, postgresEngine, sqlState } from '../postgres-engine.ts';
import { postgresIngest } from '../postgres-ingest.ts';
import { openSqliteEngine } from '../sqlite-engine.ts';
import { sqliteIngest } from '../sqlite-ingest.ts';
import type { Store } from '../store.ts';
import { openPglite } from './pglite-connection.ts';

export type OpenedStore = {
  store: Store;
  engine: Engine;
  /** Runs SQL past the store, as an operator at the database's own prompt would. */
  execute: (text: string) => Promise<void>;
  /** How often the server has given a transaction up for a deadlock so far; the engine runs such a one again. */
  deadlocks: () => number;
  dispose(): Promise<void>;
};

export type StoreEngine = { name: string; open(): Promise<OpenedStore> };

const testPostgresUrl = process.env['ROLLCALL_TEST_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/test';
let schemas = 0;

const opened = <Kind extends Engine>(
  engine: Kind,
  store: Store,
  dispose: () => Promise<void>,
  deadlocks: () => number = () => 0,
): OpenedStore & { engine: Kind } => ({
  engine,
  store,
  execute: async (text) => {
    await engine.batch([{ run: CompiledQuery.raw(text) }]);
  },
  deadlocks,
  dispose,
});

export const sqliteStore: StoreEngine = {
  name: 'SQLite',
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'rollcall-store-'));
    const engine = openSqliteEngine(join(folder, 'rollcall.db'));
    return opened(engine, storeOn(engine, sqliteIngest(engine)), async () => {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    });
  },
};

export const pgliteStore: StoreEngine = {
  name: 'PGlite',
  async open() {
    const engine = postgresEngine(await openPglite());
    return opened(engine, storeOn(engine, postgresIngest(engine)), () => engine.close());
  },
};

/** An empty schema of the real PostgreSQL, and the address that leads to it. */
export async function openSchema(): Promise<{ url: string; drop(): Promise<void> }> {
  const schema = `rollcall_test_${process.pid}_${Date.now()}_${schemas++}`;
  await onPostgres(`CREATE SCHEMA ${schema}`);
  const url = new URL(testPostgresUrl);
  url.searchParams.set('options', `-c search_path=${schema}`);
  return { url: url.href, drop: () => onPostgres(`DROP SCHEMA ${schema} CASCADE`) };
}

/** Each opening has a schema of its own, dropped with it. */
export async function openPostgres(): Promise<OpenedStore & { engine: PostgresEngine }> {
  const schema = await openSchema();
  let deadlocks = 0;
  const connection = connectPostgres(schema.url);
  const engine = postgresEngine({
    ...connection,
    transaction: (work) =>
      connection.transaction(work).catch((error: unknown) => {
        if (sqlState(error) === '40P01') deadlocks += 1;
        throw error;
      }),
  });
  const dispose = async (): Promise<void> => {
    await engine.close();
    await schema.drop();
  };
  return opened(engine, storeOn(engine, postgresIngest(engine)), dispose, () => deadlocks);
}

export const postgresStore: StoreEngine = { name: 'PostgreSQL', open: openPostgres };

/** Why the real PostgreSQL cannot be tested on; undefined where it can. */
export async function postgresMissing(): Promise<string | undefined> {
  try {
    await onPostgres('SELECT 1');
    return undefined;
  } catch (error) {
    return `no PostgreSQL answers at ${new URL(testPostgresUrl).host} (set ROLLCALL_TEST_POSTGRES): ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function onPostgres(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: testPostgresUrl, connectionTimeoutMillis: 3_000 });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
