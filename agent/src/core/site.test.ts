import { instantFromMs, msOfInstant, type Instant } from '@rollcall/shared/domain/instant.ts';
import { utf8Bytes } from '@rollcall/shared/domain/utf8.ts';
import { ExportCheck } from '@rollcall/shared/ledger/export-check.ts';
import { type ExportHeader, exportFormat, exportLines } from '@rollcall/shared/ledger/export-file.ts';
import { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { entryBytesMax } from '@rollcall/shared/ledger/entry-size.ts';
import { isSignedBy } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { decodeToAggregator, encode } from '@rollcall/shared/protocol/codec.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayMs, hourMs, leaseOf, minuteMs, SiteInMemory, testIds, testSigner } from '../testing/site-in-memory.ts';
import { wakeInMs } from './due.ts';
import { Work } from './plan.ts';
import { siteStatus } from './site-status.ts';
import type { SiteState } from './site-state.ts';

const year = 365 * dayMs;
const after = (instant: Instant, ms: number): Instant => instantFromMs(msOfInstant(instant) + ms);
const bodies = (site: SiteInMemory, kind: string) =>
  site.entries.filter((entry) => entry.kind === kind).map((entry) => ({ at: entry.at, ...entry.body }));
const keyStates = (site: SiteInMemory) =>
  site.entries.flatMap((entry) => (entry.kind === 'key-state' ? [[entry.at, entry.body.state]] : []));

/** What must survive a restart; caches and clocks aside. */
function lasting(state: SiteState): unknown {
  const {
    clock: _clock,
    pendingAnomalies: _pending,
    connected: _connected,
    heardFloorMs: _floor,
    intervals,
    ...rest
  } = state;
  return { ...rest, open: new Map(intervals.open), closed: intervals.closed };
}

/** An export of the ledger passes every check a stranger could make. */
function expectVerified(site: SiteInMemory): void {
  const header: ExportHeader = {
    format: exportFormat,
    siteId: testIds.site,
    siteName: 'Client North',
    publicKey: testSigner.publicKey,
    entries: site.entries.length,
    exportedAt: site.clock.now(),
  };
  const entries = site.disk.entries.map(({ text }) => LedgerEntry.parse(JSON.parse(text)));
  const check = new ExportCheck(nodeDigest, nodeVerifier);
  for (const line of exportLines(header, entries, nodeDigest, testSigner)) check.push(Buffer.from(line));
  expect(check.finish()).toMatchObject({ ok: true });
}

describe('a site offline for three months', () => {
  const leaseMs = 14 * dayMs;
  function goOffline(): { site: SiteInMemory; start: Instant } {
    const site = new SiteInMemory();
    const start = site.clock.now();
    site.welcome({ leases: [leaseOf(start, leaseMs)] });
    site.endpoint(1);
    site.checkIn(1);
    site.run({ kind: 'disconnected', aliveAgoMs: 0 });
    return { site, start };
  }
  const passed = 90 * dayMs;
  const expected = (start: Instant) => [
    [start, 'active'],
    [after(start, leaseMs / 4), 'warning'],
    [after(start, leaseMs / 2), 'restricted'],
    [after(start, leaseMs), 'disabled-offline'],
  ];

  test('goes through the stages at the exact instants, restores stay allowed, and contact brings the key back', () => {
    const { site, start } = goOffline();
    for (let passedMs = 0; passedMs < passed; passedMs += 6 * hourMs) {
      site.clock.advance(6 * hourMs);
      expect(site.checkIn(1)).toMatchObject({ ok: true, allowed: { restore: true } });
    }
    expect(keyStates(site)).toEqual(expected(start));
    expect(bodies(site, 'contact-lost')).toEqual([{ at: after(start, 5 * minuteMs), since: start }]);
    site.welcome({ leases: [leaseOf(site.clock.now(), leaseMs)] });
    expect(keyStates(site).at(-1)).toEqual([site.clock.now(), 'active']);
    expect(bodies(site, 'contact-restored')).toEqual([{ at: site.clock.now(), lostSince: start }]);
    expectVerified(site);
  });

  test('that was switched off writes the same ledger when it wakes as one that ticked every hour', () => {
    const awake = goOffline();
    for (let passedMs = 0; passedMs < passed; passedMs += hourMs) {
      awake.site.clock.advance(hourMs);
      awake.site.run({ kind: 'tick' });
    }
    const asleep = goOffline();
    asleep.site.clock.advance(passed);
    asleep.site.restart();
    expect(asleep.site.kinds().at(-1)).not.toBe('month-sealed');
    for (const { site } of [awake, asleep]) site.welcome();
    const facts = (site: SiteInMemory) =>
      site.entries.map(({ at, kind, body }) => ({ at, kind, body: withoutSealing(body) }));
    expect(facts(asleep.site)).toEqual(facts(awake.site));
    expect(
      asleep.site.entries.filter((entry) => entry.kind === 'month-sealed').map((entry) => entry.body.month),
    ).toEqual(['2026-01', '2026-02', '2026-03']);
    expectVerified(asleep.site);
  });

  test('is woken exactly when something falls due', () => {
    const { site, start } = goOffline();
    const wakes: Instant[] = [];
    for (;;) {
      const inMs = wakeInMs(site.state, site.reading);
      if (inMs === null || msOfInstant(site.clock.now()) + inMs > msOfInstant(start) + 29 * dayMs) break;
      site.clock.advance(inMs);
      const before = site.entries.length;
      site.run({ kind: 'tick' });
      expect(site.entries.length).toBe(before + 1);
      wakes.push(site.clock.now());
    }
    expect(wakes).toEqual([
      after(start, 5 * minuteMs),
      after(start, leaseMs / 4),
      after(start, leaseMs / 2),
      after(start, leaseMs),
      '2026-01-31T23:00:00.000Z',
    ]);
  });
});

test('is not woken over and over while its ledger lies ahead of true time', () => {
  const site = new SiteInMemory();
  const enrolledAt = site.clock.now();
  site.welcome({ leases: [leaseOf(enrolledAt, 14 * dayMs)] });
  site.endpoint(1);
  // Somebody sets the clock while the machine is off, and there is no network to tell.
  site.clock.setWall(after(enrolledAt, 5 * dayMs));
  site.restart();
  site.clock.advance(minuteMs);
  expect(site.checkIn(1)).toMatchObject({ ok: true });
  const truth = after(enrolledAt, hourMs);
  site.welcome({ serverTime: truth, leases: [leaseOf(truth, 14 * dayMs)] });
  site.run({ kind: 'tick' });
  expect(site.entries.at(-1)?.at).toBe(after(enrolledAt, 5 * dayMs + minuteMs));
  // The first stage of the new lease is what comes next, and it begins by true time.
  expect(wakeInMs(site.state, site.reading)).toBe((14 * dayMs) / 4);
});

test('that was put right by contact stays right over a restart, though its ledger lies ahead of true time', () => {
  const site = new SiteInMemory();
  const enrolledAt = site.clock.now();
  site.welcome({ leases: [leaseOf(enrolledAt, 14 * dayMs)] });
  site.endpoint(1);
  site.clock.setWall(after(enrolledAt, 5 * dayMs));
  site.restart();
  site.clock.advance(minuteMs);
  expect(site.checkIn(1)).toMatchObject({ ok: true });
  site.clock.setWall(after(enrolledAt, hourMs));
  site.welcome({ serverTime: site.clock.now() });
  site.clock.advance(hourMs);
  site.run({ kind: 'tick' });
  site.restart();
  site.clock.advance(dayMs);
  // Its stamps stand still until true time has come to where they are; they do not run on from there.
  expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(enrolledAt, 5 * dayMs + minuteMs) });
  site.clock.advanceTo(after(enrolledAt, 6 * dayMs));
  expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(enrolledAt, 6 * dayMs) });
});

