import fc from 'fast-check';
import { agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { monthOf, monthPeriod } from '@rollcall/shared/domain/month.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { peakOfMonth } from '@rollcall/shared/metering/peak.ts';
import { generateSigningKey, nodeDigest, nodeVerifier, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { describe, expect, it } from 'vitest';
import { freshState, planIngest, replayCheck } from './ingest.ts';
import type { HeldMonth } from './ingest-plan.ts';
import { PlanBook, planned } from './testing/plan-book.ts';
import { endpointId, keyId, SiteLedger } from './testing/site-ledger.ts';

const siteId = 'site_00000000000000000001';
const signer = signerFromPem(generateSigningKey().privateKeyPem);
const otherSigner = signerFromPem(generateSigningKey().privateKeyPem);
const enrolledAt = '2026-01-10T09:00:00.000Z';
const zone = 'Europe/Rome';
/** Ends of January and February 2026 in Rome. */
const januaryEnd = '2026-01-31T23:00:00.000Z';
const februaryEnd = '2026-02-28T23:00:00.000Z';

const newLedger = (timeZone = zone, at = enrolledAt): SiteLedger => new SiteLedger({ siteId, timeZone, signer, at });
const newBook = (ledger: SiteLedger): PlanBook =>
  new PlanBook(freshState({ siteId, publicKey: signer.publicKey, timeZone: ledger.timeZone }), signer.publicKey);

function taken(ledger: SiteLedger): PlanBook {
  const book = newBook(ledger);
  expect(book.take(ledger.entries)).toMatchObject({ ok: true });
  return book;
}

/** The plan of a whole ledger, with months as the test answers them. */
const planOf = (entries: readonly LedgerEntry[], heldMonth: (month: string) => HeldMonth): ReturnType<typeof planned> =>
  planned(
    planIngest(freshState({ siteId, publicKey: signer.publicKey, timeZone: zone }), entries, {
      digest: nodeDigest,
      verifier: nodeVerifier,
      receivedAt: '2030-01-01T00:00:00.000Z',
      enrolledPublicKey: signer.publicKey,
      enrolledAt,
      ledgerSeq: 0,
    }),
    heldMonth,
  );

/** The outcome of the ledger's last entry, after all before it were taken. */
function lastOf(ledger: SiteLedger): ReturnType<PlanBook['take']> {
  const book = newBook(ledger);
  expect(book.take(ledger.entries.slice(0, -1))).toMatchObject({ ok: true });
  return book.take(ledger.entries.slice(-1));
}

describe('planIngest', () => {
  it('counts a month, settles it by the seal at its end, and carries what stands deployed into the next', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.deploy(2, 'server', '2026-01-12T00:00:00.000Z');
    ledger.remove(1, 'server', '2026-01-20T00:00:00.000Z');
    ledger.deploy(3, 'workstation', '2026-02-02T00:00:00.000Z');
    const book = taken(ledger);
    expect(book.months.get('2026-01')).toEqual({
      month: '2026-01',
      periodStart: enrolledAt,
      periodEnd: januaryEnd,
      serverPeak: 2,
      serverPeakAt: '2026-01-12T00:00:00.000Z',
      workstationPeak: 0,
      workstationPeakAt: null,
      settled: true,
    });
    expect(book.months.get('2026-02')).toMatchObject({
      periodStart: januaryEnd,
      serverPeak: 1,
      serverPeakAt: januaryEnd,
      workstationPeak: 1,
      settled: false,
    });
    expect(book.rows.reports).toMatchObject([{ month: '2026-01', revision: 1, agreeing: true }]);
    expect(book.state).toMatchObject({ head: ledger.head, month: '2026-02', sealed: true });
    expect([...book.findings.values()]).toEqual([]);
  });

  it('settles every month of a year that passed without an entry', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.sealUntil('2027-02-05T00:00:00.000Z');
    const book = taken(ledger);
    expect(book.rows.reports).toHaveLength(13);
    expect(book.rows.reports.every(({ agreeing }) => agreeing)).toBe(true);
    expect([...book.months.values()].filter(({ settled, serverPeak }) => settled && serverPeak === 1)).toHaveLength(13);
  });

  it('keeps what a newer site writes, and says so once a kind', () => {
    const ledger = newLedger();
    for (const day of ['11', '12', '13'])
      ledger.appendRaw({ at: `2026-01-${day}T00:00:00.000Z`, kind: 'disk-report', body: { full: true } });
    const book = newBook(ledger);
    for (const entry of ledger.entries) expect(book.take([entry])).toMatchObject({ ok: true });
    expect(book.rows.log.map(({ kind }) => kind)).toEqual([
      'site-enrolled',
      'disk-report',
      'disk-report',
      'disk-report',
    ]);
    expect([...book.findings.values()]).toMatchObject([{ code: 'UNKNOWN_ENTRY', siteId }]);
  });

  it('records key states, answered commands and clock anomalies', () => {
    const ledger = newLedger();
    const at = '2026-01-11T00:00:00.000Z';
    ledger.record({ at, kind: 'key-state', body: { keyId, state: 'warning', reason: 'no contact' } });
    ledger.record({
      at,
      kind: 'command-applied',
      body: { commandId: 'cmd_00000000000000000001', outcome: 'refused', code: 'KEY_UNKNOWN' },
    });
    ledger.record({
      at,
      kind: 'clock-anomaly',
      body: {
        direction: 'forward',
        noticed: 'contact',
        clockSaid: '2027-01-11T00:00:00.000Z',
        expected: at,
        differenceMs: 31_536_000_000,
      },
    });
    const book = taken(ledger);
    expect(book.rows.keyStates).toEqual([{ keyId, state: 'warning', at, reason: 'no contact' }]);
    expect(book.rows.commandsApplied).toEqual([
      { commandId: 'cmd_00000000000000000001', outcome: 'refused', code: 'KEY_UNKNOWN', at },
    ]);
    expect([...book.findings.values()]).toMatchObject([{ code: 'CLOCK_ANOMALY', at }]);
  });

  it('takes a corrected report, recounts it without what it excludes, and says so', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.deploy(2, 'server', '2026-01-12T00:00:00.000Z');
    ledger.remove(2, 'server', '2026-02-03T00:00:00.000Z');
    ledger.correct('2026-01', [{ endpointId: endpointId(2), reason: 'a test machine' }], '2026-02-04T00:00:00.000Z');
    const book = taken(ledger);
    expect(
      book.rows.reports.map(({ revision, agreeing, report }) => [revision, agreeing, report.peaks.server.peak]),
    ).toEqual([
      [1, true, 2],
      [2, true, 1],
    ]);
    expect([...book.findings.values()].map(({ code }) => code)).toEqual(['REPORT_CORRECTED']);
  });

  it.each([
    [
      'a peak',
      {
        peaks: {
          server: { peak: 2, at: '2026-01-11T00:00:00.000Z', endpoints: [endpointId(1), endpointId(2)] },
          workstation: { peak: 0, at: null, endpoints: [] },
        },
      },
    ],
    [
      'the instant of a peak',
      {
        peaks: {
          server: { peak: 1, at: '2026-01-12T00:00:00.000Z', endpoints: [endpointId(1)] },
          workstation: { peak: 0, at: null, endpoints: [] },
        },
      },
    ],
    [
      'who stood at its peak',
      {
        peaks: {
          server: { peak: 1, at: '2026-01-11T00:00:00.000Z', endpoints: [endpointId(7)] },
          workstation: { peak: 0, at: null, endpoints: [] },
        },
      },
    ],
    ['the hash of its evidence', { evidenceHash: 'e'.repeat(64) }],
    [
      'its evidence',
      {
        evidence: [
          {
            endpoint: endpointId(1),
            intervals: [{ kind: 'server' as const, deployedAt: '2026-01-11T00:00:00.000Z', removedAt: null }],
            days: 3,
          },
        ],
      },
    ],
    ['the start of its period', { period: { start: '2026-01-01T00:00:00.000Z', end: januaryEnd } }],
    ['what it is computed up to', { upTo: { seq: 1, hash: 'a'.repeat(64) } }],
  ])('keeps a sealed report that differs in %s, and says so', (_, changes) => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.sealNext(changes);
    const book = taken(ledger);
    expect(book.rows.reports).toMatchObject([{ month: '2026-01', agreeing: false }]);
    expect([...book.findings.values()].map(({ code }) => code)).toEqual(['REPORT_DIFFERS']);
  });

  it('keeps a correction whose figures are not those of the entries, and says so', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.sealNext({});
    ledger.correct('2026-01', [], '2026-02-04T00:00:00.000Z', {
      peaks: { server: { peak: 0, at: null, endpoints: [] }, workstation: { peak: 0, at: null, endpoints: [] } },
    });
    const book = taken(ledger);
    expect(book.rows.reports.map(({ agreeing }) => agreeing)).toEqual([true, false]);
    expect([...book.findings.values()].map(({ code }) => code).sort()).toEqual(['REPORT_CORRECTED', 'REPORT_DIFFERS']);
  });

  it('compares the figures alone where a month has more deployments than are counted again', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.sealNext({ evidenceHash: 'e'.repeat(64) });
    const outcome = planOf(ledger.entries, () => ({ latest: null, intervals: null }));
    expect(outcome).toMatchObject({ ok: true, plan: { reports: [{ agreeing: true }], findings: [] } });
    // Of a correction there is no figure that the meter has: what was not checked is not said to agree.
    ledger.correct('2026-01', [], '2026-02-04T00:00:00.000Z');
    expect(planOf(ledger.entries, () => ({ latest: null, intervals: null }))).toMatchObject({
      ok: true,
      plan: { reports: [{ agreeing: true }, { agreeing: false }] },
    });
  });

  it('asks for the month of each report in turn, and for none before chain and bodies were looked at', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    ledger.sealUntil('2026-04-01T00:00:00.000Z');
    for (const month of ['2026-03', '2026-01', '2026-01']) ledger.correct(month, [], '2026-04-02T00:00:00.000Z');
    const asked: string[] = [];
    const answer = (month: string): HeldMonth => {
      asked.push(month);
      return { latest: null, intervals: [] };
    };
    expect(planOf(ledger.entries, answer)).toMatchObject({ ok: true });
    expect(asked).toEqual(['2026-01', '2026-02', '2026-03', '2026-03', '2026-01', '2026-01']);
    asked.length = 0;
    const last = ledger.entries.at(-1)!;
    for (const spoilt of [
      { ...last, prev: 'f'.repeat(64) },
      { ...last, body: { ...last.body, revision: 'three' } },
    ])
      expect(planOf([...ledger.entries.slice(0, -1), spoilt], answer)).toMatchObject({ ok: false });
    expect(asked).toEqual([]);
  });

  it('asks for no month of a correction that is not signed by the site', () => {
    const ledger = newLedger();
    ledger.sealNext({});
    ledger.signer = otherSigner;
    for (let times = 0; times < 3; times++) ledger.correct('2026-01', [], '2026-02-04T00:00:00.000Z');
    const asked: string[] = [];
    const outcome = planOf(ledger.entries, (month) => {
      asked.push(month);
      return { latest: null, intervals: [] };
    });
    expect(outcome).toMatchObject({ ok: false, code: 'BAD_ENTRY' });
    expect(asked).toEqual(['2026-01']);
  });

  it('checks a report by the key its ledger named last', () => {
    const ledger = newLedger();
    ledger.sealNext({});
    const book = newBook(ledger);
    ledger.signer = otherSigner;
    ledger.enrol('2026-02-03T00:00:00.000Z');
    ledger.sealNext({});
    // Enrolled anew before anything was shipped: the ledger tells of both keys, the present one last.
    expect(
      book.take(ledger.entries.slice(0, 2), { enrolledPublicKey: otherSigner.publicKey, ledgerSeq: 4 }),
    ).toMatchObject({ ok: true });
    expect(
      book.take(ledger.entries.slice(2), { enrolledPublicKey: otherSigner.publicKey, ledgerSeq: 4 }),
    ).toMatchObject({ ok: true });
    expect(book.rows.reports.map(({ agreeing }) => agreeing)).toEqual([true, true]);
    expect(book.state.publicKey).toBe(otherSigner.publicKey);
  });
});

