import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AgentKind } from '../domain/agent-kind.ts';
import type { Instant } from '../domain/instant.ts';
import { type Month, monthPeriod } from '../domain/month.ts';
import { generateSigningKey, nodeDigest, nodeVerifier, signerFromPem } from '../node/crypto.ts';
import { canonicalJson } from './canonical-json.ts';
import { chainDrafts, emptyHead, type Head } from './chain.ts';
import type { Signer } from './crypto.ts';
import type { EntryDraft, LedgerEntry } from './entry.ts';
import { type BrokenExport, ExportCheck, type VerifiedExport } from './export-check.ts';
import { type ExportHeader, exportFormat, exportLines } from './export-file.ts';
import { IntervalBook } from './intervals.ts';
import { type DeployedAgentsReport, type Exclusion, type ReportFacts, sealReport } from './report.ts';

const zone = 'Europe/Rome';
const siteId = 'site_00000000000000000001';
const keyId = 'key_00000000000000000001';
const endpoint = (number: number): string => `ep_${String(number).padStart(20, '0')}`;
const newSigner = (): Signer => signerFromPem(generateSigningKey().privateKeyPem);

/** Writes a ledger the way a site does: drafts in order of time, a seal at each month's end. */
class LedgerWriter {
  readonly entries: LedgerEntry[] = [];
  readonly reports: DeployedAgentsReport[] = [];
  signer: Signer;
  #head: Head = emptyHead;
  readonly #book = new IntervalBook();
  #start: Instant;

  constructor(signer: Signer, enrolledAt: Instant) {
    this.signer = signer;
    this.#start = enrolledAt;
    this.enrol(enrolledAt);
  }