/** What depends on when a month was really sealed. */
function withoutSealing(body: object): object {
  const { sealedAt: _at, signature: _signature, upTo: _upTo, ...facts } = body as Record<string, unknown>;
  return facts;
}

describe('month sealing', () => {
  test('is dated the end of the month in the site’s zone, refers to the entry before it, and bears the site’s signature', () => {
    const site = new SiteInMemory({ timeZone: 'America/New_York' });
    site.welcome({ leases: [leaseOf(site.clock.now(), year)] });
    for (const n of [1, 2]) {
      site.endpoint(n);
      site.checkIn(n, n === 1 ? 'server' : 'workstation');
    }
    site.clock.advanceTo('2026-02-01T04:59:59.999Z');
    site.checkIn(1);
    expect(site.kinds()).not.toContain('month-sealed');
    site.clock.advance(1);
    site.run({ kind: 'tick' });
    const sealed = site.entries.at(-1);
    if (sealed?.kind !== 'month-sealed') throw new Error('not sealed');
    const before = site.disk.entries.at(-2);
    expect(sealed).toMatchObject({ at: '2026-02-01T05:00:00.000Z' });
    expect(sealed.body).toMatchObject({
      month: '2026-01',
      period: { start: site.state.identity.enrolledAt, end: sealed.at },
      revision: 1,
      upTo: { seq: before?.entry.seq, hash: before?.hash },
      activeAtClose: { server: 1, workstation: 0 },
      sealedAt: sealed.at,
      peaks: { server: { peak: 1 }, workstation: { peak: 1 } },
    });
    expect(isSignedBy(sealed.body, testSigner.publicKey, nodeVerifier)).toBe(true);
  });

  test('a removal that falls due exactly at the month’s end still counts in the month', () => {
    const site = new SiteInMemory({ timeZone: 'UTC', staleAfterDays: 10 });
    site.welcome({ leases: [leaseOf(site.clock.now(), year)] });
    site.clock.advanceTo('2026-01-22T00:00:00.000Z');
    site.endpoint(1);
    site.checkIn(1);
    site.clock.advance(20 * dayMs);
    site.run({ kind: 'tick' });
    expect(site.entries.slice(-2)).toMatchObject([
      { kind: 'month-sealed', at: '2026-02-01T00:00:00.000Z', body: { activeAtClose: { server: 0 } } },
      { kind: 'agent-removed', at: '2026-02-01T00:00:00.000Z', body: { reason: 'stale' } },
    ]);
    site.clock.advanceTo('2026-03-01T00:00:00.000Z');
    site.run({ kind: 'tick' });
    expect(site.entries.at(-1)).toMatchObject({
      kind: 'month-sealed',
      body: { month: '2026-02', peaks: { server: { peak: 0 } } },
    });
    expectVerified(site);
  });
});

