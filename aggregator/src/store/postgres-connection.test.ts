import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from './open-store.ts';
import { connectPostgres, type PostgresConnection, type PostgresOptions } from './postgres-connection.ts';
import { LedgerPen } from './testing/ledger-pen.ts';
import { openSchema, postgresMissing } from './testing/store-engines.ts';
import { addBranch, all, begin } from './testing/tenants.ts';

describe.skipIf((await postgresMissing()) !== undefined)('connections to PostgreSQL', () => {
  let schema: Awaited<ReturnType<typeof openSchema>>;
  const opened: { close(): Promise<void> }[] = [];
  beforeEach(async () => {
    schema = await openSchema();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
    await schema.drop();
  });

  function connect(options: PostgresOptions = {}, serverOptions = ''): PostgresConnection {
    const url = new URL(schema.url);
    url.searchParams.set('options', `${url.searchParams.get('options')} ${serverOptions}`);
    const connection = connectPostgres(url.href, options);
    opened.push(connection);
    return connection;
  }

  test.each(['off', 'local', 'remote_write'])(
    'wait for the disk at each commit, where the server says %s',
    async (setting) => {
      const connection = connect({}, `-c synchronous_commit=${setting}`);
      const shown = 'SHOW synchronous_commit';
      expect((await connection.query(shown, [])).rows).toEqual([{ synchronous_commit: setting }]);
      const within = await connection.transaction(async (query) => (await query(shown, [])).rows);
      expect(within).toEqual([{ synchronous_commit: 'on' }]);
    },
  );

  test('give a read up at its time, and let a transaction take longer', async () => {
    const connection = connect({ readTimeoutMs: 300 });
    await expect(connection.query('SELECT pg_sleep(5)', [])).rejects.toMatchObject({ code: '57014' });
    const slept = connection.transaction((query) => query('SELECT pg_sleep(0.6)', []));
    await expect(slept).resolves.toMatchObject({ changed: 1 });
    // The limits of the transaction went with it.
    await expect(connection.query('SELECT pg_sleep(5)', [])).rejects.toMatchObject({ code: '57014' });
  });

  test('of sites are not held up by those of people', async () => {
    const store = await openStore(schema.url, { readTimeoutMs: 20_000 });
    opened.push(store);
    await store.migrate();
    const { site, scope } = await addBranch(store);
    const operator = new pg.Client({ connectionString: schema.url });
    await operator.connect();
    await operator.query('BEGIN');
    await operator.query('LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE');
    const lists = Array.from({ length: 25 }, () => store.tenancy.accounts(scope, {}, all));
    await wait(200);
    const pen = new LedgerPen(site);
    const served = (async () => {
      expect(await store.sites.session(site.id)).toMatchObject({ publicKey: pen.publicKey });
      expect(await store.ingest.apply([pen.plan({ at: begin })])).toEqual([{ ok: true }]);
      await store.sites.recordContacts([{ siteId: site.id, at: begin, software: null }]);
      expect(await store.keys.keysOfSite(site.id)).toEqual([]);
      return 'served';
    })();
    expect(await Promise.race([served, wait(5_000, 'held up')])).toBe('served');
    await operator.query('ROLLBACK');
    await operator.end();
    expect((await Promise.all(lists)).every(({ rows }) => rows.length === 1)).toBe(true);
  });
});
