import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '@rollcall/shared/node/sqlite.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from './open-store.ts';
import { organisationDraft } from './testing/tenants.ts';

describe('opening a store', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rollcall-open-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('makes a database that its owner alone can read, folders included', async () => {
    const store = await openStore(`sqlite:${join(folder, 'data', 'deep', 'rollcall.db')}`);
    await store.migrate();
    await store.secrets.privateKeyPem('lease-signing', () => 'pem');
    const paths = [
      'data',
      'data/deep',
      ...['rollcall.db', 'rollcall.db-wal', 'rollcall.db-shm'].map((name) => `data/deep/${name}`),
    ];
    const openToOthers = await Promise.all(
      paths.map(async (path) => [path, (await stat(join(folder, path))).mode & 0o077]),
    );
    expect(openToOthers).toEqual(paths.map((path) => [path, 0]));
    await store.close();
  });

  test('keeps what was written, and closes twice without harm', async () => {
    const url = `sqlite:${join(folder, 'rollcall.db')}`;
    const first = await openStore(url);
    await first.migrate();
    const vendor = organisationDraft('vendor', null);
    await first.tenancy.createVendor(vendor);
    await first.close();
    await first.close();
    const second = await openStore(url);
    await second.migrate();
    expect(await second.tenancy.vendor()).toMatchObject(vendor);
    await second.close();
  });

  test('closes an address of PostgreSQL twice without harm', async () => {
    const store = await openStore('postgres://nobody@127.0.0.1:1/nothing');
    await store.close();
    await store.close();
  });

  test.each([
    ['mysql://admin:hunter2@host/db', 'DATABASE_URL_INVALID'],
    ['sqlite:', 'DATABASE_URL_INVALID'],
    ['postgres://admin:hunter2@ho st:99999/db', 'DATABASE_URL_INVALID'],
    ['hunter2', 'DATABASE_URL_INVALID'],
  ])('refuses %s without repeating its password', async (url, code) => {
    const error = await openStore(url).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code, retryable: false });
    expect(JSON.stringify([error, String(error)])).not.toContain('hunter2');
  });

  test('says what is wrong with a file that is no database, or lies in one', async () => {
    await writeFile(
      join(folder, 'text'),
      'this is not a database, but it is long enough to be looked at as one'.repeat(20),
    );
    await expect(openStore(`sqlite:${join(folder, 'text')}`)).rejects.toMatchObject({
      code: 'DATABASE_UNUSABLE',
      hint: expect.any(String),
    });
    await expect(openStore(`sqlite:${join(folder, 'text', 'below.db')}`)).rejects.toMatchObject({
      code: 'DATABASE_UNUSABLE',
    });
  });

  test('waits for another writer, and gives up in the end', async () => {
    const path = join(folder, 'rollcall.db');
    const store = await openStore(`sqlite:${path}`);
    await store.migrate();
    const other = openSqlite(path);
    other.exec('BEGIN IMMEDIATE');
    setTimeout(() => other.exec('COMMIT'), 100);
    expect(await store.tenancy.createVendor(organisationDraft('vendor', null))).toEqual({ ok: true });
    other.exec('BEGIN IMMEDIATE');
    await expect(store.tenancy.createVendor(organisationDraft('vendor', null))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
    });
    other.exec('ROLLBACK');
    expect(await store.tenancy.createVendor(organisationDraft('vendor', null))).toMatchObject({
      code: 'VENDOR_EXISTS',
    });
    other.close();
    await store.close();
  });

  test('says when PostgreSQL does not answer, and goes on when it does not even speak', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const store = await openStore(`postgres://admin:hunter2@127.0.0.1:${address.port}/db`);
    const unavailable = { code: 'STORE_UNAVAILABLE', retryable: true };
    await expect(store.ping()).rejects.toMatchObject(unavailable);
    await expect(store.migrate()).rejects.toMatchObject(unavailable);
    await expect(store.tenancy.createVendor(organisationDraft('vendor', null))).rejects.toMatchObject(unavailable);
    await new Promise((resolve) => server.close(resolve));
    const error: unknown = await store.ping().catch((reason: unknown) => reason);
    expect(error).toMatchObject(unavailable);
    expect(JSON.stringify([error, String(error)])).not.toContain('hunter2');
    await store.close();
  });
});
