/**
 * Keeps a database for one process, since sessions, commands and the look for clones live in the memory of one (decision 0013).
 * Owns what a lock is and that of SQLite, a file beside the database; PostgreSQL's is postgres-node-lock.ts.
 */
import { realpathSync } from 'node:fs';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { holdFile } from '@rollcall/shared/node/file-lock.ts';

export type NodeLock = {
  /**
   * Takes the database until `release`. `onLost` is called once when the lock was lost and somebody else holds it.
   * @throws RollcallError `DATABASE_IN_USE` when another process holds it.
   */
  take(onLost: (error: RollcallError) => void): Promise<void>;
  /** Gives it back; harmless where it is not held. */
  release(): Promise<void>;
};

export const databaseInUse = (by: string): RollcallError =>
  new RollcallError('DATABASE_IN_USE', `another aggregator serves this database already${by}`, {
    retryable: true,
    hint: 'stop it first, or give this one a database of its own: one aggregator serves a database at a time',
  });

/** A database that no other process can reach, or that a test keeps to itself. */
export const noLock: NodeLock = { take: async () => undefined, release: async () => undefined };

/** @param path of the database file, which exists. */
export function sqliteNodeLock(path: string): NodeLock {
  if (path === ':memory:') return noLock;
  let giveBack: (() => void) | undefined;
  return {
    async take() {
      // By its true name: a link to the file is the same database.
      giveBack = holdFile(`${realpathSync(path)}.lock`);
      if (giveBack === undefined) throw databaseInUse('');
    },
    async release() {
      giveBack?.();
    },
  };
}