describe('a correction', () => {
  function sealedSite(): SiteInMemory {
    const site = new SiteInMemory({ timeZone: 'UTC' });
    site.welcome({ leases: [leaseOf(site.clock.now(), year)] });
    for (const n of [1, 2, 3]) {
      site.endpoint(n);
      site.checkIn(n);
    }
    site.clock.advance(28 * dayMs);
    site.run({ kind: 'tick' });
    return site;
  }
  const correct = (site: SiteInMemory, exclude: number[], month = '2026-01') =>
    site.run({ kind: 'correct-report', month, exclude: exclude.map(testIds.endpoint), reason: 'test machine' });

  test('is a new revision without the excluded, exclusions add up, and repeating one changes nothing', () => {
    const site = sealedSite();
    expect(correct(site, [1])).toMatchObject({ ok: true, report: { revision: 2, peaks: { server: { peak: 2 } } } });
    expect(correct(site, [1, 3])).toMatchObject({
      ok: true,
      report: { revision: 3, peaks: { server: { peak: 1, endpoints: [testIds.endpoint(2)] } } },
    });
    const before = site.entries.length;
    expect(correct(site, [3])).toMatchObject({ ok: true, report: { revision: 3 } });
    expect(site.entries.length).toBe(before);
    expectVerified(site);
  });

  test.each([
    { name: 'a month that runs', exclude: [1], month: '2026-02', code: 'MONTH_NOT_SEALED' },
    { name: 'a month before the site’s life', exclude: [1], month: '2025-12', code: 'MONTH_NOT_SEALED' },
    { name: 'an endpoint that was not there', exclude: [9], month: '2026-01', code: 'NOT_FOUND' },
  ])('of $name is refused', ({ exclude, month, code }) => {
    const site = sealedSite();
    const before = site.entries.length;
    expect(correct(site, exclude, month)).toMatchObject({ ok: false, code });
    expect(site.entries.length).toBe(before);
  });

  test('of a large site, with reasons in a script of three bytes a character, still fits a frame', {
    timeout: 60_000,
  }, () => {
    const site = new SiteInMemory({ timeZone: 'UTC' });
    site.welcome({ leases: [leaseOf(site.clock.now(), year)] });
    for (let n = 0; n < 3_700; n++) {
      site.endpoint(n);
      site.checkIn(n, n % 2 === 0 ? 'server' : 'workstation');
    }
    site.clock.advanceTo('2026-02-01T00:00:00.000Z');
    site.run({ kind: 'tick' });
    expect(site.entries.at(-1)).toMatchObject({ kind: 'month-sealed', body: { evidence: expect.any(Array) } });
    for (let from = 0; from < 1_000; from += 500) {
      const exclude = Array.from({ length: 500 }, (_, n) => testIds.endpoint(from + n));
      const answer = site.run({ kind: 'correct-report', month: '2026-01', exclude, reason: '同'.repeat(133) });
      expect(answer).toMatchObject({ ok: true });
      const entry = site.entries.at(-1);
      const frame = encode({ kind: 'append', entries: entry === undefined ? [] : [entry] });
      expect(decodeToAggregator(frame)).toMatchObject({ ok: true });
      expect(site.disk.entries.at(-1)?.text.length).toBeLessThan(entryBytesMax);
      expect(utf8Bytes(site.disk.entries.at(-1)?.text ?? '')).toBeLessThanOrEqual(entryBytesMax);
    }
    expectVerified(site);
  });

  test('of the month that this very event seals finds it sealed', () => {
    const site = new SiteInMemory({ timeZone: 'UTC' });
    site.welcome({ leases: [leaseOf(site.clock.now(), year)] });
    site.endpoint(1);
    site.checkIn(1);
    site.clock.advance(28 * dayMs);
    expect(correct(site, [1])).toMatchObject({ ok: true, report: { revision: 2, peaks: { server: { peak: 0 } } } });
    expectVerified(site);
  });
});

