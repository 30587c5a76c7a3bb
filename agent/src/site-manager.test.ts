import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { nodeDigest, systemChance } from '@rollcall/shared/node/crypto.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { openSqlite } from '@rollcall/shared/node/sqlite.ts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { initialiseLedger, openSiteReader } from './ledger/site-store.ts';
import { createSiteManager, type SiteManager, type SiteManagerDeps } from './site-manager.ts';
import { dayMs, leaseOf, minuteMs, testIds, testSigner } from './testing/site-in-memory.ts';
import { SleepyClock } from './testing/sleepy-clock.ts';
import { SocketAggregator } from './testing/socket-aggregator.ts';

const start: Instant = '2026-01-10T12:00:00.000Z';
const agent = { kind: 'server', product: 'metered-agent', agentVersion: '1.0', hostName: 'host' } as const;
const logger = createLogger({ name: 'test', level: 'silent' });
const keyText = '00000-00000-00000-00000-00000';

let folder: string;
let clock: SleepyClock;
let aggregator: SocketAggregator;
let managers: SiteManager[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-site-'));
  clock = new SleepyClock(start);
  aggregator = new SocketAggregator(testSigner.publicKey, () => clock.now());
  await aggregator.listen();
  managers = [];
  initialiseLedger(folder, {
    siteId: testIds.site,
    siteName: 'Client North',
    timeZone: 'UTC',
    publicKey: testSigner.publicKey,
    software: 'rollcall-site 0.1.0',
    settings: { staleAfterDays: 30 },
    at: start,
  });
});
afterEach(async () => {
  for (const manager of managers) await manager.stop();
  await aggregator.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(deps: Partial<SiteManagerDeps> = {}): Promise<SiteManager> {
  const config = {
    dataFolder: folder,
    aggregatorUrl: aggregator.url,
    aggregatorPublicKeys: [aggregator.publicKey],
    joinCode: 'join-code-of-the-site',
    software: 'rollcall-site 0.1.0',
  };
  const onFatal = (error: Error): void => {
    throw error;
  };
  const manager = await createSiteManager(config, {
    clock,
    chance: systemChance,
    logger,
    signer: testSigner,
    onFatal,
    ...deps,
  });
  managers.push(manager);
  return manager;
}
const until = (check: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(check()).toBe(true), { timeout: 10_000, interval: 5 });
/** Steady time passes a little at a time, and the sockets get to breathe in between. */
async function untilPassing(stepMs: number, check: () => boolean): Promise<void> {
  await until(() => {
    if (!check()) clock.pass(stepMs);
    return check();
  });
}
async function enrolEndpoint(manager: SiteManager, n: number): Promise<string> {
  const answer = await manager.registerEndpoint({
    machineId: `machine-${n}`,
    hostName: `host-${n}`,
    joinCode: 'join-code-of-the-site',
  });
  if (!answer.ok) throw new Error(answer.code);
  return answer.credential;
}
const lease = (at: Instant, lengthMs: number) => aggregator.sign(leaseOf(at, lengthMs));
const healthy = (manager: SiteManager): boolean =>
  manager.status().connected && manager.status().ledger.seq === manager.status().ledger.acknowledgedSeq;

describe('a Site Manager', () => {
  test('ships what happens, takes the acknowledgement, and tells its counts within two seconds', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const credential = await enrolEndpoint(manager, 1);
    const answer = await manager.checkIn(credential, agent);
    expect(answer).toMatchObject({ ok: true, deployed: true, keyState: 'active' });
    await until(() => healthy(manager));
    expect(aggregator.held.map(({ entry }) => entry.kind)).toEqual([
      'site-enrolled',
      'key-added',
      'key-state',
      'agent-deployed',
    ]);
    expect(manager.status()).toMatchObject({
      deployed: { server: 1 },
      active: { server: 1 },
      peakSoFar: { server: 1 },
      conditions: [],
    });
    await untilPassing(500, () => aggregator.heardOf('status').some((status) => status.deployed.server === 1));
    expect(Date.parse(clock.now()) - Date.parse(start)).toBeLessThanOrEqual(2_000);
  });

  test('goes on from what is acknowledged after a cut, and nothing is sent that is not on disk', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const credential = await enrolEndpoint(manager, 1);
    aggregator.answer = (message) => {
      if (message.kind !== 'append') return undefined;
      const reader = openSiteReader(folder);
      expect(reader.head().seq).toBeGreaterThanOrEqual(message.entries.at(-1)?.seq ?? 0);
      reader.close();
      return undefined;
    };
    for (const kind of ['server', 'workstation', 'server', 'workstation'] as const) {
      aggregator.cut();
      await manager.checkIn(credential, { ...agent, kind });
    }
    await untilPassing(250, () => healthy(manager));
    expect(aggregator.held.map(({ entry }) => entry.seq)).toEqual(aggregator.held.map((_, index) => index + 1));
    expect(aggregator.held.filter(({ entry }) => entry.kind === 'agent-changed')).toHaveLength(3);
  });

  test('uses contact within five seconds of its return once its key is in trouble, and everything comes back', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const port = Number(new URL(aggregator.url).port);
    await aggregator.close();
    await until(() => !manager.status().connected);
    await untilPassing(6 * 60 * minuteMs, () => manager.status().keys[0]?.state === 'disabled-offline');
    aggregator.welcome = { leases: [await lease(clock.now(), 14 * dayMs)] };
    await aggregator.listen(port);
    const returnedMs = clock.steadyMs();
    await untilPassing(50, () => manager.status().keys[0]?.state === 'active');
    expect(clock.steadyMs() - returnedMs).toBeLessThanOrEqual(5_000);
  });

  test('applies a command of the socket once, and answers with the ledger', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const command = { id: testIds.command(1), name: 'deactivate-key', keyId: testIds.key, issuedAt: start };
    for (let n = 0; n < 3; n++) aggregator.send({ kind: 'command', command });
    await until(() => aggregator.held.some(({ entry }) => entry.kind === 'command-applied'));
    await until(() => healthy(manager));
    expect(aggregator.held.filter(({ entry }) => entry.kind === 'command-applied')).toHaveLength(1);
    expect(manager.status().keys[0]?.state).toBe('deactivated');
  });

  test('does not take a lease that another signed, or that is for another site', async () => {
    const forged = `${(await aggregator.sign(leaseOf(start, dayMs))).slice(0, -8)}AAAAAAAA`;
    const foreign = await aggregator.sign({ ...leaseOf(start, dayMs), siteId: testIds.otherSite });
    aggregator.welcome = { leases: [forged, foreign] };
    const manager = await run();
    await until(() => healthy(manager));
    expect(manager.status().keys).toEqual([]);
    expect(manager.status().conditions.map(({ code }) => code)).toEqual(['NO_KEY']);
  });

  test('keeps a refusal for its operator, shows it after a restart too, and does not hammer', async () => {
    aggregator.answer = (message) =>
      message.kind === 'hello'
        ? [{ kind: 'bye', code: 'CLONE_SUSPECTED', retryAfterMs: null, message: 'two machines' }]
        : undefined;
    const manager = await run();
    const codes = (of: SiteManager) => of.status().conditions.map(({ code }) => code);
    await until(() => codes(manager).includes('REFUSED_BY_AGGREGATOR'));
    for (let minutes = 0; minutes < 14; minutes++) {
      clock.pass(minuteMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(aggregator.upgrades).toBe(1);
    await manager.stop();
    aggregator.answer = () => undefined;
    const again = await run();
    expect(codes(again)).toContain('REFUSED_BY_AGGREGATOR');
    await untilPassing(500, () => healthy(again));
    expect(codes(again)).not.toContain('REFUSED_BY_AGGREGATOR');
  });

  test('heeds Retry-After of a refused upgrade', async () => {
    aggregator.refuseWith = { status: 503, headers: 'Retry-After: 30\r\n' };
    const manager = await run();
    await until(() => aggregator.refusalsRead === 1);
    aggregator.refuseWith = null;
    const refusedMs = clock.steadyMs();
    await untilPassing(250, () => healthy(manager));
    expect(clock.steadyMs() - refusedMs).toBeGreaterThanOrEqual(30_000);
  });

  test.each([
    { name: 'not JSON', frame: '{' },
    { name: 'of the wrong type', frame: '{"kind":"ack","seq":"1"}' },
    { name: 'an acknowledgement of what was never sent', frame: `{"kind":"ack","seq":999,"serverTime":"${start}"}` },
    { name: 'longer than a frame may be', frame: `"${'x'.repeat(1024 * 1024 + 1)}"` },
  ])('survives a frame that is $name: it reconnects and its ledger is as it was', async ({ frame }) => {
    const manager = await run();
    await until(() => healthy(manager));
    aggregator.send(frame);
    await untilPassing(100, () => aggregator.upgrades === 2 && healthy(manager));
    expect(manager.status().ledger).toEqual({ seq: 1, acknowledgedSeq: 1 });
  });

  test('skips a message of a kind it does not know', async () => {
    const manager = await run();
    await until(() => healthy(manager));
    aggregator.send('{"kind":"from-the-future","of":1}');
    const command = { id: testIds.command(1), name: 'from-the-future', keyId: testIds.key, issuedAt: start };
    aggregator.send({ kind: 'command', command });
    await until(() => aggregator.held.some(({ entry }) => entry.kind === 'command-applied'));
    expect(aggregator.upgrades).toBe(1);
  });

  test('sends again to an aggregator that acknowledges nothing, and shows it until something is acknowledged', async () => {
    const manager = await run();
    await until(() => healthy(manager));
    aggregator.answer = (message) => (message.kind === 'append' ? null : undefined);
    const command = { id: testIds.command(1), name: 'from-the-future', keyId: testIds.key, issuedAt: start };
    aggregator.send({ kind: 'command', command });
    await until(() => aggregator.heardOf('append').length > 1);
    const shown = () => manager.status().conditions.filter(({ code }) => code === 'NOT_ACKNOWLEDGED');
    await untilPassing(500, () => shown().length === 1);
    expect(shown()[0]?.since).not.toBeNull();
    await untilPassing(500, () => aggregator.upgrades === 2 && manager.status().connected);
    expect(shown()).toHaveLength(1);
    aggregator.answer = () => undefined;
    await untilPassing(500, () => healthy(manager));
    expect(shown()).toEqual([]);
    expect(aggregator.held.filter(({ entry }) => entry.kind === 'command-applied')).toHaveLength(1);
  });

  test('says goodbye when it stops, and answers nobody afterwards', async () => {
    const manager = await run();
    await until(() => healthy(manager));
    const credential = await enrolEndpoint(manager, 1);
    await manager.stop();
    expect(aggregator.heardOf('bye')).toMatchObject([{ code: 'GOING_AWAY' }]);
    expect(await manager.checkIn(credential, agent)).toMatchObject({ ok: false, code: 'STOPPING' });
  });

  test('has its folder to itself', async () => {
    await run();
    await expect(run()).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
  });

  test('does not start with a key the ledger was not enrolled with', async () => {
    await expect(run({ signer: { ...testSigner, publicKey: 'A'.repeat(43) } })).rejects.toMatchObject({
      code: 'IDENTITY_BROKEN',
    });
    await run();
  });

  test('seals the months that passed while it was off as soon as contact tells the time, before it is heard', async () => {
    const manager = await run();
    await until(() => healthy(manager));
    await manager.stop();
    clock.pass(100 * dayMs);
    const again = await run();
    await until(() => healthy(again) && again.status().ledger.seq > 2);
    expect(aggregator.held.flatMap(({ entry }) => (entry.kind === 'month-sealed' ? [entry.at] : []))).toEqual([
      '2026-02-01T00:00:00.000Z',
      '2026-03-01T00:00:00.000Z',
      '2026-04-01T00:00:00.000Z',
    ]);
  });

  test('wakes by itself at the end of a month', async () => {
    const manager = await run();
    await until(() => healthy(manager));
    await untilPassing(6 * 60 * minuteMs, () => manager.status().month === '2026-02');
    await untilPassing(250, () => healthy(manager));
    expect(
      aggregator.held.some(({ entry }) => entry.kind === 'month-sealed' && entry.at === '2026-02-01T00:00:00.000Z'),
    ).toBe(true);
  });
});

