/**
 * Keeps a schema of PostgreSQL for one process: an advisory lock of a session, on a connection of its own that does nothing else.
 * The server gives the lock back when that connection ends; this side notices, takes it again, and says so where it cannot.
 */
import type { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { pause } from '@rollcall/shared/node/clock.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import pg from 'pg';
import { databaseInUse, type NodeLock } from './node-lock.ts';
import { asStoreError, noSchema } from './postgres-engine.ts';

/** A process that was killed, or is just ending, is gone within this time; after it the database is in use. */
const takeAttemptsMax = 15;
const takeRetryMs = 200;
/** How soon a connection that is dead without a word is noticed, and how soon a lost lock is tried again. */
const pingIntervalMs = 15_000;
const retakeMs = 1_000;
const connectTimeoutMs = 5_000;
const queryTimeoutMs = 10_000;
const endTimeoutMs = 1_000;

/** The server, too, gives up a machine that is gone without a word: another node can then take over within a minute. */
const noticeDeadPeer = 'SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4';

/** "roll" in ASCII, then the schema: each schema of a database may have a node of its own. */
const key = '((1919904876::bigint << 32) | (SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()))';

/** The session that holds the lock now. */
const holder = `SELECT activity.pid, activity.backend_start::text AS started, host(activity.client_addr) AS address
  FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
  WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = ${key}`;

type Holder = { pid: number; started: string; address: string | null };

export function postgresNodeLock(databaseUrl: string, logger: Logger | undefined): NodeLock {
  const released = new AbortController();
  let client: pg.Client | undefined;
  let kept: Promise<void> = Promise.resolve();
  /** This process as the lock's last holder: a session that the server still believes in may be its own. */
  let self: Holder | undefined;

  /** Connects and takes the lock. Says who holds it where that is somebody else. @throws when the server cannot be asked. */
  const acquire = async (): Promise<{ ok: true } | { ok: false; holder: Holder | undefined }> => {
    const next = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'rollcall node',
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      keepAlive: true,
    });
    // Heard by `broken`; an error that nobody hears would end the process.
    next.on('error', () => undefined);
    try {
      await next.connect();
      await next.query(noticeDeadPeer);
      const locked = await next.query<{ taken: boolean | null }>(`SELECT pg_try_advisory_lock(${key}) AS taken`);
      const held = (await next.query<Holder>(holder)).rows[0];
      if (locked.rows[0]?.taken === null) throw noSchema();
      if (locked.rows[0]?.taken === true) {
        self = held;
        client = next;
        return { ok: true };
      }
      if (isSame(held, self)) await next.query('SELECT pg_terminate_backend($1)', [held?.pid]);
      await ended(next);
      return { ok: false, holder: held };
    } catch (error) {
      void ended(next);
      throw error;
    }
  };

  /** Resolves when the connection that holds the lock is gone, or the lock was given back. */
  const broken = async (held: pg.Client): Promise<void> => {
    const gone = new AbortController();
    released.signal.addEventListener('abort', () => gone.abort(), { signal: gone.signal });
    held.once('end', () => gone.abort());
    held.once('error', () => gone.abort());
    while (!gone.signal.aborted) {
      await pause(pingIntervalMs, gone.signal);
      if (gone.signal.aborted) break;
      await held.query('SELECT 1').catch(() => gone.abort());
    }
  };

  /** Takes a lost lock again. False when somebody else has it. */
  const retake = async (): Promise<boolean> => {
    while (!released.signal.aborted) {
      try {
        const taken = await acquire();
        if (taken.ok) return true;
        if (!isSame(taken.holder, self) && taken.holder !== undefined) return false;
      } catch {
        // The server is away: nobody else can take it either.
      }
      await pause(retakeMs, released.signal);
    }
    return true;
  };

  const keep = async (onLost: (error: RollcallError) => void): Promise<void> => {
    while (!released.signal.aborted && client !== undefined) {
      await broken(client);
      if (released.signal.aborted) return;
      logger?.warn('the connection that holds the database for this aggregator broke');
      void ended(client);
      client = undefined;
      if (!(await retake()))
        return onLost(databaseInUse(': it took it over when the connection broke that held it here'));
      if (!released.signal.aborted) logger?.info('the database is held again');
    }
  };

  return {
    async take(onLost) {
      try {
        for (let attempt = 1; ; attempt++) {
          const taken = await acquire();
          if (taken.ok) break;
          if (attempt === takeAttemptsMax) throw databaseInUse(told(taken.holder));
          await pause(takeRetryMs);
        }
      } catch (error) {
        throw asStoreError(error);
      }
      kept = keep(onLost);
    },
    async release() {
      released.abort();
      await kept;
      if (client !== undefined) await ended(client);
      client = undefined;
    },
  };
}

/** Ends a connection; one that is dead does not say so, and is not waited for. */
async function ended(client: pg.Client): Promise<void> {
  const over = new AbortController();
  await Promise.race([client.end().catch(() => undefined), pause(endTimeoutMs, over.signal)]);
  over.abort();
}

const isSame = (a: Holder | undefined, b: Holder | undefined): boolean =>
  a !== undefined && b !== undefined && a.pid === b.pid && a.started === b.started;

const told = (by: Holder | undefined): string =>
  by === undefined ? '' : `, from ${by.address ?? 'the machine of the database'}`;