test('an entry that no frame could carry is refused before it is in the plan', () => {
  const site = new SiteInMemory();
  const work = new Work(site.state, site.ports);
  const before = { ...site.state.head };
  const body = { keyId: testIds.key, reason: '同'.repeat(310_000) };
  expect(() => work.append(site.clock.now(), 'key-removed', body)).toThrow(RangeError);
  expect([work.plan.entries, site.state.head]).toEqual([[], before]);
});

describe('commands', () => {
  const command = (n: number, name: string, keyId: string = testIds.key) => ({
    id: testIds.command(n),
    name,
    keyId,
    issuedAt: '2026-01-10T12:00:00.000Z',
  });
  function withKey(): SiteInMemory {
    const site = new SiteInMemory();
    site.welcome({ leases: [leaseOf(site.clock.now(), 14 * dayMs)] });
    return site;
  }

  test('are applied once, also when delivered again after a restart', () => {
    const site = withKey();
    site.run({ kind: 'command', command: command(1, 'deactivate-key') });
    expect(site.entries.slice(-2)).toMatchObject([
      { kind: 'key-state', body: { keyId: testIds.key, state: 'deactivated' } },
      { kind: 'command-applied', body: { commandId: testIds.command(1), outcome: 'applied' } },
    ]);
    site.run({ kind: 'command', command: command(2, 'reactivate-key') });
    expect(keyStates(site).at(-1)?.[1]).toBe('active');
    const before = site.entries.length;
    site.run({ kind: 'command', command: command(1, 'deactivate-key') });
    site.restart();
    site.welcome({ commands: [command(1, 'deactivate-key'), command(2, 'reactivate-key')] });
    expect(site.entries.length).toBe(before);
  });

  test.each([
    { name: 'fly-to-the-moon', keyId: testIds.key, code: 'UNKNOWN_COMMAND' },
    { name: 'deactivate-key', keyId: testIds.otherKey, code: 'UNKNOWN_KEY' },
  ])('$name of $keyId is answered $code', ({ name, keyId, code }) => {
    const site = withKey();
    site.run({ kind: 'command', command: command(1, name, keyId) });
    expect(site.entries.at(-1)).toMatchObject({ kind: 'command-applied', body: { outcome: 'refused', code } });
  });

  test('a deactivated key goes through no stages, is not lifted by a lease, and comes back at the stage its lease is in', () => {
    const site = withKey();
    site.run({ kind: 'command', command: command(1, 'deactivate-key') });
    site.run({ kind: 'lease', lease: leaseOf(after(site.clock.now(), 1), 14 * dayMs) });
    site.clock.advance(8 * dayMs);
    site.run({ kind: 'tick' });
    expect(keyStates(site).map(([, state]) => state)).toEqual(['active', 'deactivated']);
    site.run({ kind: 'command', command: command(2, 'reactivate-key') });
    expect(keyStates(site).at(-1)?.[1]).toBe('restricted');
  });
});

