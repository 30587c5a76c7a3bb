/**
 * The Site Manager's disk: its ledger and the soft state beside it, in one SQLite file that one process writes. Owns the
 * atomic application of plans and the reading back; deciding is core/. A commit that returned is on disk.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { utf8Bytes } from '@rollcall/shared/domain/utf8.ts';
import { emptyHead, type Head } from '@rollcall/shared/ledger/chain.ts';
import { type KnownEntry, LedgerEntry, readEntry } from '@rollcall/shared/ledger/entry.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { openSqlite, type SqliteDatabase } from '@rollcall/shared/node/sqlite.ts';
import { z } from 'zod';
import { type EnrolmentBody, firstEnrolment, renewedEnrolment } from '../core/enrolment.ts';
import type { Plan } from '../core/plan.ts';
import type { Reading } from '../core/site-clock.ts';
import { rebuildSite, type SiteState } from '../core/site-state.ts';
import { lockFolder } from './folder-lock.ts';
import { migrate, readSchemaVersion } from './schema.ts';
import { readSoftState, softWriter } from './soft-rows.ts';

/** What can be read of a site's disk, also while another process writes it. */
export type SiteReader = {
  /** The head of the ledger; `emptyHead` where nothing was written yet. */
  head(): Head;
  /** Rebuilds the site. @throws RollcallError `LEDGER_CORRUPT`, `LEDGER_TOO_NEW`, `NOT_ENROLLED`. */
  load(reading: Reading): SiteState;
  /** Entries after a number: at most as many, and at most as many bytes unless the first alone has more. */
  entriesAfter(seq: number, limits: { entriesMax: number; bytesMax: number }): LedgerEntry[];
  /** All entries from number 1 on, read as they are walked. */
  entries(): IterableIterator<LedgerEntry>;
  /** The same with their bodies read. @throws RollcallError `LEDGER_CORRUPT`, `LEDGER_TOO_NEW`. */
  history(): IterableIterator<KnownEntry>;
  /** All reports in the order they were made: sealed months and their corrections. */
  reports(): DeployedAgentsReport[];
  close(): void;
};

export type SiteStore = SiteReader & {
  /** Applies a plan as one transaction. @throws RollcallError `LEDGER_HEAD_MOVED` or `STORE_FAILED`; nothing was applied then. */
  applyPlan(plan: Plan): void;
};

/** Entries read at a time when walking the ledger: other statements may run in between. */
const pageEntries = 1_000;

const databasePath = (dataFolder: string): string => join(dataFolder, 'ledger.db');

/**
 * Opens the folder for writing and keeps others from it. The ledger itself is checked as it is read (`load`, `entries`).
 * @throws RollcallError `ALREADY_RUNNING`, `LEDGER_CORRUPT`, `LEDGER_TOO_NEW`, `DATABASE_UNUSABLE`.
 */