describe('planIngest refuses with BAD_ENTRY', () => {
  const at = '2026-01-11T00:00:00.000Z';
  const peaksOf = (peak: number, witnesses: number) => ({
    server: { peak, at, endpoints: Array.from({ length: witnesses }, (_, index) => endpointId(index)) },
    workstation: { peak: 0, at: null, endpoints: [] },
  });
  const rows: [string, RegExp, (ledger: SiteLedger) => void][] = [
    [
      'a body that is not that of its kind',
      /agent-removed.*endpointId/,
      (l) => l.appendRaw({ at, kind: 'agent-removed', body: { endpointId: 'x' } }),
    ],
    [
      'text that has no canonical form',
      /lone surrogate/,
      (l) => l.entries.push({ seq: 2, at, kind: 'note', body: { text: '\ud800' }, prev: l.head.hash }),
    ],
    ['an enrolment of another site', /not this site/, (l) => l.enrol(at, { siteId: 'site_00000000000000000002' })],
    [
      'an enrolment in another time zone',
      /in Europe\/Berlin, not in/,
      (l) => l.enrol(at, { timeZone: 'Europe/Berlin' }),
    ],
    ['an enrolment with another key', /another public key/, (l) => l.enrol(at, { publicKey: otherSigner.publicKey })],
    [
      'a removal where nothing is deployed',
      /where none is deployed/,
      (l) =>
        l.appendRaw({
          at,
          kind: 'agent-removed',
          body: { endpointId: endpointId(1), agentKind: 'server', reason: 'stale' },
        }),
    ],
    [
      'a date more than a century on',
      /1200 months/,
      (l) => l.appendRaw({ at: '2126-02-01T00:00:00.000Z', kind: 'contact-lost', body: { since: at } }),
    ],
    ['a seal of another site', /another site or time zone/, (l) => l.sealNext({ siteId: 'site_00000000000000000002' })],
    ['a seal in another time zone', /another site or time zone/, (l) => l.sealNext({ timeZone: 'UTC' })],
    [
      'a seal signed by another key',
      /signature/,
      (l) => {
        l.signer = otherSigner;
        l.sealNext({});
      },
    ],
    ['a seal that says it is a correction', /revision 1/, (l) => l.sealNext({ revision: 2 })],
    [
      'a peak with fewer witnesses than it counts',
      /peaks\.server\.endpoints: must name as many endpoints as the peak says/,
      (l) => l.sealNext({ peaks: peaksOf(2, 1) }),
    ],
    [
      'a peak beyond what a report can name',
      /peaks\.server\.peak: Too big/,
      (l) => l.sealNext({ peaks: peaksOf(9_007_199_254_740_991, 1) }),
    ],
    [
      'a correction with more witnesses than its peak counts',
      /peaks\.server\.endpoints/,
      (l) => {
        l.sealNext({});
        l.correct('2026-01', [], '2026-02-04T00:00:00.000Z', { peaks: peaksOf(0, 1) });
      },
    ],
    [
      'a seal with exclusions',
      /without exclusions/,
      (l) => l.sealNext({ exclusions: [{ endpointId: endpointId(1), reason: 'x' }] }),
    ],
    [
      'a seal not dated at the end of its month',
      /dated at the end/,
      (l) => l.sealNext({ period: { start: enrolledAt, end: '2026-02-01T00:00:00.000Z' } }),
    ],
    ['a seal of a month that has not just ended', /just ended/, (l) => l.sealNext({ month: '2025-12' })],
    [
      'a second seal of a month',
      /sealed already/,
      (l) => {
        l.sealNext({});
        const [seal] = l.entries.slice(-1);
        l.appendRaw(seal!);
      },
    ],
    [
      'a correction of a month without a report',
      /there is no report/,
      (l) => {
        l.sealNext({});
        l.correct('2026-01', [], februaryEnd.replace('28T', '10T'), { month: '2025-11' });
      },
    ],
    [
      'a correction that is not the next revision',
      /revision 3 of 2026-01, after 1/,
      (l) => {
        l.sealNext({});
        l.correct('2026-01', [], '2026-02-10T00:00:00.000Z', { revision: 3 });
      },
    ],
    [
      'a correction signed by another key',
      /signature/,
      (l) => {
        l.sealNext({});
        l.signer = otherSigner;
        l.correct('2026-01', [], '2026-02-10T00:00:00.000Z');
      },
    ],
  ];

  it.each(rows)('%s', (_, message, spoil) => {
    const ledger = newLedger();
    spoil(ledger);
    expect(lastOf(ledger)).toMatchObject({ ok: false, code: 'BAD_ENTRY', message: expect.stringMatching(message) });
  });

  it.each([
    ['in the month before the enrolment', enrolledAt, '2025-12-31T22:59:59.999Z', '2026-01-31T00:00:00.000Z'],
    ['more than a day before the enrolment', enrolledAt, '2026-01-09T08:59:59.999Z', '2026-01-31T00:00:00.000Z'],
    ['in 1970', enrolledAt, '1970-01-01T00:00:00.000Z', '2026-01-31T00:00:00.000Z'],
    ['in the month after the enrolment', januaryEnd.replace('23:00', '22:50'), januaryEnd, '2026-02-01T09:00:00.000Z'],
    ['more than a day after its arrival', enrolledAt, '2026-01-12T09:00:00.001Z', '2026-01-11T09:00:00.000Z'],
    ['in 2099', enrolledAt, '2099-01-10T09:00:00.000Z', '2026-01-10T09:00:00.000Z'],
  ])('a ledger that begins %s', (_, enrolled, begins, receivedAt) => {
    const ledger = newLedger(zone, begins);
    expect(newBook(ledger).take(ledger.entries, { enrolledAt: enrolled, receivedAt })).toMatchObject({
      ok: false,
      code: 'BAD_ENTRY',
      message: `entry 1: the ledger begins at ${begins}, and its site was enrolled at ${enrolled}`,
    });
  });

  it.each([
    ['a day before the enrolment', '2026-01-09T09:00:00.000Z'],
    ['at the enrolment', enrolledAt],
    ['a day after its arrival', '2026-01-12T09:00:00.000Z'],
  ])('but not a ledger that begins %s', (_, begins) => {
    const ledger = newLedger(zone, begins);
    const receivedAt = '2026-01-11T09:00:00.000Z';
    expect(newBook(ledger).take(ledger.entries, { enrolledAt, receivedAt })).toMatchObject({ ok: true });
  });

  it('a signature that was tampered with', () => {
    const ledger = newLedger();
    ledger.sealNext({});
    const [enrolled, seal] = ledger.entries;
    const body = { ...seal!.body, siteName: 'Another name' };
    const book = newBook(ledger);
    expect(book.take([enrolled!, { ...seal!, body }])).toMatchObject({ ok: false, code: 'BAD_ENTRY' });
  });

  it('a ledger that does not begin with an enrolment', () => {
    const ledger = newLedger();
    const state = freshState({ siteId, publicKey: signer.publicKey, timeZone: zone });
    const entry: LedgerEntry = { ...ledger.entries[0]!, kind: 'contact-lost', body: { since: enrolledAt } };
    expect(new PlanBook(state, signer.publicKey).take([entry])).toMatchObject({ ok: false, code: 'BAD_ENTRY' });
  });
});

