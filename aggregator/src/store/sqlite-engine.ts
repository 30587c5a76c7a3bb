/**
 * SQLite behind the store: one connection, every batch one synchronous transaction, so nothing can come between its
 * statements. Prepared statements are kept by their text.
 */
import { pause } from '@rollcall/shared/node/clock.ts';
import { openSqlite, type SqliteDatabase } from '@rollcall/shared/node/sqlite.ts';
import type { Statement } from 'better-sqlite3';
import {
  type Compilable,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteDialect,
  SqliteIntrospector,
  SqliteQueryCompiler,
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
} from './engine.ts';
import { migrateToLatest } from './migrations.ts';
import type { Tables } from './schema.ts';

/** Another process holds the file only for as long as a commit takes; after this many waits it is broken or misused. */
const busyRetriesMax = 100;
const busyRetryDelayMs = 20;

const statementsCachedMax = 500;

/** Page cache: the inner pages of all indexes of a database of tens of thousands of sites. */
const cacheKibibytes = 65_536;

export type SqliteEngine = Engine & {
  /** The cached prepared statement of a text; for the ingest path. */
  prepare: (text: string) => Statement;
  /** Runs `work` in one immediate transaction, again from its start when the file was busy. Never give it a promise. */
  transaction<Result>(work: () => Result): Promise<Result>;
};

/** Opens the file and makes it ready for a server's reads. */
export function openSqliteEngine(path: string): SqliteEngine {
  const database = openSqlite(path);
  database.pragma(`cache_size = -${cacheKibibytes}`);
  database.pragma('temp_store = MEMORY');
  // What a REPLACE removes is seen by the guards of rows, too.
  database.pragma('recursive_triggers = ON');
  refreshStatistics(database);
  return sqliteEngine(database);
}

/**
 * Lets SQLite learn how its indexes are filled, where they grew much: the first page of ten thousand sites' reports then
 * takes a hundredth of the time. Reads a few hundred rows an index at most.
 */
function refreshStatistics(database: SqliteDatabase): void {
  database.pragma('analysis_limit = 400');
  try {
    database.pragma('optimize = 0x10002');
  } catch (error) {
    // Another process writes; statistics can wait for the next start.
    if (!isBusy(error)) throw error;
  }
}

function sqliteEngine(database: SqliteDatabase): SqliteEngine {
  const prepare = statementCache(database);
  const [begin, commit, rollback] = ['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK'].map((text) => database.prepare(text)) as [
    Statement,
    Statement,
    Statement,
  ];

  const attempt = <Result>(work: () => Result): Result => {
    begin.run();
    try {
      const result = work();
      commit.run();
      return result;
    } catch (error) {
      // A full disk or an input/output error has rolled back already.
      if (database.inTransaction) rollback.run();
      throw error;
    }
  };

  const transaction = async <Result>(work: () => Result): Promise<Result> => {
    for (let retries = 0; ; retries++) {
      try {
        return attempt(work);
      } catch (error) {
        if (!isBusy(error) || retries >= busyRetriesMax) throw asStoreError(error);
      }
      await pause(busyRetryDelayMs);
    }
  };

  const all = async <Row>(query: Compilable<Row>): Promise<Row[]> => {
    const { sql, parameters } = query.compile();
    try {
      // Kysely's types say what the columns of STRICT tables give.
      return prepare(sql).all(...parameters) as Row[];
    } catch (error) {
      throw asStoreError(error);
    }
  };

  return {
    dialect: 'sqlite',
    db: new Kysely<Tables>({
      dialect: {
        createAdapter: () => new SqliteAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (db) => new SqliteIntrospector(db),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    }),
    prepare,
    transaction,
    all,
    first: async (query) => (await all(query))[0],
    async batch<Code extends string>(steps: readonly BatchStep<Code>[]): Promise<BatchOutcome<Code>> {
      try {
        await transaction(() => {
          for (const step of steps) runStep(prepare, step);
        });
        return { ok: true };
      } catch (error) {
        if (error instanceof BatchRefused) return { ok: false, code: error.code as Code };
        throw error;
      }
    },
    async migrate() {
      const executing = new Kysely<Tables>({ dialect: new TransactionalSqliteDialect({ database }) });
      await migrateToLatest(executing, 'sqlite', undefined).catch((error: unknown) => {
        throw asStoreError(error);
      });
    },
    async ping() {
      try {
        prepare('SELECT 1').get();
      } catch (error) {
        throw asStoreError(error);
      }
    },
    async close() {
      if (!database.open) return;
      refreshStatistics(database);
      database.close();
    },
  };
}

function runStep(prepare: (text: string) => Statement, step: BatchStep<string>): void {
  if ('into' in step) {
    insertAll(prepare, step);
    return;
  }
  const query = compiled(step.run);
  let changed: number;
  try {
    changed = prepare(query.sql).run(...query.parameters).changes;
  } catch (error) {
    if (step.taken !== undefined && sqliteCode(error) === 'SQLITE_CONSTRAINT_UNIQUE')
      throw new BatchRefused(step.taken);
    throw error;
  }
  if (step.rows === undefined || changed === step.rows) return;
  if (step.otherwise === undefined) throw rowCountMissed(query, step.rows, changed);
  throw new BatchRefused(step.otherwise);
}

function insertAll(prepare: (text: string) => Statement, { into, values }: BulkInsert): void {
  const [first] = values;
  if (first === undefined) return;
  const columns = Object.keys(first);
  const insert = prepare(
    `INSERT INTO ${into} (${columns.join(', ')}) VALUES (${columns.map((column) => `@${column}`).join(', ')})`,
  );
  for (const row of values) insert.run(row);
}

/** Statements by their text, the longest unused one given up first. */
function statementCache(database: SqliteDatabase): (text: string) => Statement {
  const known = new Map<string, Statement>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) {
      known.delete(text);
      known.set(text, found);
      return found;
    }
    const statement = database.prepare(text);
    if (known.size >= statementsCachedMax) {
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    }
    known.set(text, statement);
    return statement;
  };
}

/** SQLite rolls back changes of the schema like any other; Kysely only hopes so where the adapter says it. */
class TransactionalSqliteDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new (class extends SqliteAdapter {
      override get supportsTransactionalDdl(): boolean {
        return true;
      }
    })();
  }
}

/** The result code of SQLite, such as `SQLITE_BUSY`; undefined for an error of another origin. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE_')
    ? error.code
    : undefined;
}

const isBusy = (error: unknown): boolean => sqliteCode(error)?.startsWith('SQLITE_BUSY') ?? false;

/** Results that pass, or that an operator can end, without a change of the program. */
const unavailable: Record<string, string> = {
  SQLITE_BUSY: 'another program holds the database file; run one aggregator per file',
  SQLITE_FULL: 'free some space on the disk',
  SQLITE_IOERR: 'check the disk',
  SQLITE_READONLY: 'make the database file and its folder writable',
  SQLITE_CANTOPEN: 'make the database file and its folder readable and writable',
};

function asStoreError(error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === undefined) return error;
  const hint = unavailable[code.split('_').slice(0, 2).join('_')];
  const message = error instanceof Error ? error.message : code;
  return hint === undefined ? storeFailed(code, message) : storeUnavailable(message, hint);
}
