/** Tables of the Site Manager's file, and how older files are brought forward. `user_version` counts the migrations applied. */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { SqliteDatabase } from '@rollcall/shared/node/sqlite.ts';

/** Migration n brings `user_version` from n to n + 1. A released one is never edited. */
const migrations: readonly string[] = [
  `CREATE TABLE entries (
     seq INTEGER PRIMARY KEY CHECK (seq > 0),
     at TEXT NOT NULL,
     kind TEXT NOT NULL,
     text TEXT NOT NULL,
     hash TEXT NOT NULL
   ) STRICT;
   CREATE INDEX reports ON entries (seq) WHERE kind IN ('month-sealed', 'report-corrected');
   CREATE TABLE endpoints (
     endpoint_id TEXT PRIMARY KEY,
     machine_id TEXT NOT NULL UNIQUE,
     host_name TEXT NOT NULL,
     origin TEXT NOT NULL,
     credential_hash TEXT NOT NULL UNIQUE,
     registered_at TEXT NOT NULL,
     last_heard_at TEXT
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE leases (key_id TEXT PRIMARY KEY, lease TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
];

export const schemaVersion = migrations.length;

/** @throws RollcallError `LEDGER_TOO_NEW` when a later version of the program made the file. */
export function readSchemaVersion(database: SqliteDatabase): number {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version > schemaVersion)
    throw new RollcallError(
      'LEDGER_TOO_NEW',
      `the ledger was written by a newer Site Manager (schema ${version}, this one knows ${schemaVersion})`,
      {
        retryable: false,
        hint: 'update the Site Manager',
      },
    );
  return version;
}

/** Brings the file to this program's schema, each migration whole or not at all. */
export function migrate(database: SqliteDatabase): void {
  for (const [from, statements] of migrations.entries()) {
    if (from < readSchemaVersion(database)) continue;
    database.transaction(() => {
      database.exec(statements);
      database.pragma(`user_version = ${from + 1}`);
    })();
  }
}
