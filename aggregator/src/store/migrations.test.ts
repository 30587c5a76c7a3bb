import { readdirSync } from 'node:fs';
import { CompiledQuery } from 'kysely';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type OpenedStore,
  openPostgres,
  pgliteStore,
  postgresMissing,
  postgresStore,
  sqliteStore,
} from './testing/store-engines.ts';

const missing = await postgresMissing();

describe.each([sqliteStore, pgliteStore, ...(missing === undefined ? [postgresStore] : [])])(
  'migrations on $name',
  (engine) => {
    let opened: OpenedStore;
    afterEach(async () => {
      await opened.dispose();
    });

    const versions = async (): Promise<unknown[]> =>
      opened.engine.all<{ name: string }>({
        compile: () => CompiledQuery.raw('SELECT name FROM schema_versions ORDER BY name'),
      });

    test('run every version once', async () => {
      opened = await engine.open();
      for (let i = 0; i < 3; i++) await opened.store.migrate();
      const files = readdirSync(new URL('./migrations/', import.meta.url)).filter((name) => /^\d{4}-/.test(name));
      expect(await versions()).toEqual(files.toSorted().map((name) => ({ name: name.replace(/\.ts$/, '') })));
    });

    test('refuse a database that a newer program has used, and leave it alone', async () => {
      opened = await engine.open();
      await opened.store.migrate();
      await opened.execute(`INSERT INTO schema_versions (name, timestamp) VALUES ('9999-from-tomorrow', '2031-01-01')`);
      const before = await versions();
      await expect(opened.store.migrate()).rejects.toMatchObject({
        code: 'DATABASE_NEWER',
        retryable: false,
        hint: expect.any(String),
      });
      expect(await versions()).toEqual(before);
    });

    test('leave nothing of a version that fails in its middle', async () => {
      opened = await engine.open();
      await opened.execute('CREATE TABLE invoices (id text)');
      await expect(opened.store.migrate()).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await expect(opened.execute('SELECT 1 FROM organisations')).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await opened.execute('DROP TABLE invoices');
      await opened.store.migrate();
      expect(await opened.store.tenancy.vendor()).toBeUndefined();
    });
  },
);

test.skipIf(missing !== undefined)('other schemas of a PostgreSQL may come and go while one is migrated', async () => {
  const opened = await postgresStore.open();
  await opened.store.migrate();
  let isOver = false;
  const others = Array.from({ length: 3 }, async () => {
    while (!isOver) {
      const other = await openPostgres();
      await other.execute('CREATE TABLE passing (id serial PRIMARY KEY, a text, b text, c text)');
      await other.dispose();
    }
  });
  try {
    for (let times = 0; times < 40; times++) await opened.store.migrate();
  } finally {
    isOver = true;
    await Promise.all(others);
    await opened.dispose();
  }
});

test.skipIf(missing !== undefined)(
  'two programs that start at once on PostgreSQL migrate one after the other',
  async () => {
    const opened = await postgresStore.open();
    await Promise.all([opened.store.migrate(), opened.store.migrate(), opened.store.migrate()]);
    expect(await opened.store.tenancy.vendor()).toBeUndefined();
    await opened.dispose();
  },
);
