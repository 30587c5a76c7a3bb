import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { byeCodes, type ByeCode } from '@rollcall/shared/protocol/bye.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { handshakeTimeoutMs, unacknowledgedEntriesMax } from '@rollcall/shared/protocol/limits.ts';
import type { ToSite } from '@rollcall/shared/protocol/messages.ts';
import type { RejectCode } from '@rollcall/shared/protocol/reject.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { testIds, testSigner } from '../testing/site-in-memory.ts';
import { backoffMs } from './backoff.ts';
import { refusedRetryMs, stepSync, unacknowledgedAppendsMax, urgentRetryMs } from './sync.ts';
import { initialSync, type SyncEffect, type SyncEvent, type SyncState, syncWakeMs } from './sync-state.ts';

const serverTime: Instant = '2026-01-10T12:00:00.000Z';
const hashOf = (seq: number): string => (seq === 0 ? '0'.repeat(64) : nodeDigest.sha256(`entry ${seq}`));
const challenge: ToSite = { kind: 'challenge', nonce: 'n'.repeat(43), serverTime, protocolMin: 1, protocolMax: 1 };
const ack = (seq: number): ToSite => ({ kind: 'ack', seq, serverTime });
const bye = (code: string, retryAfterMs: number | null = null): ToSite => ({
  kind: 'bye',
  code,
  retryAfterMs,
  message: 'because',
});
const welcome = (seq: number, hash = hashOf(seq)): ToSite => ({
  kind: 'welcome',
  serverTime,
  acked: { seq, hash },
  leases: [],
  settings: { staleAfterDays: 30 },
  commands: [],
  heartbeatIntervalMs: 30_000,
});
const reject = (code: RejectCode, seq: number): ToSite => ({
  kind: 'reject',
  code,
  expected: { seq, hash: hashOf(seq) },
  message: 'no',
});

/** The machine, its clock, a ledger of `headSeq` entries, and a socket that carries out appends of up to 500. */
class Machine {
  state: SyncState = initialSync;
  nowMs = 1_000_000;
  headSeq = 0;
  urgent = false;
  readonly chance = new SeededRandom(7).bytes;
  log: SyncEffect[] = [];