describe('leases', () => {
  test('of another site, and older than the one held, change nothing', () => {
    const site = new SiteInMemory();
    const now = site.clock.now();
    site.welcome({ leases: [leaseOf(now, 14 * dayMs)] });
    const before = site.entries.length;
    site.run({ kind: 'lease', lease: { ...leaseOf(after(now, 1), dayMs), siteId: testIds.otherSite } });
    site.run({ kind: 'lease', lease: leaseOf(after(now, -1), 100 * dayMs) });
    expect(site.entries.length).toBe(before);
    expect(site.state.soft.leases.get(testIds.key)).toEqual(leaseOf(now, 14 * dayMs));
  });
});

describe('a clock that somebody set', () => {
  function runningSite(leaseMs = 14 * dayMs): { site: SiteInMemory; start: Instant } {
    const site = new SiteInMemory();
    const start = site.clock.now();
    site.welcome({ leases: [leaseOf(start, leaseMs)] });
    site.endpoint(1);
    site.checkIn(1);
    site.run({ kind: 'disconnected', aliveAgoMs: 0 });
    site.clock.advance(hourMs);
    site.run({ kind: 'tick' });
    return { site, start };
  }

  test('back an hour while running: recorded once, nothing dated wrong, the lease runs on', () => {
    const { site, start } = runningSite();
    site.clock.setWall(start);
    site.checkIn(1);
    expect(bodies(site, 'clock-anomaly')).toMatchObject([
      { at: after(start, hourMs), direction: 'backward', noticed: 'running', differenceMs: -hourMs },
    ]);
    site.clock.advance(14 * dayMs - hourMs - 1);
    site.run({ kind: 'tick' });
    expect(keyStates(site).at(-1)?.[1]).toBe('restricted');
    site.clock.advance(1);
    site.run({ kind: 'tick' });
    expect(keyStates(site).at(-1)).toEqual([after(start, 14 * dayMs), 'disabled-offline']);
    expect(bodies(site, 'clock-anomaly')).toHaveLength(1);
  });

  test('forward a year while running: recorded, no month sealed, nobody stale, no count lost; the lease is only shortened', () => {
    const { site, start } = runningSite();
    site.clock.setWall(after(start, year));
    site.checkIn(1);
    expect(bodies(site, 'clock-anomaly')).toMatchObject([
      { at: after(start, hourMs), direction: 'forward', noticed: 'running' },
    ]);
    expect(keyStates(site).at(-1)).toEqual([after(start, hourMs), 'disabled-offline']);
    expect(site.kinds()).not.toContain('month-sealed');
    expect(site.state.agents.size).toBe(1);
    site.clock.setWall(after(start, hourMs));
    site.run({ kind: 'tick' });
    expect(keyStates(site).at(-1)?.[1]).toBe('active');
  });

  test('forward a year while running, with contact: the aggregator’s time lifts what the wrong clock began', () => {
    const { site, start } = runningSite();
    site.clock.setWall(after(start, year));
    site.run({ kind: 'tick' });
    site.welcome({ serverTime: after(start, hourMs) });
    expect(keyStates(site).at(-1)?.[1]).toBe('active');
    expect(bodies(site, 'clock-anomaly')).toHaveLength(1);
    site.clock.advance(hourMs);
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(start, 2 * hourMs) });
  });

  test('forward a year while contact lasts: recorded, and no key suffers for it, nor when contact then ends', () => {
    const site = new SiteInMemory();
    const start = site.clock.now();
    site.welcome({ leases: [leaseOf(start, 14 * dayMs)] });
    site.clock.setWall(after(start, year));
    site.endpoint(1);
    // No word of the aggregator in between: the check-in comes before the anomaly is even shipped.
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: start, deployed: true, keyState: 'active' });
    expect(bodies(site, 'clock-anomaly')).toMatchObject([{ at: start, direction: 'forward', noticed: 'running' }]);
    site.run({
      kind: 'acknowledged',
      seq: site.state.head.seq,
      serverTime: start,
      heardSteadyMs: site.clock.steadyMs(),
    });
    site.run({ kind: 'disconnected', aliveAgoMs: 0 });
    site.run({ kind: 'tick' });
    expect(keyStates(site)).toEqual([[start, 'active']]);
    site.clock.advance(14 * dayMs);
    site.run({ kind: 'tick' });
    expect(keyStates(site).at(-1)).toEqual([after(start, 14 * dayMs), 'disabled-offline']);
  });

  test('back an hour at start: time goes on from the last known, and it is recorded', () => {
    const { site, start } = runningSite();
    site.clock.setWall(start);
    site.restart();
    expect(bodies(site, 'clock-anomaly')).toMatchObject([
      { at: after(start, hourMs), direction: 'backward', noticed: 'start', differenceMs: -hourMs },
    ]);
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(start, hourMs) });
  });

  test('forward a year at start, without contact: nothing is written until the operator vouches for it', () => {
    const { site, start } = runningSite();
    site.clock.setWall(after(start, year));
    const before = site.entries.length;
    site.restart();
    site.clock.advance(hourMs);
    expect(site.checkIn(1)).toMatchObject({ ok: false, code: 'TIME_UNCONFIRMED' });
    expect(site.entries.length).toBe(before);
    expect(
      siteStatus(site.state, site.reading, { aggregatorUrl: 'https://a', software: 's' }).conditions.map(
        ({ code }) => code,
      ),
    ).toContain('TIME_UNCONFIRMED');
    expect(site.run({ kind: 'confirm-clock' })).toEqual({ ok: true, confirmed: true });
    expect(site.entries.filter((entry) => entry.kind === 'month-sealed')).toHaveLength(12);
    expectVerified(site);
  });

  test('by nobody, but the machine was paused: the operator’s word brings the time forward, and what fell due with it', () => {
    const { site, start } = runningSite(60 * dayMs);
    site.clock.setWall(after(start, 25 * dayMs));
    site.run({ kind: 'tick' });
    expect(bodies(site, 'month-sealed')).toEqual([]);
    expect(site.run({ kind: 'confirm-clock' })).toEqual({ ok: true, confirmed: true });
    expect(bodies(site, 'month-sealed')).toMatchObject([{ month: '2026-01' }]);
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(start, 25 * dayMs) });
    expect(site.run({ kind: 'confirm-clock' })).toMatchObject({ ok: false, code: 'NOTHING_TO_CONFIRM' });
    expectVerified(site);
  });

  test('forward a year at start, with contact: the true time holds, the lie is recorded, no count is lost', () => {
    const { site, start } = runningSite();
    site.clock.setWall(after(start, year));
    site.restart();
    site.welcome({ serverTime: after(start, 2 * hourMs) });
    expect(bodies(site, 'clock-anomaly')).toMatchObject([
      { at: after(start, 2 * hourMs), direction: 'forward', noticed: 'contact' },
    ]);
    expect(site.kinds()).not.toContain('month-sealed');
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(start, 2 * hourMs), keyState: 'active' });
    site.restart();
    expect(site.checkIn(1)).toMatchObject({ ok: true });
    expect(bodies(site, 'clock-anomaly')).toHaveLength(1);
  });
});

