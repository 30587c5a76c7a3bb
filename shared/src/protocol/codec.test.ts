import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyHead } from '../ledger/chain.ts';
import { byeCodes, isByeCode } from './bye.ts';
import { decodeToAggregator, decodeToSite, encode } from './codec.ts';
import { frameBytesMax } from './limits.ts';
import { ToAggregator, ToSite } from './messages.ts';

const at = '2026-03-01T00:00:00.000Z';
const hash = 'ab'.repeat(32);
const head = { seq: 7, hash };
const signature = 'A'.repeat(86);
const siteId = 'site_00000000000000000001';

const toAggregator: ToAggregator[] = [
  { kind: 'hello', siteId, instanceId: '0'.repeat(16), head, protocol: 1, software: 'rollcall-site 0.1', signature },
  { kind: 'append', entries: [{ seq: 1, at, kind: 'contact-lost', body: { since: at }, prev: emptyHead.hash }] },
  {
    kind: 'status',
    at,
    deployed: { server: 1, workstation: 2 },
    active: { server: 0, workstation: 0 },
    lastCheckInAt: null,
  },
  { kind: 'bye', code: 'GOING_AWAY', retryAfterMs: null, message: '' },
];

const toSite: ToSite[] = [
  { kind: 'challenge', nonce: 'n'.repeat(43), serverTime: at, protocolMin: 1, protocolMax: 1 },
  {
    kind: 'welcome',
    serverTime: at,
    acked: head,
    leases: ['a.b.c'],
    settings: { staleAfterDays: 30 },
    commands: [],
    heartbeatIntervalMs: 30_000,
  },
  { kind: 'ack', seq: 3, serverTime: at },
  { kind: 'reject', code: 'GAP', expected: head, message: 'expected entry 8, got 10' },
  { kind: 'lease', lease: 'a.b.c' },
  { kind: 'settings', settings: { staleAfterDays: 0 } },
  {
    kind: 'command',
    command: {
      id: 'cmd_00000000000000000001',
      name: 'deactivate-key',
      keyId: 'key_00000000000000000001',
      issuedAt: at,
    },
  },
  { kind: 'notice', code: 'CLONE_SUSPECTED', message: 'another machine' },
  { kind: 'bye', code: 'FORK', retryAfterMs: 1, message: 'x' },
];

const [hello, append] = toAggregator;
const kindsOf = (messages: readonly { kind: string }[]): string[] => messages.map(({ kind }) => kind).sort();

