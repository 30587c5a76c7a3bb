/** Opens SQLite files the way both daemons need them: durable at each commit, one writer, no frozen event loop. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { RollcallError } from '../domain/problem.ts';
import { makePrivateFolder } from './private-folder.ts';

export type SqliteDatabase = Database.Database;

/**
 * Opens (or makes, readable by its owner alone) a database in WAL mode with synchronous=FULL: a commit that returned is on disk.
 * @throws RollcallError `DATABASE_UNUSABLE` with the path and what to do.
 */
export function openSqlite(
  path: string,
  options: { mustExist?: boolean; readOnly?: boolean; nativeBinding?: string } = {},
): SqliteDatabase {
  const inMemory = path === ':memory:';
  if (options.mustExist === true && !inMemory && !existsSync(path))
    throw new RollcallError('DATABASE_MISSING', `there is no database at ${path}`, { retryable: false });
  try {
    if (!inMemory && options.readOnly !== true && !existsSync(path)) makePrivateFile(path);
    // timeout 0: better-sqlite3's busy wait would freeze the event loop; each file has one writer anyway.
    const database = new Database(path, {
      timeout: 0,
      readonly: options.readOnly === true,
      ...(options.nativeBinding === undefined ? {} : { nativeBinding: options.nativeBinding }),
    });
    if (options.readOnly !== true) {
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
    }
    database.pragma('foreign_keys = ON');
    database.pragma('trusted_schema = OFF');
    return database;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RollcallError('DATABASE_UNUSABLE', `cannot open the database ${path}: ${why}`, {
      retryable: false,
      hint: 'check that the folder exists, may be written to, has free space, and that no other program uses the file',
      cause,
    });
  }
}

/** Databases hold keys and credentials; the files SQLite makes beside this one take over its mode. */
function makePrivateFile(path: string): void {
  makePrivateFolder(dirname(path));
  closeSync(openSync(path, 'a', 0o600));
}