describe('planIngest and the chain', () => {
  const ledger = newLedger();
  for (const day of [11, 12, 13, 14]) ledger.deploy(day, 'server', `2026-01-${day}T00:00:00.000Z`);
  const [first, second, third] = ledger.entries;

  it.each([
    ['GAP', [third!]],
    ['GAP', [second!, first!]],
    ['FORK', [{ ...second!, prev: 'f'.repeat(64) }]],
    ['TIME_BACKWARDS', [{ ...second!, at: '2026-01-01T00:00:00.000Z' }]],
    ['ENTRY_TOO_LONG', [{ ...second!, body: { text: 'x'.repeat(1024 * 1024) } }]],
  ])('refuses with %s, and nothing of the batch is kept', (code, entries) => {
    const book = newBook(ledger);
    book.take([first!]);
    const before = structuredClone(book);
    expect(book.take(entries)).toMatchObject({ ok: false, code });
    expect(structuredClone(book)).toEqual(before);
  });

  it('finds the part that is held, and what of it has to be compared', () => {
    const book = newBook(ledger);
    book.take(ledger.entries.slice(0, 3));
    const { head } = book.state;
    const check = (from: number, to: number) => replayCheck(head, ledger.entries.slice(from, to), nodeDigest);
    expect(check(3, 5)).toEqual({ ok: true, held: 0, check: null });
    expect(check(1, 5)).toEqual({ ok: true, held: 2, check: null });
    expect(check(0, 3)).toEqual({ ok: true, held: 3, check: null });
    expect(check(0, 2)).toEqual({ ok: true, held: 2, check: { seq: 2, hash: ledger.entries[2]!.prev } });
    const changed = [{ ...third!, body: { ...third!.body, hostName: 'another' } }, ...ledger.entries.slice(3)];
    expect(replayCheck(head, changed, nodeDigest)).toMatchObject({ ok: false, code: 'FORK' });
    expect(replayCheck(head, [first!, third!], nodeDigest)).toMatchObject({ ok: false, code: 'GAP' });
  });
});

