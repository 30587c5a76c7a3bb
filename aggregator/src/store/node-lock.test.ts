import { connect, createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RollcallError } from '@rollcall/shared/domain/problem.ts';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from './open-store.ts';
import type { Store } from './store.ts';
import { openSchema, postgresMissing } from './testing/store-engines.ts';

const inUse = { code: 'DATABASE_IN_USE', message: expect.stringMatching(/^another aggregator serves this database/) };
const never = (error: RollcallError): never => {
  throw error;
};

const open: Store[] = [];
async function store(url: string): Promise<Store> {
  const opened = await openStore(url);
  open.push(opened);
  return opened;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

describe('a SQLite file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rollcall-node-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('is served by one at a time, under whatever name, and by the next when that has closed', async () => {
    const url = `sqlite:${join(folder, 'rollcall.db')}`;
    const [first, second] = [await store(url), await store(url)];
    await first.occupy(never);
    symlinkSync(join(folder, 'rollcall.db'), join(folder, 'link.db'));
    for (const other of [second, await store(`sqlite:${join(folder, 'link.db')}`)])
      await expect(other.occupy(never)).rejects.toMatchObject(inUse);
    // Who only does a little work on it is not kept out.
    await second.migrate();
    await first.close();
    await second.occupy(never);
  });
});

describe.skipIf((await postgresMissing()) !== undefined)('a schema of PostgreSQL', () => {
  let schema: Awaited<ReturnType<typeof openSchema>>;
  let others: { end(): Promise<unknown> }[] = [];
  beforeEach(async () => {
    schema = await openSchema();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
    await Promise.all(others.map((other) => other.end()));
    others = [];
    await schema.drop();
  });

  const client = async (): Promise<pg.Client> => {
    const connected = new pg.Client({ connectionString: schema.url });
    await connected.connect();
    others.push(connected);
    return connected;
  };
  const lockOf = `SELECT pid, classid, objid FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND application_name = 'rollcall node'
      AND objid = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())`;
  const holders = async (asked: pg.Client): Promise<number[]> =>
    (await asked.query<{ pid: number }>(lockOf)).rows.map(({ pid }) => pid);

  test('is served by one at a time, the schema beside it by another, and by the next when that has closed', async () => {
    const beside = await openSchema();
    others.push({ end: () => beside.drop() });
    const [first, second] = [await store(schema.url), await store(schema.url)];
    await first.occupy(never);
    await (await store(beside.url)).occupy(never);
    await expect(second.occupy(never)).rejects.toMatchObject(inUse);
    await second.migrate();
    await first.close();
    await second.occupy(never);
    await Promise.all(open.splice(0).map((each) => each.close()));
  });

  test('is waited for while the one before is just ending', async () => {
    const [first, second] = [await store(schema.url), await store(schema.url)];
    await first.occupy(never);
    const taking = second.occupy(never);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await first.close();
    await expect(taking).resolves.toBeUndefined();
  });

  test('is taken again when the connection that held it broke', async () => {
    const asked = await client();
    await (await store(schema.url)).occupy(never);
    const [before] = await holders(asked);
    await asked.query('SELECT pg_terminate_backend($1)', [before]);
    await expect
      .poll(async () => (await holders(asked)).filter((pid) => pid !== before), { timeout: 5_000 })
      .toHaveLength(1);
    await expect((await store(schema.url)).occupy(never)).rejects.toMatchObject(inUse);
  });

  test('is given up, and said so once, when another took it over meanwhile', async () => {
    const asked = await client();
    const lost: RollcallError[] = [];
    await (await store(schema.url)).occupy((error) => lost.push(error));
    const [{ pid, classid, objid }] = (await asked.query(lockOf)).rows as [Record<string, unknown>];
    // Stands in the queue, so that it is the first to get the lock.
    const other = await client();
    const waits = other.query('SELECT pg_advisory_lock(($1::bigint << 32) | $2::bigint)', [classid, objid]);
    await asked.query('SELECT pg_terminate_backend($1)', [pid]);
    await waits;
    await expect.poll(() => lost, { timeout: 5_000 }).toMatchObject([inUse]);
  });

  test('is taken back from a session of its own that the server still believes in', async () => {
    const line = await breakableLine(schema.url);
    others.push({ end: async () => line.close() });
    const asked = await client();
    await (await store(line.url)).occupy(never);
    const [before] = await holders(asked);
    // The network cuts this side off, and tells the server nothing.
    line.cut();
    await expect
      .poll(async () => (await holders(asked)).filter((pid) => pid !== before), { timeout: 10_000 })
      .toHaveLength(1);
  });
});

/** A port that passes everything on to the server of a database; cut, it leaves the server's end of each line open. */
async function breakableLine(databaseUrl: string): Promise<{ url: string; cut(): void; close(): void }> {
  const target = new URL(databaseUrl);
  const [near, far] = [new Set<Socket>(), new Set<Socket>()];
  const server: Server = createServer((socket) => {
    const onward = connect(Number(target.port || 5432), target.hostname);
    near.add(socket);
    far.add(onward);
    for (const end of [socket, onward]) end.on('error', () => undefined);
    socket.on('data', (data) => onward.write(data));
    onward.on('data', (data) => socket.write(data));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  return {
    url: url.href,
    cut: () => {
      for (const socket of near) socket.destroy();
      near.clear();
    },
    close: () => {
      for (const socket of [...near, ...far]) socket.destroy();
      server.close();
    },
  };
}