describe('registering', () => {
  test.each([
    { name: 'the join code', proof: { joinCode: 'join-code-of-the-site' }, code: null },
    { name: 'a wrong join code', proof: { joinCode: 'join-code-of-another' }, code: 'JOIN_CODE_WRONG' },
    { name: 'the product key, typed in capitals', proof: { productKey: ` ${keyText.toUpperCase()} ` }, code: null },
    { name: 'another product key', proof: { productKey: '11111-11111-11111-11111-11111' }, code: 'PRODUCT_KEY_WRONG' },
    {
      name: 'something that is no product key',
      proof: { productKey: "'; DROP TABLE entries" },
      code: 'PRODUCT_KEY_WRONG',
    },
    { name: 'nothing', proof: {}, code: 'BAD_REQUEST' },
  ])('with $name: $code', async ({ proof, code }) => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const answer = await manager.registerEndpoint({ machineId: 'machine-1', hostName: 'host-1', ...proof });
    expect(answer.ok ? null : answer.code).toBe(code);
    if (answer.ok) expect(await manager.checkIn(answer.credential, agent)).toMatchObject({ ok: true });
  });

  test('keeps no credential, only its hash', async () => {
    const manager = await run();
    const credential = await enrolEndpoint(manager, 1);
    await manager.stop();
    const database = openSqlite(join(folder, 'ledger.db'), { readOnly: true });
    expect(database.prepare('SELECT credential_hash FROM endpoints').pluck().all()).toEqual([
      nodeDigest.sha256(credential),
    ]);
    database.close();
  });
});