describe('codec', () => {
  it('reads back every message of both directions', () => {
    expect(kindsOf(toAggregator)).toEqual(ToAggregator.options.map(({ shape }) => shape.kind.value).sort());
    expect(kindsOf(toSite)).toEqual(ToSite.options.map(({ shape }) => shape.kind.value).sort());
    for (const message of toAggregator) expect(decodeToAggregator(encode(message))).toEqual({ ok: true, message });
    for (const message of toSite) expect(decodeToSite(encode(message))).toEqual({ ok: true, message });
  });

  it.each([
    ['NOT_JSON', ''],
    ['NOT_JSON', '{"kind":"hello"'],
    ['NOT_JSON', encode(hello!).slice(0, -2)],
    ['NOT_JSON', '\u0000\ud83d'],
    ['NOT_A_MESSAGE', 'null'],
    ['NOT_A_MESSAGE', '[]'],
    ['NOT_A_MESSAGE', '"hello"'],
    ['NOT_A_MESSAGE', '{}'],
    ['NOT_A_MESSAGE', '{"kind":7}'],
    ['NOT_A_MESSAGE', `{"kind":"${'x'.repeat(61)}"}`],
    ['NOT_A_MESSAGE', '{"kind":"append"}'],
    ['NOT_A_MESSAGE', '{"kind":"append","entries":[]}'],
    ['NOT_A_MESSAGE', encode(append!).replace('"seq":1', '"seq":"1"')],
    ['NOT_A_MESSAGE', encode(append!).replace('"seq":1', '"seq":0')],
    ['NOT_A_MESSAGE', encode(append!).replace('"seq":1', '"seq":1.5')],
    ['NOT_A_MESSAGE', encode(append!).replace('"seq":1', '"seq":1e300')],
    ['NOT_A_MESSAGE', encode(append!).replace(at, '2026-02-30T00:00:00.000Z')],
    ['NOT_A_MESSAGE', encode(hello!).replace(siteId, "site_'; DROP TABLE x;--")],
    ['UNKNOWN_KIND', '{"kind":"weather","degrees":20}'],
    ['UNKNOWN_KIND', '{"kind":"__proto__"}'],
    ['UNKNOWN_KIND', '{"kind":"constructor"}'],
    // Right for the other direction only.
    ['UNKNOWN_KIND', encode(toSite[0]!)],
  ])('answers %s to %j', (code, text) => {
    expect(decodeToAggregator(text)).toMatchObject({ ok: false, code });
  });

  it('refuses more than the longest frame in bytes, whatever the characters', () => {
    const frameOf = (character: string, bytes: number): string => {
      const frame = `{"kind":"x","t":""}`;
      return `{"kind":"x","t":"${character.repeat((bytes - frame.length) / Buffer.byteLength(character))}"}`;
    };
    expect(decodeToAggregator(frameOf('a', frameBytesMax))).toMatchObject({ code: 'UNKNOWN_KIND' });
    expect(decodeToAggregator(frameOf('a', frameBytesMax + 1))).toMatchObject({ code: 'FRAME_TOO_LARGE' });
    expect(decodeToAggregator(frameOf('€', frameBytesMax + 3))).toMatchObject({ code: 'FRAME_TOO_LARGE' });
  });

  it('drops fields it does not know, and keeps those inside entries, which are hashed as they came', () => {
    const [, message] = toAggregator;
    const read = decodeToAggregator(JSON.stringify({ ...message, colour: 'red' }));
    expect(read).toEqual({ ok: true, message });
    const entry = { seq: 1, at, kind: 'from-the-future', body: { deep: [{ a: null }] }, prev: emptyHead.hash };
    expect(decodeToAggregator(JSON.stringify({ kind: 'append', entries: [entry] }))).toMatchObject({
      message: { entries: [entry] },
    });
  });

  it('never throws, whatever it is given', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(anything, (text) => {
        for (const decode of [decodeToAggregator, decodeToSite]) {
          const read = decode(text);
          if (!read.ok) expect(['NOT_JSON', 'NOT_A_MESSAGE', 'UNKNOWN_KIND']).toContain(read.code);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('reads a message with one thing changed as itself, as another right message, or not at all', () => {
    const frames = [...toAggregator, ...toSite].map(encode);
    const change = fc.record({
      frame: fc.constantFrom(...frames),
      at: fc.nat(),
      cut: fc.nat(3),
      by: fc.string({ unit: 'binary', maxLength: 3 }),
    });
    fc.assert(
      fc.property(change, ({ frame, at: place, cut, by }) => {
        const from = place % frame.length;
        const text = frame.slice(0, from) + by + frame.slice(from + cut);
        for (const decode of [decodeToAggregator, decodeToSite] as const) {
          const read = decode(text);
          if (!read.ok) continue;
          // What is read is what is written: a second reading finds the same.
          expect(decode(encode(read.message))).toEqual(read);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('bye codes', () => {
  it('have a close number of their own in the range that is ours', () => {
    const numbers = Object.values(byeCodes).map(({ close }) => close);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const number of numbers) expect(number >= 4000 && number <= 4999).toBe(true);
  });

  it('are told from other words, also from those that every object has', () => {
    expect(isByeCode('FORK')).toBe(true);
    for (const other of ['fork', 'constructor', '__proto__', '']) expect(isByeCode(other)).toBe(false);
  });
});