describe('planIngest, for any history', () => {
  const step = fc.record({
    // Days between a moment and seven weeks, with many at the very same instant and some right at a month's end.
    waitMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 49 * 86_400_000 })),
    toMonthEnd: fc.boolean(),
    endpoint: fc.nat(5),
    act: fc.constantFrom('toggle', 'toggle', 'toggle', 'kind', 'facts', 'unknown', 'correct'),
    kind: fc.constantFrom(...agentKinds),
  });
  const history = fc.record({
    timeZone: fc.constantFrom('Europe/Rome', 'America/St_Johns', 'Pacific/Apia', 'UTC'),
    steps: fc.array(step, { minLength: 1, maxLength: 40 }),
    cuts: fc.array(fc.nat(60), { maxLength: 12 }),
  });

  type Step = typeof step extends fc.Arbitrary<infer Drawn> ? Drawn : never;

  function write({ timeZone, steps }: { timeZone: string; steps: readonly Step[] }): SiteLedger {
    const ledger = newLedger(timeZone, '2025-11-17T13:14:15.167Z');
    let ms = msOfInstant(ledger.head.at);
    for (const { waitMs, toMonthEnd, endpoint, act, kind } of steps) {
      ms += waitMs;
      // At the very instant of a seal, which stands before it.
      if (toMonthEnd) ms = msOfInstant(monthPeriod(monthOf(instantFromMs(ms), timeZone), timeZone).end);
      const at = instantFromMs(ms);
      ledger.sealUntil(at);
      const open = ledger.book.open.get(endpointId(endpoint));
      if (act === 'unknown') ledger.appendRaw({ at, kind: 'disk-report', body: {} });
      else if (act === 'correct') {
        const last = [...ledger.reports.keys()].at(-1);
        if (last !== undefined) ledger.correct(last, [{ endpointId: endpointId(endpoint), reason: 'tried' }], at);
      } else if (open === undefined) ledger.deploy(endpoint, kind, at);
      else if (act === 'toggle') ledger.remove(endpoint, open.kind, at);
      else ledger.change(endpoint, open.kind, act === 'kind' ? kind : open.kind, at);
    }
    return ledger;
  }

  it('counts what a plain count of all intervals comes to, and agrees with every report', () => {
    fc.assert(
      fc.property(history, (drawn) => {
        const ledger = write(drawn);
        const book = taken(ledger);
        const settled = [...book.months.values()].filter((month) => month.settled);
        expect(settled.map(({ month }) => month)).toEqual([...ledger.reports.keys()]);
        for (const { periodStart, periodEnd, ...counted } of book.months.values()) {
          const { server, workstation } = peakOfMonth(ledger.book.all(), { start: periodStart, end: periodEnd });
          expect([counted.serverPeak, counted.serverPeakAt]).toEqual([server.peak, server.at]);
          expect([counted.workstationPeak, counted.workstationPeakAt]).toEqual([workstation.peak, workstation.at]);
        }
        expect(book.rows.reports.filter(({ agreeing }) => !agreeing)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  it('comes to the same state and rows however the entries are cut into batches', () => {
    fc.assert(
      fc.property(history, (drawn) => {
        const ledger = write(drawn);
        const whole = taken(ledger);
        const parts = newBook(ledger);
        const bounds = [
          ...new Set([0, ...drawn.cuts.map((cut) => cut % ledger.entries.length), ledger.entries.length]),
        ].sort((a, b) => a - b);
        for (const [index, from] of bounds.slice(0, -1).entries())
          expect(parts.take(ledger.entries.slice(from, bounds[index + 1]))).toMatchObject({ ok: true });
        expect(structuredClone(parts)).toEqual(structuredClone(whole));
      }),
      { numRuns: 400 },
    );
  });

  it('leaves the state it was given as it was', () => {
    const ledger = newLedger();
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    const book = taken(ledger);
    const before = structuredClone(book.state);
    ledger.deploy(2, 'server', '2026-03-11T00:00:00.000Z');
    const context = {
      digest: nodeDigest,
      verifier: { verify: () => true },
      receivedAt: enrolledAt,
      enrolledPublicKey: signer.publicKey,
      enrolledAt,
      ledgerSeq: 0,
    };
    const outcome = planned(planIngest(book.state, ledger.entries.slice(2), context), () => ({
      latest: null,
      intervals: null,
    }));
    expect(outcome).toMatchObject({ ok: true });
    expect(book.state).toEqual(before);
  });
});