describe('many check-ins at once', () => {
  test('share transactions, and each is answered after its own is on disk', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const credentials = await Promise.all(Array.from({ length: 300 }, (_, n) => enrolEndpoint(manager, n)));
    const counter = openSqlite(join(folder, 'ledger.db'), { readOnly: true });
    const versions = new Set<unknown>();
    const answers = await Promise.all(
      credentials.map(async (credential) => {
        const answer = await manager.checkIn(credential, agent);
        versions.add(counter.pragma('data_version', { simple: true }));
        return (
          answer.ok &&
          counter
            .prepare('SELECT last_heard_at FROM endpoints WHERE credential_hash = ?')
            .pluck()
            .get(nodeDigest.sha256(credential))
        );
      }),
    );
    counter.close();
    expect(answers.every((heardAt) => heardAt === clock.now())).toBe(true);
    expect(versions.size).toBeLessThan(10);
    expect(manager.status().deployed.server).toBe(300);
  });
});

describe('a disk that fails', () => {
  test('fails what was asked, keeps nothing of it, and goes on when the disk does', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const manager = await run();
    await until(() => healthy(manager));
    const credential = await enrolEndpoint(manager, 1);
    await until(() => healthy(manager));
    const other = openSqlite(join(folder, 'ledger.db'));
    other.exec('BEGIN IMMEDIATE');
    await expect(manager.checkIn(credential, agent)).rejects.toMatchObject({ code: 'STORE_FAILED', retryable: true });
    expect(manager.status().deployed.server).toBe(0);
    other.exec('ROLLBACK');
    other.close();
    expect(await manager.checkIn(credential, agent)).toMatchObject({ ok: true });
    await untilPassing(250, () => healthy(manager));
    expect(aggregator.held.filter(({ entry }) => entry.kind === 'agent-deployed')).toHaveLength(1);
  });

  test('is no reason to connect over and over: each try waits longer than the one before, and is logged once', async () => {
    aggregator.welcome = { leases: [await lease(start, 14 * dayMs)] };
    const lines: string[] = [];
    const manager = await run({
      logger: createLogger({ name: 'test', level: 'error' }, { write: (line: string) => void lines.push(line) }),
    });
    await until(() => healthy(manager));
    const other = openSqlite(join(folder, 'ledger.db'));
    other.exec('BEGIN IMMEDIATE');
    await expect(enrolEndpoint(manager, 1)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    // What waits for no clock would happen now.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(aggregator.upgrades).toBe(1);
    for (let seconds = 0; seconds < 120; seconds++) {
      clock.pass(1_000);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(aggregator.upgrades).toBeGreaterThan(2);
    expect(aggregator.upgrades).toBeLessThan(20);
    // Each try tells of the welcome and of the end of contact, each wake-up of what is due.
    expect(lines.length).toBeLessThan(20 * 2 + (120 / 5) * 2 + 1);
    other.exec('ROLLBACK');
    other.close();
    await untilPassing(250, () => healthy(manager));
  });
});

test('runs on the machine’s own clock', async () => {
  aggregator.now = () => systemClock.now();
  const manager = await run({ clock: systemClock });
  await until(() => healthy(manager));
  expect(Math.abs(Date.parse(manager.status().now) - Date.now())).toBeLessThan(5_000);
});
