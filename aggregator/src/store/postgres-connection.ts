/**
 * A pool of connections to PostgreSQL, narrowed to what the store's engine uses: reads of one statement, and transactions that
 * are on disk when they are over. PGlite stands in for it in tests.
 */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { type Dialect, PostgresDialect } from 'kysely';
import pg from 'pg';

/** Rows of a query, or the number of rows that a statement changed. */
export type QueryResult = { rows: unknown[]; changed: number };
export type RunQuery = (text: string, values: readonly unknown[]) => Promise<QueryResult>;

export type PostgresConnection = {
  /** One statement of its own, which reads. */
  query: RunQuery;
  /** Runs `work` once between BEGIN and COMMIT on one client; whatever it throws rolls back. */
  transaction<Result>(work: (query: RunQuery) => Promise<Result>): Promise<Result>;
  /** Executes for Kysely's migrator. */
  executingDialect(): Dialect;
  close(): Promise<void>;
};

const connectionsMax = 10;
const connectTimeoutMs = 5_000;
/** Longer than the close of a large month takes, shorter than anyone waits. */
const statementTimeoutMs = 60_000;
/** A little later than the server's own limit: for a server that does not even say that it gave up. */
const muteServerMs = 5_000;
const idleInTransactionTimeoutMs = 30_000;

/**
 * A server, role or database may be set to `synchronous_commit = off`: what was acknowledged to a site would be gone with the
 * power. So each transaction says for itself that it waits for the disk; and its statements have their own time.
 */
const beginText = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = ${statementTimeoutMs}`;

const int8Oid = 20;

export type PostgresOptions = {
  logger?: Logger | undefined;
  /** Longest time of a read, where somebody waits for it who gives up. */
  readTimeoutMs?: number | undefined;
};

/** Connects when first used. @throws RollcallError `DATABASE_URL_INVALID`, without the URL: it may hold a password. */
export function connectPostgres(
  databaseUrl: string,
  { logger, readTimeoutMs = statementTimeoutMs }: PostgresOptions = {},
): PostgresConnection {
  if (!URL.canParse(databaseUrl)) {
    throw new RollcallError('DATABASE_URL_INVALID', 'the database URL is not a URL', {
      retryable: false,
      hint: 'write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the password percent-encoded',
    });
  }
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: 'rollcall',
    max: connectionsMax,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: readTimeoutMs,
    query_timeout: statementTimeoutMs + muteServerMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    keepAlive: true,
    types: { getTypeParser },
  });
  const onError = (error: Error): void =>
    logger?.warn({ err: { message: error.message } }, 'a connection to PostgreSQL broke');
  pool.on('error', onError);
  // A client that breaks between two queries of a transaction tells nobody else; the next query fails by itself.
  pool.on('connect', (client) => client.on('error', onError));

  const on =
    (client: pg.Pool | pg.PoolClient, limits: { query_timeout?: number } = {}): RunQuery =>
    async (text, values) => {
      const asked: pg.QueryConfig & { query_timeout?: number } = { text, values: [...values], ...limits };
      const result = await client.query(asked);
      return { rows: result.rows, changed: result.rowCount ?? 0 };
    };

  let closed: Promise<void> | undefined;
  return {
    query: on(pool, { query_timeout: readTimeoutMs + muteServerMs }),
    async transaction(work) {
      const client = await pool.connect();
      let broken = false;
      try {
        await client.query(beginText);
        const result = await work(on(client));
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {
          broken = true;
        });
        throw error;
      } finally {
        client.release(broken);
      }
    },
    executingDialect: () => new PostgresDialect({ pool }),
    close: () => (closed ??= pool.end()),
  };
}

/** int8 comes as text, since it may exceed what a number holds; here it never may. */
export function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RollcallError('STORE_CONTRADICTION', `the database holds ${text}, more than a number can`, {
      retryable: false,
    });
  return value;
}

// The signature is pg's own, overloaded by format; only int8 is read otherwise than pg reads it.
const getTypeParser: typeof pg.types.getTypeParser = ((oid: number, format?: 'text' | 'binary') =>
  oid === int8Oid && format !== 'binary'
    ? safeInteger
    : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser;
