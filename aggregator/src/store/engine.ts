/**
 * What a database engine does for the store: runs one query, or one atomic batch of statements with expected row counts
 * (architecture, decision 2). Queries are built with Kysely and never executed by it, so that no transaction of ours can
 * be open across an await of somebody else. The engines: sqlite-engine.ts, postgres-engine.ts.
 */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Dialect } from './migrations/dialect.ts';
import type { Tables } from './schema.ts';

/** Builds queries; has no connection of its own. */
export type QueryBuilder = Kysely<Tables>;

/** One statement of a batch, and what it means when it does not go as planned. */
export type Step<Code extends string = never> = {
  run: Compilable | CompiledQuery;
  /** Rows it must change; anything else undoes the batch. Any number when left out. */
  rows?: number;
  /** The outcome when `rows` is missed; without it that is an error of the program and throws. */
  otherwise?: Code;
  /** The outcome when a unique rule (not a primary key) is broken; without it that throws. */
  taken?: Code;
};

/** Many rows into one table: a prepared statement each on SQLite, a few statements with JSON on PostgreSQL. */
export type BulkInsert<Table extends keyof Tables = keyof Tables> = { into: Table; values: readonly Tables[Table][] };

export type BatchStep<Code extends string = never> = Step<Code> | BulkInsert;

export type BatchOutcome<Code extends string> = { ok: true } | { ok: false; code: Code };

export type Engine = {
  readonly dialect: Dialect;
  readonly db: QueryBuilder;
  all<Row>(query: Compilable<Row>): Promise<Row[]>;
  first<Row>(query: Compilable<Row>): Promise<Row | undefined>;
  /** All steps in one durable transaction, or none. A refusal says which `otherwise` or `taken` applied. */
  batch<Code extends string = never>(steps: readonly BatchStep<Code>[]): Promise<BatchOutcome<Code>>;
  migrate(): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
};

export const compiled = (run: Compilable | CompiledQuery): CompiledQuery => ('compile' in run ? run.compile() : run);

/** Thrown within a transaction to undo it and caught by whoever began it; not a failure of the database. */
export class Undone extends Error {}

/** Undoes a batch whose step came out otherwise; never leaves the engine. */
export class BatchRefused extends Undone {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** A statement changed another number of rows than the program is sure of. */
export const rowCountMissed = (query: CompiledQuery, expected: number, changed: number): RollcallError =>
  new RollcallError(
    'STORE_CONTRADICTION',
    `expected ${expected} changed rows, got ${changed}: ${query.sql.slice(0, 200)}`,
    { retryable: false },
  );

/** The database cannot be used at the moment. Its own text is kept, its details (which may hold values of rows) are not. */
export const storeUnavailable = (message: string, hint: string): RollcallError =>
  new RollcallError('STORE_UNAVAILABLE', `the database does not answer: ${message}`, { retryable: true, hint });

export const storeFailed = (code: string, message: string): RollcallError =>
  new RollcallError('STORE_FAILED', `the database refused a statement (${code}): ${message}`, { retryable: false });
