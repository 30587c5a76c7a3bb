/** A file that one process at a time holds: a lock that the operating system takes back whatever way its holder ends. */
import { RollcallError } from '../domain/problem.ts';
import { openSqlite } from './sqlite.ts';

/**
 * Holds the file, which is made where there is none; the result gives it back. Undefined where another process, or this one, holds it
 * already. An open write transaction is the lock: SQLite knows how to lock a file on every system, and a killed process leaves
 * nothing behind.
 * @throws RollcallError `DATABASE_UNUSABLE` when the file cannot be made.
 */
export function holdFile(path: string): (() => void) | undefined {
  try {
    const database = openSqlite(path);
    try {
      database.exec('BEGIN IMMEDIATE');
    } catch (error) {
      database.close();
      throw error;
    }
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      database.exec('ROLLBACK');
      database.close();
    };
  } catch (error) {
    if (isBusy(error) || (error instanceof RollcallError && isBusy(error.cause))) return undefined;
    throw error;
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE_BUSY');
