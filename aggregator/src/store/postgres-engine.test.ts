import { CompiledQuery } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { safeInteger } from './postgres-connection.ts';
import type { PostgresEngine } from './postgres-engine.ts';
import { openPostgres, type OpenedStore, postgresMissing } from './testing/store-engines.ts';

describe.skipIf((await postgresMissing()) !== undefined)('the engine on PostgreSQL', () => {
  let opened: OpenedStore & { engine: PostgresEngine };
  beforeEach(async () => {
    opened = await openPostgres();
    await opened.execute('CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL)');
    await opened.execute(`INSERT INTO counters VALUES ('a', 0), ('b', 0)`);
  });
  afterEach(async () => {
    await opened.dispose();
  });

  const raise = (name: string, by: number) =>
    CompiledQuery.raw('UPDATE counters SET value = value + $1 WHERE name = $2', [by, name]);
  const values = async () => {
    const query = {
      compile: () =>
        CompiledQuery.raw('SELECT name, value FROM counters ORDER BY name') as CompiledQuery<{
          name: string;
          value: number;
        }>,
    };
    return (await opened.engine.all(query)).map(({ value }) => value);
  };

  test('runs again what the server gave up for a deadlock', async () => {
    let attempts = 0;
    let arrived = 0;
    let open: () => void = () => {};
    const both = new Promise<void>((resolve) => {
      open = resolve;
    });
    const cross = (first: string, second: string) =>
      opened.engine.transaction(async (query) => {
        attempts++;
        await query(raise(first, 1).sql, [1, first]);
        if (++arrived === 2) open();
        await both;
        await query(raise(second, 1).sql, [1, second]);
      });
    await Promise.all([cross('a', 'b'), cross('b', 'a')]);
    expect(await values()).toEqual([2, 2]);
    // Each looks for the deadlock by itself after a second: on a busy machine both may find it, and both run again.
    expect([3, 4]).toContain(attempts);
  });

  test('undoes the whole batch when a later step misses its rows', async () => {
    const outcome = await opened.engine.batch([
      { run: raise('a', 5), rows: 1 },
      { run: raise('nobody', 5), rows: 1, otherwise: 'MISSED' },
    ]);
    expect(outcome).toEqual({ ok: false, code: 'MISSED' });
    await expect(
      opened.engine.batch([
        { run: raise('a', 5), rows: 1 },
        { run: raise('nobody', 5), rows: 1 },
      ]),
    ).rejects.toMatchObject({ code: 'STORE_CONTRADICTION' });
    expect(await values()).toEqual([0, 0]);
  });

  test('outlives connections that the server ends, between operations and within one', async () => {
    const pid = async (query: (text: string, values: readonly unknown[]) => Promise<{ rows: unknown[] }>) =>
      ((await query('SELECT pg_backend_pid() AS pid', [])).rows[0] as { pid: number }).pid;
    const end = (victim: number) => opened.execute(`SELECT pg_terminate_backend(${victim})`);
    const broken = opened.engine.transaction(async (query) => {
      await query(raise('a', 1).sql, [1, 'a']);
      await end(await pid(query));
      await query(raise('b', 1).sql, [1, 'b']);
    });
    await expect(broken).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
    expect(await values()).toEqual([0, 0]);

    const idle = await opened.engine.transaction(pid);
    await opened.engine.transaction(async () => end(idle)).catch(() => undefined);
    for (let i = 0; i < 20; i++) await opened.engine.batch([{ run: raise('b', 1), rows: 1 }]).catch(() => undefined);
    expect((await values())[1]).toBeGreaterThanOrEqual(19);
  });

  test('refuses an integer that a number cannot hold', async () => {
    await opened.execute(`UPDATE counters SET value = 9007199254740993 WHERE name = 'a'`);
    await expect(values()).rejects.toMatchObject({ code: 'STORE_CONTRADICTION' });
    await opened.execute(`UPDATE counters SET value = -9007199254740991 WHERE name = 'a'`);
    expect(await values()).toEqual([-9007199254740991, 0]);
  });
});

test.each([
  ['0', 0],
  ['-42', -42],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
])('reads the int8 %s as a number', (text, value) => {
  expect(safeInteger(text)).toBe(value);
});

test('refuses an int8 beyond safe integers', () => {
  expect(() => safeInteger('9007199254740992')).toThrow('more than a number can');
});