describe('an aggregator whose clock is wrong', () => {
  const facts = { aggregatorUrl: 'https://a', software: 's' };
  const conditions = (site: SiteInMemory) =>
    siteStatus(site.state, site.reading, facts).conditions.filter(({ code }) => code === 'AGGREGATOR_CLOCK_DIFFERS');
  function connectedSite(): SiteInMemory {
    const site = new SiteInMemory();
    site.welcome({ leases: [leaseOf(site.clock.now(), 60 * dayMs)] });
    site.endpoint(1);
    site.checkIn(1);
    site.clock.advance(hourMs);
    return site;
  }

  test.each([
    { name: 'a year ahead', byMs: year },
    { name: 'a year behind', byMs: -year },
  ])('by $name takes no count and seals no month; it is shown with both times until it agrees', ({ byMs }) => {
    const site = connectedSite();
    const before = site.entries.length;
    const saw = site.clock.now();
    const wrong = () => after(site.clock.now(), byMs);
    site.run({ kind: 'acknowledged', seq: 1, serverTime: wrong(), heardSteadyMs: site.clock.steadyMs() });
    site.welcome({ serverTime: wrong() });
    expect(site.entries.length).toBe(before);
    expect(site.state.agents.size).toBe(1);
    site.clock.advance(hourMs);
    expect(conditions(site)).toEqual([
      { code: 'AGGREGATOR_CLOCK_DIFFERS', message: expect.stringContaining(wrong()), since: saw },
    ]);
    expect(conditions(site)[0]?.message).toContain(`this site's ${site.clock.now()}`);
    // Metering and the stages of keys go on by the site's own time.
    site.endpoint(2);
    expect(site.checkIn(2)).toMatchObject({ ok: true, at: site.clock.now(), deployed: true });
    site.clock.advance(15 * dayMs);
    site.run({ kind: 'tick' });
    expect(keyStates(site).at(-1)).toEqual([after(saw, 15 * dayMs - hourMs), 'warning']);
    site.welcome();
    expect(conditions(site)).toEqual([]);
    site.clock.advanceTo('2026-01-31T23:00:00.000Z');
    site.run({ kind: 'tick' });
    expect(bodies(site, 'month-sealed')).toMatchObject([{ month: '2026-01', peaks: { server: { peak: 2 } } }]);
    expectVerified(site);
  });

  test('is followed where the site’s own time was only believed, also before its service was started again', () => {
    const site = connectedSite();
    site.run({ kind: 'disconnected', aliveAgoMs: 0 });
    const truth = site.clock.now();
    site.clock.setWall(after(truth, 20 * dayMs));
    site.restart();
    site.clock.advance(minuteMs);
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: after(truth, 20 * dayMs + minuteMs) });
    site.restart();
    expect(site.state.clock.unconfirmed).toBeNull();
    site.welcome({ serverTime: after(truth, 2 * minuteMs) });
    expect(conditions(site)).toEqual([]);
    expect(instantFromMs(site.state.clock.trustedMs)).toBe(after(truth, 2 * minuteMs));
    // The contact has vouched for the time: from now on a server that says something else stands alone.
    site.welcome({ serverTime: after(truth, year) });
    expect(conditions(site)).toHaveLength(1);
  });
});

