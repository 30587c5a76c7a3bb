import { CompiledQuery } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from './engine.ts';
import { reportStore } from './report-store.ts';
import { type OpenedStore, openPostgres, postgresMissing, sqliteStore } from './testing/store-engines.ts';
import { addBranch, all } from './testing/tenants.ts';

/** What is asked of every draft that a close removes, for the sake of the foreign key. */
const refers = `SELECT 1 FROM invoices WHERE refers_to_id = 'inv_x'`;

describe('on SQLite', () => {
  let opened: OpenedStore;
  beforeEach(async () => {
    opened = await sqliteStore.open();
    await opened.store.migrate();
  });
  afterEach(() => opened.dispose());

  const planOf = async (text: string, parameters: readonly unknown[] = []): Promise<string> => {
    const query = CompiledQuery.raw(`EXPLAIN QUERY PLAN ${text}`, [...parameters]) as CompiledQuery<{ detail: string }>;
    return (await opened.engine.all({ compile: () => query })).map(({ detail }) => detail).join('\n');
  };

  test('reports that differ are found by themselves, not among all reports of a month', async () => {
    const { scope } = await addBranch(opened.store);
    const queries: CompiledQuery[] = [];
    const watched: Engine = {
      ...opened.engine,
      all: (query) => {
        queries.push(query.compile());
        return opened.engine.all(query);
      },
    };
    await reportStore(watched).reportRows(scope, { status: 'differing' }, '2026-03-10T00:00:00.000Z', all);
    const ofMonths = queries.filter(({ sql }) => sql.includes('report_revisions'));
    expect(ofMonths).toHaveLength(3);
    for (const { sql, parameters } of ofMonths)
      expect(await planOf(sql, parameters)).toContain('report_revisions_differing');
  });

  test('notes that refer to a document are found without reading all documents', async () => {
    expect(await planOf(refers)).toContain('invoices_referring');
  });
});

test.skipIf((await postgresMissing()) !== undefined)(
  'on PostgreSQL notes that refer to a document are found without reading all documents',
  async () => {
    const opened = await openPostgres();
    await opened.store.migrate();
    const plan = await opened.engine.transaction(async (query) => {
      // A table without rows is read whole unless told otherwise.
      await query('SET LOCAL enable_seqscan = off', []);
      return JSON.stringify((await query(`EXPLAIN ${refers}`, [])).rows);
    });
    expect(plan).toContain('invoices_referring');
    await opened.dispose();
  },
);
