import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from './sqlite.ts';

describe('opening a database', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rollcall-sqlite-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('makes the folders above it, for their owner alone, and syncs each commit', () => {
    const database = openSqlite(join(folder, 'a', 'b', 'site.db'));
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
    database.exec('CREATE TABLE t (x)');
    expect(statSync(join(folder, 'a', 'b')).mode & 0o777).toBe(0o700);
    for (const file of ['site.db', 'site.db-wal'])
      expect(statSync(join(folder, 'a', 'b', file)).mode & 0o777).toBe(0o600);
    database.close();
  });

  it.skipIf(!existsSync('/proc/self'))(
    'says that it cannot where no folder can be made, instead of trying for ever',
    () => {
      expect(() => openSqlite('/proc/nowhere/site.db')).toThrow(expect.objectContaining({ code: 'DATABASE_UNUSABLE' }));
    },
  );

  it('says that there is none where one must be', () => {
    expect(() => openSqlite(join(folder, 'site.db'), { mustExist: true })).toThrow(
      expect.objectContaining({ code: 'DATABASE_MISSING' }),
    );
  });
});