describe('what the aggregator said', () => {
  test('an acknowledgement beyond the head is not believed, and one that comes again changes nothing', () => {
    const site = new SiteInMemory();
    const serverTime = site.clock.now();
    site.welcome({ acknowledgedSeq: 99 });
    expect(site.state.soft.acknowledgedSeq).toBe(0);
    site.run({ kind: 'acknowledged', seq: 2, serverTime, heardSteadyMs: site.clock.steadyMs() });
    expect(site.state.soft.acknowledgedSeq).toBe(0);
    site.run({ kind: 'acknowledged', seq: 1, serverTime, heardSteadyMs: site.clock.steadyMs() });
    site.run({ kind: 'acknowledged', seq: 0, serverTime, heardSteadyMs: site.clock.steadyMs() });
    expect(site.state.soft.acknowledgedSeq).toBe(1);
  });

  test('an acknowledgement taken hours after it came, since the machine slept, leaves the time as it is', () => {
    const site = new SiteInMemory();
    site.welcome({ leases: [leaseOf(site.clock.now(), 14 * dayMs)] });
    site.endpoint(1);
    site.checkIn(1);
    const before = site.entries.length;
    const heard = { serverTime: site.clock.now(), heardSteadyMs: site.clock.steadyMs() };
    site.clock.advance(8 * hourMs);
    site.run({ kind: 'acknowledged', seq: site.state.head.seq, ...heard });
    // Read only now, after it had lain in the machine's buffers.
    site.run({ kind: 'acknowledged', seq: site.state.head.seq, ...heard, heardSteadyMs: site.clock.steadyMs() });
    expect(site.entries.length).toBe(before);
    expect(site.checkIn(1)).toMatchObject({ ok: true, at: site.clock.now() });
  });

  test('a refusal and a notice are kept over a restart; a welcome ends both, and what still holds is said again', () => {
    const site = new SiteInMemory();
    site.run({ kind: 'refused', code: 'CLONE_SUSPECTED', message: 'two of you' });
    site.run({ kind: 'notice', code: 'CLONE_SUSPECTED', message: 'another one tried' });
    site.restart();
    const codes = () =>
      siteStatus(site.state, site.reading, { aggregatorUrl: 'https://a', software: 's' }).conditions.map(
        ({ code }) => code,
      );
    expect(codes()).toEqual(['REFUSED_BY_AGGREGATOR', 'NO_KEY', 'NOTICE']);
    site.welcome();
    expect(codes()).toEqual(['NO_KEY']);
    site.run({ kind: 'notice', code: 'CLONE_SUSPECTED', message: 'another one tried' });
    expect(codes()).toEqual(['NO_KEY', 'NOTICE']);
  });
});