  feed(event: SyncEvent): SyncEffect[] {
    const context = {
      nowMs: this.nowMs,
      head: { seq: this.headSeq, hash: hashOf(this.headSeq) },
      urgent: this.urgent,
      chance: this.chance,
      self: {
        siteId: testIds.site,
        instanceId: '0123456789abcdef',
        software: 'rollcall-site 0.1.0',
        signer: testSigner,
      },
    };
    const [state, effects] = stepSync(this.state, event, context);
    this.state = state;
    this.log.push(...effects);
    for (const effect of effects)
      if (effect.kind === 'append') this.feed({ kind: 'appended', throughSeq: effect.afterSeq + effect.entriesMax });
    return effects;
  }
  hear(message: ToSite): SyncEffect[] {
    return this.feed({ kind: 'message', message });
  }
  /** Time passes, with a wake-up whenever the machine asks for one. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    while (syncWakeMs(this.state) <= endMs) {
      this.nowMs = Math.max(this.nowMs, syncWakeMs(this.state));
      this.feed({ kind: 'time' });
    }
    this.nowMs = endMs;
  }
  goLive(acked = 0): void {
    this.feed({ kind: 'start' });
    this.feed({ kind: 'opened' });
    this.hear(challenge);
    this.hear(welcome(acked));
  }
  kinds(): string[] {
    return this.log.map((effect) => effect.kind);
  }
  appends(): number[][] {
    return this.log.flatMap((effect) =>
      effect.kind === 'append' ? [[effect.afterSeq, effect.afterSeq + effect.entriesMax]] : [],
    );
  }
}

describe('the handshake', () => {
  test('answers the challenge with a signed hello that names the committed head', () => {
    const machine = new Machine();
    machine.headSeq = 5;
    machine.feed({ kind: 'start' });
    machine.feed({ kind: 'opened' });
    const [effect] = machine.hear(challenge);
    if (effect?.kind !== 'send' || effect.message.kind !== 'hello') throw new Error('no hello');
    const { signature, kind: _kind, ...hello } = effect.message;
    expect(hello).toEqual({
      siteId: testIds.site,
      instanceId: '0123456789abcdef',
      head: { seq: 5, hash: hashOf(5) },
      protocol: 1,
      software: 'rollcall-site 0.1.0',
    });
    expect(nodeVerifier.verify(testSigner.publicKey, helloText(hello, 'n'.repeat(43)), signature)).toBe(true);
  });

  test.each([
    { step: 'connection', reach: 0 },
    { step: 'challenge', reach: 1 },
    { step: 'welcome', reach: 2 },
  ])('gives up when no $step comes in time, and tries again', ({ reach }) => {
    const machine = new Machine();
    machine.feed({ kind: 'start' });
    if (reach >= 1) machine.feed({ kind: 'opened' });
    if (reach >= 2) machine.hear(challenge);
    machine.nowMs += handshakeTimeoutMs - 1;
    expect(machine.feed({ kind: 'time' })).toEqual([]);
    machine.nowMs += 1;
    expect(machine.feed({ kind: 'time' })).toMatchObject([{ kind: 'close', code: 'HANDSHAKE_TIMEOUT' }]);
    machine.pass(1_000);
    expect(machine.kinds().filter((kind) => kind === 'open')).toHaveLength(2);
  });

  test.each(['challenge', 'welcome'])(
    'a %s that the machine slept over is not taken: it would tell a time that has passed',
    (step) => {
      const machine = new Machine();
      machine.feed({ kind: 'start' });
      machine.feed({ kind: 'opened' });
      if (step === 'welcome') machine.hear(challenge);
      machine.nowMs += 8 * 3_600_000;
      expect(machine.hear(step === 'welcome' ? welcome(0) : challenge)).toMatchObject([
        { kind: 'close', code: 'HANDSHAKE_TIMEOUT' },
      ]);
    },
  );

  test.each([
    { name: 'holds more than there is', acked: 6, hash: hashOf(6), code: 'LEDGER_BEHIND' },
    { name: 'holds another entry at the head', acked: 5, hash: hashOf(99), code: 'FORK' },
  ])('stops when the aggregator $name', ({ acked, hash, code }) => {
    const machine = new Machine();
    machine.headSeq = 5;
    machine.feed({ kind: 'start' });
    machine.feed({ kind: 'opened' });
    machine.hear(challenge);
    expect(machine.hear(welcome(acked, hash))).toMatchObject([
      { kind: 'close', code },
      { kind: 'deliver-refusal', code },
    ]);
    expect(syncWakeMs(machine.state)).toBe(machine.nowMs + refusedRetryMs);
  });

  test.each([
    { name: 'too old for the aggregator', min: 2, max: 3, refused: true },
    { name: 'too new for the aggregator', min: 0, max: 0, refused: false },
  ])('a protocol $name', ({ min, max, refused }) => {
    const machine = new Machine();
    machine.feed({ kind: 'start' });
    machine.feed({ kind: 'opened' });
    const effects = machine.hear({ ...challenge, protocolMin: min, protocolMax: max });
    expect(effects.some((effect) => effect.kind === 'deliver-refusal')).toBe(refused);
    expect(syncWakeMs(machine.state)).toBeGreaterThanOrEqual(machine.nowMs + refusedRetryMs);
  });
});

describe('sending', () => {
  test('goes on from what is acknowledged, ahead by no more than allowed, and on with each acknowledgement', () => {
    const machine = new Machine();
    machine.headSeq = 5_000;
    machine.goLive(100);
    expect(machine.appends()).toEqual([
      [100, 600],
      [600, 1_100],
      [1_100, 1_600],
      [1_600, 2_100],
    ]);
    machine.hear(ack(600));
    expect(machine.appends().at(-1)).toEqual([2_100, 2_600]);
    machine.hear(ack(2_600));
    expect(machine.appends().at(-1)).toEqual([4_100, 4_600]);
    expect(machine.state.sentSeq - machine.state.acknowledgedSeq).toBe(unacknowledgedEntriesMax);
  });

  test('sends what is committed while connected, at once', () => {
    const machine = new Machine();
    machine.goLive();
    machine.headSeq = 1;
    expect(machine.feed({ kind: 'committed' })).toEqual([{ kind: 'append', afterSeq: 0, entriesMax: 1 }]);
    expect(machine.feed({ kind: 'committed' })).toEqual([]);
  });

  test('keeps a bounded number of appends in flight, however short they are', () => {
    const machine = new Machine();
    machine.goLive();
    for (machine.headSeq = 1; machine.headSeq <= 100; machine.headSeq++) machine.feed({ kind: 'committed' });
    expect(machine.appends()).toHaveLength(unacknowledgedAppendsMax);
  });

  test('ends a connection that answers pings and acknowledges nothing for a minute, and tells of it', () => {
    const machine = new Machine();
    machine.headSeq = 3;
    machine.goLive();
    for (let seconds = 0; seconds < 60; seconds++) {
      machine.pass(1_000);
      machine.feed({ kind: 'alive' });
    }
    expect(machine.log.slice(-3)).toMatchObject([
      { kind: 'close', code: 'STORE_UNAVAILABLE' },
      { kind: 'deliver-disconnected' },
      { kind: 'deliver-unacknowledged' },
    ]);
    expect(machine.state.phase).toBe('waiting');
  });

  test('waits as long for each acknowledgement that brings something, and not at all once everything is acknowledged', () => {
    const machine = new Machine();
    machine.headSeq = 1_000;
    machine.goLive();
    const live = (seconds: number): void => {
      for (let passed = 0; passed < seconds; passed++) {
        machine.pass(1_000);
        machine.feed({ kind: 'alive' });
      }
    };
    live(50);
    machine.hear(ack(500));
    live(50);
    machine.hear(ack(500));
    expect(machine.state.phase).toBe('live');
    machine.hear(ack(1_000));
    live(600);
    expect(machine.state.phase).toBe('live');
    machine.headSeq = 1_001;
    machine.feed({ kind: 'committed' });
    live(60);
    expect(machine.state.phase).toBe('waiting');
  });

  test('an acknowledgement of what was never sent ends the connection; an old one is only passed on', () => {
    const machine = new Machine();
    machine.headSeq = 3;
    machine.goLive();
    machine.hear(ack(3));
    expect(machine.hear(ack(2))).toEqual([{ kind: 'deliver', message: ack(2) }]);
    expect(machine.state.acknowledgedSeq).toBe(3);
    expect(machine.hear(ack(4))).toMatchObject([
      { kind: 'close', code: 'UNEXPECTED_MESSAGE' },
      { kind: 'deliver-disconnected' },
    ]);
  });

  test('a gap is filled once, though every append in flight is rejected for it', () => {
    const machine = new Machine();
    machine.headSeq = 2_000;
    machine.goLive();
    machine.log = [];
    for (let n = 0; n < 4; n++) machine.hear(reject('GAP', 0));
    expect(machine.appends()).toEqual([
      [0, 500],
      [500, 1_000],
      [1_000, 1_500],
      [1_500, 2_000],
    ]);
    machine.hear(ack(500));
    machine.log = [];
    machine.hear(reject('GAP', 500));
    expect(machine.appends()[0]).toEqual([500, 1_000]);
  });

  test.each([
    { code: 'FORK', refusal: 'FORK' },
    { code: 'TIME_BACKWARDS', refusal: 'ENTRY_REFUSED' },
    { code: 'BAD_ENTRY', refusal: 'ENTRY_REFUSED' },
    { code: 'ENTRY_TOO_LONG', refusal: 'ENTRY_REFUSED' },
  ] as const)('$code stops the site', ({ code, refusal }) => {
    const machine = new Machine();
    machine.headSeq = 2;
    machine.goLive();
    expect(machine.hear(reject(code, 0))).toMatchObject([
      { kind: 'close', code: refusal },
      { kind: 'deliver-disconnected' },
      { kind: 'deliver-refusal', code: refusal },
    ]);
    expect(syncWakeMs(machine.state)).toBe(machine.nowMs + refusedRetryMs);
  });

  test('a full aggregator is left alone until its goodbye, or until it takes too long', () => {
    const machine = new Machine();
    machine.headSeq = 1;
    machine.goLive();
    machine.hear(reject('BACKLOG_FULL', 0));
    machine.headSeq = 2;
    expect(machine.feed({ kind: 'committed' })).toEqual([]);
    machine.nowMs += handshakeTimeoutMs;
    expect(machine.feed({ kind: 'time' })).toMatchObject([
      { kind: 'close', code: 'BACKLOG_FULL' },
      { kind: 'deliver-disconnected' },
    ]);
  });
});

describe('the end of a connection', () => {
  test.each(Object.entries(byeCodes).map(([code, { retry }]) => ({ code: code as ByeCode, retry })))(
    '$code: retry $retry',
    ({ code, retry }) => {
      const machine = new Machine();
      machine.goLive();
      const effects = machine.hear(bye(code, 7_000));
      expect(effects.some((effect) => effect.kind === 'deliver-refusal')).toBe(!retry);
      const waitMs = syncWakeMs(machine.state) - machine.nowMs;
      if (retry) {
        expect(waitMs).toBeGreaterThanOrEqual(7_000);
        expect(waitMs).toBeLessThan(8_000);
      } else expect(waitMs).toBe(refusedRetryMs);
    },
  );

  test.each([
    { retryAfterMs: 3_000, refused: false },
    { retryAfterMs: null, refused: true },
  ])('a code not known here follows its hint: $retryAfterMs', ({ retryAfterMs, refused }) => {
    const machine = new Machine();
    machine.goLive();
    expect(machine.hear(bye('FUTURE_REASON', retryAfterMs)).some((effect) => effect.kind === 'deliver-refusal')).toBe(
      refused,
    );
  });

  test('silence for two heartbeats is noticed, and its length told', () => {
    const machine = new Machine();
    machine.goLive();
    machine.pass(45_000);
    machine.feed({ kind: 'alive' });
    machine.log = [];
    machine.pass(59_999);
    expect(machine.kinds()).not.toContain('close');
    expect(machine.kinds()).toContain('ping');
    machine.pass(1);
    expect(machine.log).toContainEqual({ kind: 'deliver-disconnected', aliveAgoMs: 60_000 });
    expect(machine.log).toContainEqual({
      kind: 'close',
      code: 'HEARTBEAT_LOST',
      message: 'no sign of life from the aggregator',
    });
  });

  test('a socket that never opens says nothing of contact; stopping says goodbye once', () => {
    const machine = new Machine();
    machine.feed({ kind: 'start' });
    expect(machine.feed({ kind: 'closed', retryAfterMs: null })).toEqual([]);
    machine.feed({ kind: 'stop' });
    const live = new Machine();
    live.goLive();
    expect(live.feed({ kind: 'stop' })).toMatchObject([
      { kind: 'close', code: 'GOING_AWAY' },
      { kind: 'deliver-disconnected' },
    ]);
    expect(live.feed({ kind: 'stop' })).toEqual([]);
    expect(syncWakeMs(live.state)).toBe(Number.POSITIVE_INFINITY);
  });

  test.each(['opened', 'greeted', 'live'] as const)(
    'a message that has no place while %s ends the connection',
    (phase) => {
      const machine = new Machine();
      machine.feed({ kind: 'start' });
      machine.feed({ kind: 'opened' });
      if (phase !== 'opened') machine.hear(challenge);
      if (phase === 'live') machine.hear(welcome(0));
      const wrong: ToSite = phase === 'opened' ? welcome(0) : challenge;
      expect(machine.hear(wrong)[0]).toMatchObject({ kind: 'close', code: 'UNEXPECTED_MESSAGE' });
    },
  );
});

describe('waiting', () => {
  test('grows by doubling with full jitter, to a minute at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer(), (failures, seed) => {
        const waitMs = backoffMs(failures, 60_000, new SeededRandom(seed).bytes);
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThanOrEqual(Math.min(60_000, 1_000 * 2 ** (failures - 1)));
      }),
    );
  });

  test('uses all of its range', () => {
    const { bytes } = new SeededRandom(1);
    const waits = Array.from({ length: 1_000 }, () => backoffMs(20, 60_000, bytes));
    expect(Math.min(...waits)).toBeLessThan(1_000);
    expect(Math.max(...waits)).toBeGreaterThan(59_000);
  });

  test('while a key is past active, tries begin within 4 s of each other, whether they fail at once or hang', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), (hangs) => {
        const machine = new Machine();
        machine.urgent = true;
        machine.feed({ kind: 'start' });
        for (const hang of hangs) {
          const startedMs = machine.state.attemptStartedMs;
          if (hang) {
            machine.nowMs = syncWakeMs(machine.state);
            machine.feed({ kind: 'time' });
          } else machine.feed({ kind: 'closed', retryAfterMs: null });
          machine.nowMs = Math.max(machine.nowMs, syncWakeMs(machine.state));
          machine.feed({ kind: 'time' });
          expect(machine.state.phase).toBe('connecting');
          expect(machine.state.attemptStartedMs - startedMs).toBeLessThanOrEqual(urgentRetryMs);
        }
      }),
    );
  });

  test('a long wait is cut short when contact becomes urgent, but not one after a refusal', () => {
    const machine = new Machine();
    machine.feed({ kind: 'start' });
    for (let n = 0; n < 20; n++) {
      machine.feed({ kind: 'closed', retryAfterMs: null });
      if (syncWakeMs(machine.state) - machine.nowMs > 10_000) break;
      machine.nowMs = syncWakeMs(machine.state);
      machine.feed({ kind: 'time' });
    }
    expect(syncWakeMs(machine.state) - machine.nowMs).toBeGreaterThan(10_000);
    machine.urgent = true;
    machine.feed({ kind: 'time' });
    expect(syncWakeMs(machine.state) - machine.nowMs).toBeLessThanOrEqual(urgentRetryMs);
    const refused = new Machine();
    refused.goLive();
    refused.hear(bye('CLONE_SUSPECTED'));
    refused.urgent = true;
    refused.feed({ kind: 'time' });
    expect(syncWakeMs(refused.state)).toBe(refused.nowMs + refusedRetryMs);
  });

  test.each([
    { name: 'an HTTP answer', end: (machine: Machine) => machine.feed({ kind: 'closed', retryAfterMs: 600_000 }) },
    { name: 'a goodbye', end: (machine: Machine) => machine.hear(bye('BACKLOG_FULL', 600_000)) },
  ])('that $name asked for is not shortened by urgency; the next one of our own is', ({ end }) => {
    const machine = new Machine();
    machine.goLive();
    machine.urgent = true;
    end(machine);
    machine.feed({ kind: 'time' });
    expect(syncWakeMs(machine.state) - machine.nowMs).toBeGreaterThanOrEqual(600_000);
    machine.nowMs = syncWakeMs(machine.state);
    machine.feed({ kind: 'time' });
    machine.feed({ kind: 'closed', retryAfterMs: null });
    expect(syncWakeMs(machine.state) - machine.nowMs).toBeLessThanOrEqual(urgentRetryMs);
  });

  test('grows while the site cannot write down its welcome, however the aggregator acknowledges', () => {
    const machine = new Machine();
    machine.headSeq = 2;
    const waits: number[] = [];
    for (let n = 0; n < 60; n++) {
      machine.goLive(n === 0 ? 0 : 1);
      machine.hear(ack(2));
      machine.nowMs += 20_000;
      machine.feed({ kind: 'alive' });
      const effects = machine.feed({ kind: 'lost-place', code: 'STORE_UNAVAILABLE', message: 'not written' });
      expect(effects).toMatchObject([{ kind: 'close', code: 'STORE_UNAVAILABLE' }, { kind: 'deliver-disconnected' }]);
      expect(machine.feed({ kind: 'lost-place', code: 'STORE_UNAVAILABLE', message: 'again' })).toEqual([]);
      waits.push(syncWakeMs(machine.state) - machine.nowMs);
      machine.nowMs = syncWakeMs(machine.state);
      machine.feed({ kind: 'time' });
    }
    expect(machine.state.failures).toBe(60);
    expect(Math.max(...waits)).toBeGreaterThan(30_000);
  });

  test('begins anew after a connection whose welcome was written down', () => {
    const machine = new Machine();
    machine.goLive();
    for (let n = 0; n < 5; n++) {
      machine.feed({ kind: 'closed', retryAfterMs: null });
      machine.nowMs = syncWakeMs(machine.state);
      machine.feed({ kind: 'time' });
    }
    machine.goLive();
    machine.feed({ kind: 'welcome-taken' });
    machine.nowMs += 20_000;
    machine.feed({ kind: 'closed', retryAfterMs: null });
    expect(machine.state.failures).toBe(1);
  });

  test('an HTTP answer that says when to come back is heeded', () => {
    const machine = new Machine();
    machine.feed({ kind: 'start' });
    machine.feed({ kind: 'closed', retryAfterMs: 20_000 });
    expect(syncWakeMs(machine.state) - machine.nowMs).toBeGreaterThanOrEqual(20_000);
  });
});

describe('the status', () => {
  test('is sent at the start, each minute, and within two seconds of a change of counts', () => {
    const machine = new Machine();
    machine.goLive();
    const sent: number[] = [];
    const startMs = machine.nowMs;
    for (let ms = 0; ms <= 130_000; ms += 500) {
      machine.nowMs = startMs + ms;
      machine.feed({ kind: 'alive' });
      if (ms === 70_000 || ms === 70_500) machine.feed({ kind: 'counts-changed' });
      for (const effect of machine.feed({ kind: 'time' })) if (effect.kind === 'send-status') sent.push(ms);
    }
    expect(sent).toEqual([0, 60_000, 71_000]);
  });
});