  append(draft: EntryDraft): void {
    const { entries, head } = chainDrafts(this.#head, [draft], nodeDigest);
    this.#head = head;
    this.#book.apply(draft);
    for (const { text } of entries) this.entries.push(JSON.parse(text) as LedgerEntry);
  }

  enrol(at: Instant, site = siteId): void {
    const body = { siteId: site, siteName: 'Rome „Süd“ 🖥', timeZone: zone, publicKey: this.signer.publicKey };
    this.append({ at, kind: 'site-enrolled', body: { ...body, software: 'test 1', settings: { staleAfterDays: 30 } } });
  }

  deploy(at: Instant, number: number, agentKind: AgentKind): void {
    const facts = {
      hostName: `rechner-${number} ✓`,
      agentKind,
      origin: 'managed',
      product: 'metered-agent',
      agentVersion: '1.2',
    } as const;
    this.append({
      at,
      kind: 'agent-deployed',
      body: { endpointId: endpoint(number), machineId: `machine-${number}`, keyId, ...facts },
    });
  }

  remove(at: Instant, number: number, agentKind: AgentKind): void {
    this.append({
      at,
      kind: 'agent-removed',
      body: { endpointId: endpoint(number), agentKind, reason: 'uninstalled' },
    });
  }

  report(
    month: Month,
    revision: number,
    exclusions: Exclusion[],
    change: Partial<ReportFacts> = {},
  ): DeployedAgentsReport {
    const { end } = monthPeriod(month, zone);
    const earlier = this.reports.find((report) => report.month === month);
    const facts: ReportFacts = {
      siteId,
      siteName: 'Rome „Süd“ 🖥',
      month,
      timeZone: zone,
      period: earlier?.period ?? { start: this.#start, end },
      revision,
      activeAtClose: { server: 0, workstation: 0 },
      upTo: earlier?.upTo ?? { seq: this.#head.seq, hash: this.#head.hash },
      exclusions,
      sealedAt: end,
      ...change,
    };
    const report = sealReport(facts, this.#book.all(), nodeDigest, this.signer);
    this.reports.push(report);
    return report;
  }

  seal(month: Month, change: Partial<ReportFacts> = {}): void {
    const { end } = monthPeriod(month, zone);
    this.append({ at: end, kind: 'month-sealed', body: this.report(month, 1, [], change) });
    this.#start = end;
  }

  correct(
    at: Instant,
    month: Month,
    revision: number,
    exclusions: Exclusion[],
    change: Partial<ReportFacts> = {},
  ): void {
    this.append({ at, kind: 'report-corrected', body: this.report(month, revision, exclusions, change) });
  }
}

/** Four months with every kind of change: peaks of both kinds, a swap, a re-enrolment with a new key, a correction. */
function writtenLedger(): LedgerWriter {
  const ledger = new LedgerWriter(newSigner(), '2026-01-10T08:00:00.000Z');
  ledger.append({
    at: '2026-01-10T08:00:01.000Z',
    kind: 'key-added',
    body: { keyId, product: 'metered-agent', keyHint: 'abcde' },
  });
  ledger.deploy('2026-01-11T08:00:00.000Z', 1, 'server');
  ledger.deploy('2026-01-12T08:00:00.000Z', 2, 'workstation');
  ledger.deploy('2026-01-13T08:00:00.000Z', 3, 'workstation');
  ledger.seal('2026-01');
  ledger.remove('2026-02-05T08:00:00.000Z', 3, 'workstation');
  ledger.seal('2026-02');
  ledger.signer = newSigner();
  ledger.enrol('2026-03-02T08:00:00.000Z');
  ledger.deploy('2026-03-03T08:00:00.000Z', 4, 'server');
  ledger.seal('2026-03');
  ledger.correct('2026-04-02T08:00:00.000Z', '2026-01', 2, [{ endpointId: endpoint(3), reason: 'replaced by 2' }]);
  ledger.remove('2026-04-03T08:00:00.000Z', 1, 'server');
  ledger.seal('2026-04');
  return ledger;
}

const headerOf = ({ entries, signer }: LedgerWriter): ExportHeader => ({
  format: exportFormat,
  siteId,
  siteName: 'Rome „Süd“ 🖥',
  publicKey: signer.publicKey,
  entries: entries.length,
  exportedAt: '2026-05-01T10:00:00.000Z',
});

const fileOf = (ledger: LedgerWriter, header = headerOf(ledger), signer = ledger.signer): Buffer =>
  Buffer.from([...exportLines(header, ledger.entries, nodeDigest, signer)].join(''));

function verify(file: Uint8Array, options: { chunkBytes?: number; key?: string } = {}): VerifiedExport | BrokenExport {
  const check = new ExportCheck(nodeDigest, nodeVerifier);
  const size = options.chunkBytes ?? 64 * 1024;
  for (let offset = 0; offset < file.length; offset += size)
    if (!check.push(file.subarray(offset, offset + size))) break;
  return check.finish(options.key);
}

/** Number of the entry in whose line (its \n included) a byte lies; undefined in header and trailer. */
function seqAt(file: Uint8Array, position: number, entries: number): number | undefined {
  let line = 0;
  for (let index = 0; index < position; index++) if (file[index] === 10) line++;
  return line === 0 || line > entries ? undefined : line;
}

const codeOf = (verdict: VerifiedExport | BrokenExport): string => (verdict.ok ? 'OK' : verdict.code);

describe('the export of a ledger', () => {
  const ledger = writtenLedger();
  const file = fileOf(ledger);

  test('is verified, with every report in it', () => {
    const verdict = verify(file);
    expect(verdict).toMatchObject({ ok: true, head: { seq: 14 }, header: { siteId } });
    const reports = verdict.ok ? verdict.reports : [];
    expect(
      reports.map(({ month, revision, peaks }) => [month, revision, peaks.server.peak, peaks.workstation.peak]),
    ).toEqual([
      ['2026-01', 1, 1, 2],
      ['2026-02', 1, 1, 2],
      ['2026-03', 1, 2, 1],
      ['2026-01', 2, 1, 1],
      ['2026-04', 1, 2, 1],
    ]);
  });

  test('is verified whatever pieces its bytes come in', () => {
    for (const chunkBytes of [1, 2, 3, 7, 100, 4096]) expect(verify(file, { chunkBytes })).toEqual(verify(file));
  });

  test('is refused when its key is not the one expected', () => {
    expect(verify(file, { key: ledger.signer.publicKey }).ok).toBe(true);
    expect(codeOf(verify(file, { key: newSigner().publicKey }))).toBe('KEY_WRONG');
  });

  test('names the entry in which any one byte was changed, at every position of the file', () => {
    const small = new LedgerWriter(newSigner(), '2026-01-10T08:00:00.000Z');
    small.deploy('2026-01-11T08:00:00.000Z', 1, 'server');
    small.seal('2026-01');
    const whole = fileOf(small);
    const copy = Uint8Array.from(whole);
    for (let position = 0; position < whole.length; position++) {
      const original = whole[position]!;
      // One value that keeps the text readable where it can, one line feed, one byte that is no UTF-8.
      for (const value of [original ^ 1, 10, 0xff]) {
        if (value === original) continue;
        copy[position] = value;
        const verdict = verify(copy);
        const [ok, seq] = [verdict.ok, verdict.ok ? undefined : verdict.seq];
        if (ok || seq !== seqAt(whole, position, small.entries.length))
          expect.fail(`byte ${position} set to ${value}: ${JSON.stringify(verdict).slice(0, 200)}`);
      }
      copy[position] = original;
    }
  });

  test('names the entry in which a byte was set to any value', () => {
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const copy = Uint8Array.from(file);
        copy[position] = file[position]! ^ change;
        const verdict = verify(copy);
        expect(verdict.ok).toBe(false);
        expect(verdict.ok ? undefined : verdict.seq).toBe(seqAt(file, position, ledger.entries.length));
      }),
      { numRuns: 2_000 },
    );
  });

  test('is refused when bytes are cut off, left out, doubled or added', () => {
    const copies = [
      file.subarray(0, file.length - 1),
      Buffer.concat([file, Buffer.from('\n')]),
      Buffer.concat([file, Buffer.from(' ')]),
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), file]),
      Buffer.concat([file, file]),
      Buffer.from(file.toString().replaceAll('\n', '\r\n')),
      Buffer.from(file.toString().replace('\n', '\u2028')),
    ];
    for (const copy of copies) expect(verify(copy).ok).toBe(false);
    fc.assert(
      fc.property(fc.nat(file.length - 1), (end) => {
        expect(verify(file.subarray(0, end)).ok).toBe(false);
        expect(verify(Buffer.concat([file.subarray(0, end), file.subarray(end + 1)])).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test('names the first line that was taken out, doubled or moved', () => {
    const lines = file.toString().split('\n').slice(0, -1);
    const text = (kept: readonly string[]): Buffer => Buffer.from(kept.map((line) => `${line}\n`).join(''));
    expect(verify(text(lines.toSpliced(5, 1)))).toMatchObject({ code: 'ENTRY_OUT_OF_PLACE', seq: 5 });
    expect(verify(text(lines.toSpliced(5, 0, lines[5]!)))).toMatchObject({ code: 'ENTRY_OUT_OF_PLACE', seq: 6 });
    expect(verify(text(lines.toSpliced(5, 2, lines[6]!, lines[5]!)))).toMatchObject({
      code: 'ENTRY_OUT_OF_PLACE',
      seq: 5,
    });
    expect(verify(text(lines.slice(0, -1)))).toMatchObject({ code: 'TRUNCATED' });
  });

  test('keeps to \\n: a line separator of Unicode inside a name does not end a line', () => {
    expect(codeOf(verify(Buffer.from(file.toString().replace('rechner-2', 'rechner\u20282'))))).toBe('ENTRY_CHANGED');
  });
});

describe('an export that its own site would not have written', () => {
  /** A file with digests, chain and signature all in order, whose content is what is wrong. */
  const forged = (write: (ledger: LedgerWriter) => void): VerifiedExport | BrokenExport => {
    const ledger = new LedgerWriter(newSigner(), '2026-01-10T08:00:00.000Z');
    write(ledger);
    return verify(fileOf(ledger));
  };

  test.each<[what: string, code: string, seq: number, write: (ledger: LedgerWriter) => void]>([
    [
      'an agent removed that was not there',
      'ENTRY_CONTRADICTS',
      2,
      (ledger) => {
        ledger.deploy('2026-01-11T08:00:00.000Z', 1, 'server');
        const [, deployed] = ledger.entries;
        ledger.entries.splice(1);
        ledger.entries.push({
          ...deployed!,
          kind: 'agent-removed',
          body: { endpointId: endpoint(1), agentKind: 'server', reason: 'stale' },
        });
      },
    ],
    ['a month left out', 'ENTRY_CONTRADICTS', 2, (ledger) => ledger.seal('2026-02')],
    [
      'a month twice',
      'ENTRY_CONTRADICTS',
      3,
      (ledger) => {
        ledger.seal('2026-01');
        ledger.seal('2026-01');
      },
    ],
    [
      'a month that begins elsewhere',
      'REPORT_FIGURES_WRONG',
      2,
      (ledger) =>
        ledger.seal('2026-01', {
          period: { start: '2026-01-09T08:00:00.000Z', end: monthPeriod('2026-01', zone).end },
        }),
    ],
    [
      'a month that ends elsewhere',
      'ENTRY_CONTRADICTS',
      2,
      (ledger) =>
        ledger.seal('2026-01', { period: { start: '2026-01-10T08:00:00.000Z', end: '2026-02-01T00:00:00.000Z' } }),
    ],
    [
      'a report up to another entry',
      'REPORT_FIGURES_WRONG',
      2,
      (ledger) => ledger.seal('2026-01', { upTo: { seq: 1, hash: 'a'.repeat(64) } }),
    ],
    [
      'a report of another site',
      'ENTRY_CONTRADICTS',
      2,
      (ledger) => ledger.seal('2026-01', { siteId: 'site_00000000000000000002' }),
    ],
    [
      'a correction of a month never sealed',
      'ENTRY_CONTRADICTS',
      2,
      (ledger) => ledger.correct('2026-01-12T08:00:00.000Z', '2026-01', 2, []),
    ],
    [
      'a correction that skips a revision',
      'ENTRY_CONTRADICTS',
      3,
      (ledger) => {
        ledger.seal('2026-01');
        ledger.correct('2026-02-02T08:00:00.000Z', '2026-01', 3, []);
      },
    ],
    [
      'a correction computed up to another entry',
      'REPORT_FIGURES_WRONG',
      3,
      (ledger) => {
        ledger.seal('2026-01');
        ledger.correct('2026-02-02T08:00:00.000Z', '2026-01', 2, [], { upTo: { seq: 2, hash: 'a'.repeat(64) } });
      },
    ],
    [
      'the enrolment of another site',
      'ENTRY_CONTRADICTS',
      2,
      (ledger) => ledger.enrol('2026-01-12T08:00:00.000Z', 'site_00000000000000000002'),
    ],
    [
      'a report signed by another key',
      'REPORT_SIGNATURE_WRONG',
      2,
      (ledger) => {
        const own = ledger.signer;
        ledger.signer = newSigner();
        ledger.seal('2026-01');
        ledger.signer = own;
      },
    ],
  ])('%s', (_, code, seq, write) => {
    expect(forged(write)).toMatchObject({ ok: false, code, seq });
  });

  test('a report whose peak is not that of its entries, though it is signed', () => {
    const ledger = new LedgerWriter(newSigner(), '2026-01-10T08:00:00.000Z');
    ledger.deploy('2026-01-11T08:00:00.000Z', 1, 'server');
    const honest = ledger.report('2026-01', 1, []);
    const lied = { ...honest, peaks: { ...honest.peaks, server: { peak: 0, at: null, endpoints: [] } } };
    const { signature: _, ...content } = lied;
    const signature = ledger.signer.sign(`rollcall.report.v1\n${canonicalJson(content)}`);
    ledger.append({ at: honest.period.end, kind: 'month-sealed', body: { ...lied, signature } });
    expect(verify(fileOf(ledger))).toMatchObject({ code: 'REPORT_FIGURES_WRONG', seq: 3 });
  });

  test('a whole file made anew by somebody else bears their key, not that of its entries', () => {
    const ledger = writtenLedger();
    const other = newSigner();
    expect(codeOf(verify(fileOf(ledger, { ...headerOf(ledger), publicKey: other.publicKey }, other)))).toBe(
      'KEY_WRONG',
    );
  });

  test('a newer site’s entries of unknown kinds are passed over', () => {
    const ledger = new LedgerWriter(newSigner(), '2026-01-10T08:00:00.000Z');
    const [first] = ledger.entries;
    const prev = nodeDigest.sha256(canonicalJson(first));
    ledger.entries.push({ seq: 2, at: '2026-01-11T08:00:00.000Z', kind: 'coffee-made', body: { cups: 2 }, prev });
    expect(verify(fileOf(ledger)).ok).toBe(true);
  });
});

describe('what is no export', () => {
  test.each([
    ['nothing', ''],
    ['text', 'hello\n'],
    ['JSON of another kind', '{"digest":"x"}\n'],
    ['no line break at all', 'x'.repeat(4_000_000)],
  ])('%s', (_, text) => {
    expect(codeOf(verify(Buffer.from(text)))).toBe('NOT_AN_EXPORT');
  });

  test('a gap or a wrong count is an error of the program that writes it', () => {
    const ledger = writtenLedger();
    const header = headerOf(ledger);
    expect(() => [...exportLines(header, ledger.entries.slice(1), nodeDigest, ledger.signer)]).toThrow(RangeError);
    expect(() => [...exportLines(header, ledger.entries.slice(0, -1), nodeDigest, ledger.signer)]).toThrow(RangeError);
    expect(() => [...exportLines(header, ledger.entries, nodeDigest, newSigner())]).toThrow(RangeError);
  });
});
