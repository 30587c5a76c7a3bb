import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { openSqlite } from '@rollcall/shared/node/sqlite.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SiteEvent, SiteEventKind } from '../core/site.ts';
import { decide } from '../core/site.ts';
import type { SiteState } from '../core/site-state.ts';
import { dayMs, enrolmentPlan, leaseOf, SiteInMemory, testIds, testSigner } from '../testing/site-in-memory.ts';
import { initialiseLedger, openSiteReader, openSiteStore, recordReenrolment, type SiteStore } from './site-store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-store-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = '2026-01-10T12:00:00.000Z';
const reading = { wall: at, steadyMs: 0 };
const facts = {
  siteId: testIds.site,
  siteName: 'Client North',
  timeZone: 'Europe/Rome',
  publicKey: testSigner.publicKey,
  software: 'rollcall-site 0.1.0',
  settings: { staleAfterDays: 30 },
  at,
};
const codeOf = (call: () => unknown): unknown => {
  try {
    call();
    return null;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
};
function runner(store: SiteStore, state: SiteState) {
  const ports = { digest: nodeDigest, signer: testSigner, history: () => store.history() };
  return <Kind extends SiteEventKind>(event: SiteEvent<Kind>) => {
    const { plan, answer } = decide(state, event, reading, ports);
    store.applyPlan(plan);
    return answer;
  };
}

describe('a ledger', () => {
  test('is begun once, and beginning it again with the same site and key is harmless', () => {
    initialiseLedger(folder, facts);
    initialiseLedger(folder, facts);
    const reader = openSiteReader(folder);
    expect([...reader.entries()]).toMatchObject([{ seq: 1, at, kind: 'site-enrolled', prev: emptyHead.hash }]);
    reader.close();
    expect(codeOf(() => initialiseLedger(folder, { ...facts, siteId: testIds.otherSite }))).toBe('LEDGER_EXISTS');
  });

  test('takes a fresh enrolment of the same site, dated no later than what is due', () => {
    initialiseLedger(folder, facts);
    const publicKey = 'A'.repeat(43);
    const later = { ...facts, publicKey, at: '2026-06-01T00:00:00.000Z' };
    recordReenrolment(folder, later);
    recordReenrolment(folder, later);
    const reader = openSiteReader(folder);
    expect([...reader.entries()].map((entry) => [entry.kind, entry.at])).toEqual([
      ['site-enrolled', at],
      ['site-enrolled', '2026-01-10T12:05:00.000Z'],
    ]);
    expect(reader.load(reading).identity).toMatchObject({ publicKey, enrolledAt: at });
    reader.close();
    expect(codeOf(() => recordReenrolment(folder, { ...facts, siteId: testIds.otherSite }))).toBe(
      'LEDGER_OF_OTHER_SITE',
    );
  });

  test('that was never begun is not there', () => {
    expect(codeOf(() => openSiteReader(folder))).toBe('NOT_ENROLLED');
    expect(codeOf(() => recordReenrolment(folder, facts))).toBe('NOT_ENROLLED');
    openSiteStore(folder).close();
    expect(codeOf(() => openSiteReader(folder))).toBe('NOT_ENROLLED');
  });

  test('and the soft state come back as they were written', () => {
    initialiseLedger(folder, facts);
    const store = openSiteStore(folder);
    const state = store.load(reading);
    const run = runner(store, state);
    run({
      kind: 'welcomed',
      serverTime: at,
      heardSteadyMs: 0,
      acknowledgedSeq: 1,
      leases: [leaseOf(at, 14 * dayMs)],
      settings: { staleAfterDays: 12 },
      commands: [],
    });
    const credentialHash = nodeDigest.sha256('credential');
    run({
      kind: 'register',
      machineId: 'machine-1',
      hostName: 'höst 😀',
      proof: { by: 'join-code' },
      credentialHash,
      newEndpointId: testIds.endpoint(1),
    });
    run({
      kind: 'check-in',
      credentialHash,
      agent: { kind: 'server', product: 'metered-agent', agentVersion: '1', hostName: 'höst 😀' },
    });
    run({ kind: 'notice', code: 'NOTE', message: 'seen' });
    run({ kind: 'refused', code: 'FORK', message: 'no' });
    store.close();
    const again = openSiteStore(folder);
    expect(again.load(reading)).toEqual({
      ...state,
      connected: false,
      clock: expect.anything(),
      heardFloorMs: expect.any(Number),
    });
    again.close();
  });

  test('gives out entries in bounded pieces', () => {
    const site = new SiteInMemory();
    for (let n = 1; n <= 20; n++) site.run({ kind: 'settings', settings: { staleAfterDays: n } });
    const store = openSiteStore(folder);
    store.applyPlan({ expectedHead: emptyHead, entries: site.disk.entries, softChanges: [] });
    const seqs = (after: number, limits: { entriesMax: number; bytesMax: number }) =>
      store.entriesAfter(after, limits).map((entry) => entry.seq);
    expect(seqs(0, { entriesMax: 3, bytesMax: 1e6 })).toEqual([1, 2, 3]);
    expect(seqs(18, { entriesMax: 500, bytesMax: 1e6 })).toEqual([19, 20, 21]);
    const two = (site.disk.entries[1]?.text.length ?? 0) + (site.disk.entries[2]?.text.length ?? 0);
    expect(seqs(1, { entriesMax: 500, bytesMax: two })).toEqual([2, 3]);
    expect(seqs(1, { entriesMax: 500, bytesMax: 1 })).toEqual([2]);
    expect(seqs(21, { entriesMax: 500, bytesMax: 1e6 })).toEqual([]);
    store.close();
  });

  test('of 100,000 entries is replayed in less than two seconds', { timeout: 60_000 }, () => {
    const site = new SiteInMemory();
    site.welcome({ leases: [leaseOf(at, 3650 * dayMs)] });
    for (let n = 1; n <= 500; n++) {
      site.endpoint(n);
      site.checkIn(n);
    }
    for (let version = 0; site.disk.entries.length < 100_000; version++) {
      site.clock.advance(60_000);
      site.checkIn((version % 500) + 1, 'server', `1.${version}`);
    }
    const store = openSiteStore(folder);
    store.applyPlan({ expectedHead: emptyHead, entries: site.disk.entries, softChanges: [] });
    // Time of the processor: another program's work beside this test is not the ledger's.
    const before = process.cpuUsage();
    const state = store.load(reading);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(2_000);
    expect(state.head.seq).toBeGreaterThanOrEqual(100_000);
    store.close();
  });
});

describe('a plan', () => {
  test('made for another head is refused whole', () => {
    initialiseLedger(folder, facts);
    const store = openSiteStore(folder);
    const stale = enrolmentPlan({ staleAfterDays: 3 });
    stale.softChanges.push({ kind: 'acknowledged', seq: 1 });
    expect(codeOf(() => store.applyPlan(stale))).toBe('LEDGER_HEAD_MOVED');
    expect(store.head().seq).toBe(1);
    expect(store.load(reading).soft.acknowledgedSeq).toBe(0);
    store.close();
  });

  test('that fails half way leaves nothing of itself', () => {
    initialiseLedger(folder, facts);
    const store = openSiteStore(folder);
    const { hash } = store.head();
    const registration = {
      endpointId: testIds.endpoint(1),
      machineId: 'm',
      hostName: 'h',
      origin: 'managed',
      credentialHash: 'c',
      registeredAt: at,
      lastHeardAt: null,
    } as const;
    const softChanges = [
      { kind: 'registered' as const, registration },
      { kind: 'registered' as const, registration: { ...registration, endpointId: testIds.endpoint(2) } },
    ];
    expect(codeOf(() => store.applyPlan({ expectedHead: { seq: 1, hash }, entries: [], softChanges }))).toBe(
      'STORE_FAILED',
    );
    expect(store.load(reading).soft.registrations.size).toBe(0);
    store.close();
  });
});

describe('a data folder', () => {
  test('has one writer, and any number of readers beside it', () => {
    initialiseLedger(folder, facts);
    const store = openSiteStore(folder);
    expect(codeOf(() => openSiteStore(folder))).toBe('ALREADY_RUNNING');
    const reader = openSiteReader(folder);
    expect(reader.head().seq).toBe(1);
    reader.close();
    store.close();
    openSiteStore(folder).close();
  });

  test.each([
    {
      name: 'a file that is no database',
      damage: (path: string) => writeFileSync(path, 'this is not a database, whatever its name says'.repeat(100)),
    },
    {
      name: 'an entry whose text was changed',
      damage: change("UPDATE entries SET text = replace(text, 'Client', 'Silent') WHERE seq = 2"),
    },
    { name: 'an entry that was taken out', damage: change('DELETE FROM entries WHERE seq = 2') },
    {
      name: 'an end that was cut off after it was acknowledged',
      damage: change("DELETE FROM entries WHERE seq = 3; INSERT INTO meta VALUES ('acknowledgedSeq', '3')"),
    },
    { name: 'a hash that was changed', damage: change(`UPDATE entries SET hash = '${'0'.repeat(64)}' WHERE seq = 1`) },
    { name: 'an entry that is not JSON', damage: change("UPDATE entries SET text = '{' WHERE seq = 1") },
    { name: 'a lease that is not one', damage: change("INSERT INTO leases VALUES ('key', '{}')") },
    { name: 'soft state that is not JSON', damage: change("INSERT INTO meta VALUES ('notice', '{')") },
    { name: 'a missing table', damage: change('DROP TABLE entries') },
  ])('with $name is one clear error', ({ damage }) => {
    initialiseLedger(folder, facts);
    recordReenrolment(folder, { ...facts, publicKey: 'A'.repeat(43) });
    recordReenrolment(folder, facts);
    damage(join(folder, 'ledger.db'));
    expect(
      codeOf(() => {
        const store = openSiteStore(folder);
        try {
          store.load(reading);
        } finally {
          store.close();
        }
      }),
    ).toBe('LEDGER_CORRUPT');
  });

  test('of a newer program is left alone', () => {
    initialiseLedger(folder, facts);
    change('PRAGMA user_version = 99')(join(folder, 'ledger.db'));
    expect(codeOf(() => openSiteStore(folder))).toBe('LEDGER_TOO_NEW');
    expect(codeOf(() => openSiteReader(folder))).toBe('LEDGER_TOO_NEW');
  });

  function change(sql: string) {
    return (path: string): void => {
      const database = openSqlite(path);
      database.exec(sql);
      database.close();
    };
  }
});

describe('a writer that is killed', () => {
  const writer = fileURLToPath(new URL('../testing/check-in-writer.ts', import.meta.url));

  test('leaves a whole ledger with everything it had answered, whenever it dies', { timeout: 120_000 }, async () => {
    initialiseLedger(folder, facts);
    const random = new SeededRandom(20_260_110);
    let acknowledged = 0;
    for (let round = 0; round < 10; round++) {
      const child = spawn(process.execPath, [writer, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      const answered = await killAfter(child, random.integer(3, 60));
      const store = openSiteStore(folder);
      const state = store.load({ wall: at, steadyMs: 0 });
      expect(state.agents.size).toBeGreaterThanOrEqual(acknowledged + answered.length);
      for (const endpointId of answered) {
        expect(state.agents.has(endpointId)).toBe(true);
        expect(state.soft.registrations.get(endpointId)?.lastHeardAt).not.toBeNull();
      }
      acknowledged = state.agents.size;
      store.close();
    }
    expect(acknowledged).toBeGreaterThan(30);
    expect(readdirSync(folder)).toContain('ledger.db');
  });

  /** Kills the process after so many answers; what it had answered until it was dead. */
  async function killAfter(child: ChildProcess, answers: number): Promise<string[]> {
    let text = '';
    child.stdout?.setEncoding('utf8');
    child.stdout?.on('data', (chunk: string) => {
      text += chunk;
      if (text.split('\n').length > answers) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(child.signalCode).toBe('SIGKILL');
    return text.split('\n').slice(0, -1);
  }

  test('a copy of its files taken while it runs opens too', async () => {
    initialiseLedger(folder, facts);
    const child = spawn(process.execPath, [writer, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    await killAfter(child, 20);
    const copy = mkdtempSync(join(tmpdir(), 'rollcall-copy-'));
    try {
      for (const name of readdirSync(folder))
        if (name.startsWith('ledger.db')) copyFileSync(join(folder, name), join(copy, name));
      expect(readFileSync(join(copy, 'ledger.db')).length).toBeGreaterThan(0);
      const reader = openSiteReader(copy);
      expect(reader.load(reading).agents.size).toBeGreaterThanOrEqual(20);
      reader.close();
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });
});
