/**
 * PostgreSQL behind the store: each operation one transaction on one client, at READ COMMITTED with the guards of the
 * statements themselves; what the server gave up for a deadlock is run again, a few times.
 */
import { pause } from '@rollcall/shared/node/clock.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import {
  type Compilable,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import {
  type BatchOutcome,
  BatchRefused,
  type BatchStep,
  type BulkInsert,
  compiled,
  type Engine,
  rowCountMissed,
  storeFailed,
  storeUnavailable,
  Undone,
} from './engine.ts';
import { migrateToLatest } from './migrations.ts';
import type { PostgresConnection, RunQuery } from './postgres-connection.ts';
import { ownSchemaOnly } from './postgres-own-schema.ts';
import type { Tables } from './schema.ts';

/** Two writers that met crosswise do not meet the same way again; five meetings are a fault. */
const attemptsMax = 5;
const retryDelayMs = 15;

/** Rows that travel as one JSON text. */
const bulkRowsMax = 5_000;

export type PostgresEngine = Engine & {
  /** One transaction, again from its start when the server gave it up; `work` must have no effect but its queries. */
  transaction<Result>(work: (query: RunQuery) => Promise<Result>): Promise<Result>;
};

export function postgresEngine(connection: PostgresConnection): PostgresEngine {
  const transaction = async <Result>(work: (query: RunQuery) => Promise<Result>): Promise<Result> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await connection.transaction(work);
      } catch (error) {
        if (!isGivenUp(error) || attempt === attemptsMax) throw asStoreError(error);
      }
      await pause(retryDelayMs * attempt);
    }
  };

  const all = async <Row>(query: Compilable<Row>): Promise<Row[]> => {
    const { sql, parameters } = query.compile();
    try {
      // Kysely's types say what typed columns give.
      return (await connection.query(sql, parameters)).rows as Row[];
    } catch (error) {
      throw asStoreError(error);
    }
  };

  return {
    dialect: 'postgres',
    db: new Kysely<Tables>({
      dialect: {
        createAdapter: () => new PostgresAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (db) => new PostgresIntrospector(db),
        createQueryCompiler: () => new PostgresQueryCompiler(),
      },
    }),
    transaction,
    all,
    first: async (query) => (await all(query))[0],
    async batch<Code extends string>(steps: readonly BatchStep<Code>[]): Promise<BatchOutcome<Code>> {
      try {
        await transaction(async (query) => {
          for (const step of steps) await runStep(query, step);
        });
        return { ok: true };
      } catch (error) {
        if (error instanceof BatchRefused) return { ok: false, code: error.code as Code };
        throw error;
      }
    },
    async migrate() {
      const executing = new Kysely<Tables>({ dialect: ownSchemaOnly(connection.executingDialect()) });
      try {
        const [database] = (
          await connection.query(
            `SELECT current_schema() AS schema, current_setting('server_encoding') AS encoding`,
            [],
          )
        ).rows as [{ schema: string | null; encoding: string }];
        if (database.encoding !== 'UTF8')
          throw unusable(`its encoding is ${database.encoding}`, 'make the database with ENCODING UTF8');
        if (database.schema === null) throw noSchema();
        await migrateToLatest(executing, 'postgres', database.schema);
      } catch (error) {
        throw asStoreError(error);
      }
    },
    async ping() {
      try {
        await connection.query('SELECT 1', []);
      } catch (error) {
        throw asStoreError(error);
      }
    },
    close: () => connection.close(),
  };
}

async function runStep(query: RunQuery, step: BatchStep<string>): Promise<void> {
  if ('into' in step) {
    await insertAll(query, step);
    return;
  }
  const run = compiled(step.run);
  let changed: number;
  try {
    ({ changed } = await query(run.sql, run.parameters));
  } catch (error) {
    if (step.taken !== undefined && isTaken(error)) throw new BatchRefused(step.taken);
    throw error;
  }
  if (step.rows === undefined || changed === step.rows) return;
  if (step.otherwise === undefined) throw rowCountMissed(run, step.rows, changed);
  throw new BatchRefused(step.otherwise);
}

async function insertAll(query: RunQuery, { into, values }: BulkInsert): Promise<void> {
  const [first] = values;
  if (first === undefined) return;
  const columns = Object.keys(first).join(', ');
  const text = `INSERT INTO ${into} (${columns}) SELECT ${columns} FROM json_populate_recordset(null::${into}, $1::json)`;
  for (let start = 0; start < values.length; start += bulkRowsMax)
    await query(text, [JSON.stringify(values.slice(start, start + bulkRowsMax))]);
}

/** The five characters of an SQLSTATE; undefined for an error that no server sent. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code)
    ? error.code
    : undefined;
}

/** `serialization_failure` and `deadlock_detected`: the same work may well succeed at the next try. */
const isGivenUp = (error: unknown): boolean => ['40001', '40P01'].includes(sqlState(error) ?? '');

/** `unique_violation`, of another rule than a primary key. */
const isTaken = (error: unknown): boolean =>
  sqlState(error) === '23505' &&
  error instanceof Error &&
  'constraint' in error &&
  typeof error.constraint === 'string' &&
  !error.constraint.endsWith('_pkey');

/** Classes of SQLSTATE that pass, or that an operator ends: connection, sign-in, name of the database, resources, locks, limits. */
const passing = ['08', '28', '3D', '40', '53', '55', '57'];

/** Errors of pg that come from the network carry an errno or none of what a server sends; errors of ours pass through. */
export function asStoreError(error: unknown): unknown {
  if (
    !(error instanceof Error) ||
    error instanceof RollcallError ||
    error instanceof Undone ||
    error instanceof TypeError ||
    error instanceof RangeError
  ) {
    return error;
  }
  const state = sqlState(error);
  const hint = 'check that PostgreSQL runs, can be reached, and lets this program in';
  // Several addresses tried in vain make an error without a text of its own.
  if (state === undefined)
    return storeUnavailable(error.message || ('code' in error ? String(error.code) : error.name), hint);
  // The server's message names tables and rules; its detail, which holds values of rows, is left behind.
  return passing.includes(state.slice(0, 2))
    ? storeUnavailable(error.message, hint)
    : storeFailed(state, error.message);
}

export const noSchema = (): RollcallError =>
  unusable('its search path names no schema that exists', 'make the schema, or change the search path');

const unusable = (why: string, hint: string): RollcallError =>
  new RollcallError('DATABASE_UNUSABLE', `cannot use the PostgreSQL database: ${why}`, { retryable: false, hint });
