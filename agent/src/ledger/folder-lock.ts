/** One process writes a data folder: a lock that the operating system takes back whatever way its holder ends. */
import { join } from 'node:path';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { openSqlite } from '@rollcall/shared/node/sqlite.ts';

/**
 * Takes the lock; the result gives it back. A write transaction on a file of its own is the lock: readers of the ledger are not
 * kept out by it, and a killed process leaves nothing behind.
 * @throws RollcallError `ALREADY_RUNNING`.
 */
export function lockFolder(dataFolder: string): () => void {
  const path = join(dataFolder, 'site.lock');
  try {
    const database = openSqlite(path);
    try {
      database.exec('BEGIN IMMEDIATE');
    } catch (error) {
      database.close();
      throw error;
    }
    return () => {
      database.exec('ROLLBACK');
      database.close();
    };
  } catch (error) {
    if (!isBusy(error) && !(error instanceof RollcallError && isBusy(error.cause))) throw error;
    throw new RollcallError('ALREADY_RUNNING', `another Site Manager is running on ${dataFolder}`, {
      retryable: true,
      hint: 'stop it first, or give this one a data folder of its own',
      cause: error,
    });
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE_BUSY');
