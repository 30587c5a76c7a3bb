import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { CompiledQuery } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from './open-store.ts';
import { openSqliteEngine, type SqliteEngine } from './sqlite-engine.ts';

const hash = 'a'.repeat(64);
const at = '2026-03-10T08:00:00.000Z';
const invoice = (id: string, number: string, position: number, kind = 'invoice') =>
  `INTO invoices (id, kind, state, number, position, seller_id, buyer_id, seller_name, buyer_name, seller_address_lines,
    seller_country, buyer_address_lines, buyer_country, agreement_id, month, currency, net_minor, tax_rate_percent, tax_minor, gross_minor,
    refers_to_id, refers_to_number, created_at, finalised_at, due_on, missing_reports, missing_unbilled)
  VALUES ('${id}', '${kind}', 'finalised', '${number}', ${position}, 'org_s', 'org_b', 'S', 'B', '[]', 'IT', '[]', 'IT', 'agr_1', '2026-01', 'EUR', 0, '0', 0, 0, ${kind === 'invoice' ? 'NULL' : `'inv_1'`}, NULL, '${at}', '${at}', NULL, 0, 0)`;
const entry = (text: string) =>
  `INTO site_log (site_id, seq, at, kind, hash, received_at, text) VALUES ('site_1', 1, '${at}', 'note', '${hash}', '${at}', '${text}')`;
const report = (agreeing: number) =>
  `INTO report_revisions VALUES ('site_1', '2026-01', 1, 1, '${hash}', ${agreeing}, '${at}', 0, 0, '{}')`;

describe('rows that never change on SQLite', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rollcall-guards-'));
    path = join(folder, 'rollcall.db');
    const store = await openStore(`sqlite:${path}`);
    await store.migrate();
    await store.close();
    const prompt = atPrompt();
    for (const row of [entry('first'), report(0), invoice('inv_1', 'INV-1', 1)]) prompt.exec(`INSERT ${row}`);
    prompt.close();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A connection as the database's own prompt makes it: without any setting of ours. */
  function atPrompt(): Database.Database {
    const database = new Database(path);
    database.pragma('foreign_keys = OFF');
    return database;
  }

  const replacing: [string, string][] = [
    ['an entry', entry('another')],
    ['a report', report(1)],
    ['a document of the same identifier', invoice('inv_1', 'INV-2', 2)],
    ['a document of the same number', invoice('inv_2', 'INV-1', 2, 'credit-note')],
    ['a document of the same position', invoice('inv_2', 'INV-2', 1, 'credit-note')],
    ['the invoice of a month', invoice('inv_2', 'INV-2', 2)],
  ];

  test.each(replacing)('are not replaced by an INSERT OR REPLACE of %s', (_, row) => {
    const prompt = atPrompt();
    const before = prompt.prepare('SELECT id, number FROM invoices').all();
    expect(() => prompt.exec(`INSERT OR REPLACE ${row}`)).toThrow(/IMMUTABLE/);
    expect(prompt.prepare('SELECT text FROM site_log').pluck().all()).toEqual(['first']);
    expect(prompt.prepare('SELECT agreeing FROM report_revisions').pluck().all()).toEqual([0]);
    expect(prompt.prepare('SELECT id, number FROM invoices').all()).toEqual(before);
    prompt.close();
  });

  test('are not replaced by a draft that becomes final by UPDATE OR REPLACE, on a connection of the store', async () => {
    const prompt = atPrompt();
    prompt.exec(
      `INSERT ${invoice('inv_2', 'INV-2', 2, 'credit-note').replace("'finalised', 'INV-2', 2", "'draft', NULL, NULL").replace(`'${at}', NULL, 0, 0)`, 'NULL, NULL, 0, 0)')}`,
    );
    prompt.close();
    const engine: SqliteEngine = openSqliteEngine(path);
    const text = `UPDATE OR REPLACE invoices SET state = 'finalised', number = 'INV-1', position = 2, finalised_at = '${at}' WHERE id = 'inv_2'`;
    await expect(engine.batch([{ run: CompiledQuery.raw(text) }])).rejects.toMatchObject({
      message: expect.stringContaining('IMMUTABLE'),
    });
    await engine.close();
  });

  test('let others be added beside them', () => {
    const prompt = atPrompt();
    prompt.exec(`INSERT OR REPLACE ${entry('next').replace("'site_1', 1", "'site_1', 2")}`);
    prompt.exec(`INSERT OR REPLACE ${invoice('inv_2', 'CRN-1', 2, 'credit-note')}`);
    expect(prompt.prepare('SELECT count(*) FROM site_log').pluck().get()).toBe(2);
    expect(prompt.prepare('SELECT count(*) FROM invoices').pluck().get()).toBe(2);
    prompt.close();
  });
});