export function openSiteStore(dataFolder: string): SiteStore {
  const unlock = lockFolder(dataFolder);
  try {
    return readable(databasePath(dataFolder), () => {
      const database = openSqlite(databasePath(dataFolder));
      try {
        migrate(database);
        const reader = createReader(database, dataFolder);
        const close = (): void => {
          reader.close();
          unlock();
        };
        return { ...reader, applyPlan: planWriter(database), close };
      } catch (error) {
        database.close();
        throw error;
      }
    });
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Opens the folder for reading only. @throws RollcallError `NOT_ENROLLED` where there is no ledger, and as `openSiteStore`. */
export function openSiteReader(dataFolder: string): SiteReader {
  const path = databasePath(dataFolder);
  if (!existsSync(path)) throw notEnrolled(dataFolder);
  return readable(path, () => {
    const database = openSqlite(path, { mustExist: true, readOnly: true });
    try {
      if (readSchemaVersion(database) === 0) throw notEnrolled(dataFolder);
      const reader = createReader(database, dataFolder);
      if (reader.head().seq === 0) throw notEnrolled(dataFolder);
      return reader;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** Facts of an enrolment; `at` is the best known time of it. */
export type EnrolmentFacts = EnrolmentBody & { at: Instant };

/**
 * Writes the first entry. Harmless to repeat with the same site and key.
 * @throws RollcallError `LEDGER_EXISTS` when the folder has the ledger of another site or key, and as `openSiteStore`.
 */
export function initialiseLedger(dataFolder: string, { at, ...body }: EnrolmentFacts): void {
  const store = openSiteStore(dataFolder);
  try {
    if (store.head().seq === 0) {
      store.applyPlan(firstEnrolment(body, at, nodeDigest));
      return;
    }
    const { identity } = store.load({ wall: at, steadyMs: 0 });
    if (identity.siteId !== body.siteId || identity.publicKey !== body.publicKey)
      throw new RollcallError(
        'LEDGER_EXISTS',
        `${dataFolder} has the ledger of the site "${identity.siteName}" already`,
        {
          retryable: false,
          hint: 'enrol another site with a data folder of its own',
        },
      );
  } finally {
    store.close();
  }
}

/**
 * Appends a fresh enrolment of the same site with its new key pair. Harmless to repeat.
 * @throws RollcallError `LEDGER_OF_OTHER_SITE`, `NOT_ENROLLED`, and as `openSiteStore`.
 */
export function recordReenrolment(dataFolder: string, { at, ...body }: EnrolmentFacts): void {
  const store = openSiteStore(dataFolder);
  try {
    const state = store.load({ wall: at, steadyMs: 0 });
    if (state.identity.siteId !== body.siteId)
      throw new RollcallError(
        'LEDGER_OF_OTHER_SITE',
        `${dataFolder} has the ledger of the site "${state.identity.siteName}"`,
        { retryable: false },
      );
    if (state.identity.publicKey !== body.publicKey) store.applyPlan(renewedEnrolment(state, body, at, nodeDigest));
  } finally {
    store.close();
  }
}

type EntryRow = { seq: number; text: string; hash: string };

function createReader(database: SqliteDatabase, dataFolder: string): SiteReader {
  const path = databasePath(dataFolder);
  const headRow = database.prepare<[], Head>('SELECT seq, hash, at FROM entries ORDER BY seq DESC LIMIT 1');
  const page = database.prepare<[number, number], EntryRow>(
    'SELECT seq, text, hash FROM entries WHERE seq > ? ORDER BY seq LIMIT ?',
  );
  const reportTexts = database
    .prepare<[], string>(`SELECT text FROM entries WHERE kind IN ('month-sealed', 'report-corrected') ORDER BY seq`)
    .pluck();

  /** Every entry as it was written, or an error: a start that trusted a damaged ledger would only be found out by the aggregator. */
  function* rows(): IterableIterator<EntryRow> {
    let after = 0;
    for (;;) {
      const found = readable(path, () => page.all(after, pageEntries));
      for (const row of found) yield checkedRow(row, path);
      const last = found.at(-1);
      if (last === undefined) return;
      after = last.seq;
    }
  }
  function* chained(): IterableIterator<{ entry: KnownEntry; hash: string }> {
    for (const { text, hash } of rows()) yield { entry: knownEntry(text, path), hash };
  }
  return {
    head: () => headRow.get() ?? emptyHead,
    load: (reading) => readable(path, () => rebuildSite(chained(), readSoftState(database), reading)),
    entriesAfter(seq, { entriesMax, bytesMax }) {
      const taken: LedgerEntry[] = [];
      let bytes = 0;
      for (const { text } of page.all(seq, entriesMax)) {
        bytes += utf8Bytes(text);
        if (taken.length > 0 && bytes > bytesMax) break;
        taken.push(envelope(text, path));
      }
      return taken;
    },
    *entries() {
      for (const { text } of rows()) yield envelope(text, path);
    },
    *history() {
      for (const { entry } of chained()) yield entry;
    },
    reports: () =>
      reportTexts.all().map((text) => {
        const entry = knownEntry(text, path);
        if (entry.kind !== 'month-sealed' && entry.kind !== 'report-corrected')
          throw corrupt(path, `entry ${entry.seq} is filed as a report`);
        return entry.body;
      }),
    close: () => database.close(),
  };
}

function planWriter(database: SqliteDatabase): (plan: Plan) => void {
  const head = database.prepare<[], Head>('SELECT seq, hash, at FROM entries ORDER BY seq DESC LIMIT 1');
  const insert = database.prepare('INSERT INTO entries (seq, at, kind, text, hash) VALUES (?, ?, ?, ?, ?)');
  const writeSoft = softWriter(database);
  const apply = database.transaction((plan: Plan) => {
    const current = head.get() ?? emptyHead;
    if (current.seq !== plan.expectedHead.seq || current.hash !== plan.expectedHead.hash)
      throw new RollcallError(
        'LEDGER_HEAD_MOVED',
        `a plan for entry ${plan.expectedHead.seq} met entry ${current.seq}`,
        { retryable: false },
      );
    for (const { entry, text, hash } of plan.entries) insert.run(entry.seq, entry.at, entry.kind, text, hash);
    for (const change of plan.softChanges) writeSoft(change);
  });
  return (plan) => {
    try {
      apply.immediate(plan);
    } catch (cause) {
      if (cause instanceof RollcallError) throw cause;
      throw new RollcallError(
        'STORE_FAILED',
        `cannot write to the ledger: ${cause instanceof Error ? cause.message : ''}`,
        {
          retryable: true,
          hint: 'check that the disk of the data folder has free space and works',
          cause,
        },
      );
    }
  };
}

function checkedRow(row: EntryRow, path: string): EntryRow {
  if (nodeDigest.sha256(row.text) !== row.hash) throw corrupt(path, `entry ${row.seq} does not match its hash`);
  return row;
}

/** What JSON.parse gave is JSON: the body need not be walked once more to know it, which is most of the time of a start. */
const StoredEntry = LedgerEntry.extend({
  body: z.custom<LedgerEntry['body']>((value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
});

function envelope(text: string, path: string): LedgerEntry {
  const read = StoredEntry.safeParse(parseJson(text));
  if (!read.success) throw corrupt(path, 'an entry does not have the form of one');
  return read.data;
}

function knownEntry(text: string, path: string): KnownEntry {
  const read = readEntry(envelope(text, path));
  if (read.ok) return read.entry;
  if (read.code === 'UNKNOWN_KIND')
    throw new RollcallError('LEDGER_TOO_NEW', `the ledger was written by a newer Site Manager: ${read.message}`, {
      retryable: false,
      hint: 'update the Site Manager',
    });
  throw corrupt(path, read.message);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Turns what a damaged file makes SQLite or the readers of rows say into the one error for it. */
function readable<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    const isDamage =
      error instanceof SyntaxError ||
      error instanceof z.ZodError ||
      isDamageCode(error) ||
      (error instanceof RollcallError && isDamageCode(error.cause));
    throw isDamage ? corrupt(path, error instanceof Error ? error.message : 'unreadable', error) : error;
  }
}

const isDamageCode = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  /^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(error.code);

function corrupt(path: string, why: string, cause?: unknown): RollcallError {
  return new RollcallError('LEDGER_CORRUPT', `${path} is damaged: ${why}`, {
    retryable: false,
    hint: 'keep a copy of the data folder and restore it from a backup; what the aggregator acknowledged is safe there',
    cause,
  });
}

const notEnrolled = (dataFolder: string): RollcallError =>
  new RollcallError('NOT_ENROLLED', `there is no ledger in ${dataFolder}`, {
    retryable: false,
    hint: 'enrol this machine with `rollcall-site enrol`',
  });