describe('whatever happens', () => {
  type Step = { do: string; n: number };
  const steps = fc.array(
    fc.record({
      do: fc.constantFrom(
        'check-in',
        'check-in',
        'check-in',
        'uninstall',
        'remove',
        'welcome',
        'lease',
        'disconnect',
        'deactivate',
        'reactivate',
        'settings',
        'correct',
        'wait',
        'wait-long',
        'set-clock',
        'restart',
        'tick',
        'confirm',
      ),
      n: fc.nat({ max: 1_000 }),
    }),
    { maxLength: 60 },
  );

  function take(site: SiteInMemory, step: Step): void {
    const n = (step.n % 5) + 1;
    const now = site.clock.now();
    const commandOf = (name: string) => ({ id: testIds.command(step.n % 40), name, keyId: testIds.key, issuedAt: now });
    switch (step.do) {
      case 'check-in':
        if (!site.state.endpointOfMachine.has(`machine-${n}`)) site.endpoint(n);
        site.checkIn(n, step.n % 3 === 0 ? 'workstation' : 'server', step.n % 7 === 0 ? '2.0' : '1.0');
        break;
      case 'uninstall':
        site.checkIn(n, null);
        break;
      case 'remove':
        site.run({ kind: 'remove-endpoint', endpointId: testIds.endpoint(n), reason: 'operator' });
        break;
      case 'welcome':
        site.welcome({ leases: [leaseOf(now, (step.n + 1) * hourMs)], acknowledgedSeq: step.n % site.entries.length });
        break;
      case 'lease':
        site.run({
          kind: 'lease',
          lease: leaseOf(now, (step.n + 1) * hourMs, step.n % 2 === 0 ? testIds.key : testIds.otherKey),
        });
        break;
      case 'disconnect':
        site.run({ kind: 'disconnected', aliveAgoMs: step.n * 100 });
        break;
      case 'deactivate':
        site.run({ kind: 'command', command: commandOf('deactivate-key') });
        break;
      case 'reactivate':
        site.run({ kind: 'command', command: commandOf('reactivate-key') });
        break;
      case 'settings':
        site.run({ kind: 'settings', settings: { staleAfterDays: step.n % 40 } });
        break;
      case 'correct':
        site.run({
          kind: 'correct-report',
          month: `2026-0${(step.n % 4) + 1}`,
          exclude: [testIds.endpoint(n)],
          reason: 'test',
        });
        break;
      case 'wait':
        site.clock.advance(step.n * minuteMs);
        break;
      case 'wait-long':
        site.clock.advance(step.n * hourMs);
        break;
      case 'set-clock':
        site.clock.setWall(after(now, (step.n - 500) * hourMs));
        break;
      case 'restart':
        site.restart();
        break;
      case 'confirm':
        site.run({ kind: 'confirm-clock' });
        break;
      default:
        site.run({ kind: 'tick' });
    }
  }

  test('a state rebuilt from disk is the state that was live, and the ledger proves itself', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const site = new SiteInMemory();
        for (const step of taken) take(site, step);
        expect(lasting(site.rebuilt())).toEqual(lasting(site.state));
        expectVerified(site);
        const sealed = site.entries.flatMap((entry) => (entry.kind === 'month-sealed' ? [entry.body.month] : []));
        expect(new Set(sealed).size).toBe(sealed.length);
        const commands = site.entries.flatMap((entry) =>
          entry.kind === 'command-applied' ? [entry.body.commandId] : [],
        );
        expect(new Set(commands).size).toBe(commands.length);
      }),
      { numRuns: 300 },
    );
  });
});
