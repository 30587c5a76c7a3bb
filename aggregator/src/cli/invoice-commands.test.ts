import type { CloseResult, DueClose, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import { describe, expect, it } from 'vitest';
import { invoiceLines } from '../core/billing/lines.ts';
import { agreementWith, idOf, siteWith } from '../core/billing/testing/edge-facts.ts';
import { runAgainst } from './testing/canned-aggregator.ts';

const month = '2026-03';

const edge = (buyerName: string, change: Partial<CloseResult['edges'][number]> = {}): CloseResult['edges'][number] => ({
  agreementId: idOf('agreement', 1),
  buyerId: idOf('organisation', 2),
  buyerName,
  outcome: 'finalised',
  failure: null,
  missingReportPolicy: 'hold',
  invoiceId: idOf('invoice', 1),
  number: 'INV-2026-000001',
  missingCount: 0,
  missingSites: [],
  differingCount: 0,
  ...change,
});
const failed = edge('Nord GmbH', {
  outcome: 'failed',
  failure: { code: 'NOT_BILLABLE', message: 'an amount is too large' },
  invoiceId: null,
  number: null,
});

describe('close', () => {
  it('prints every edge, then says which could not be closed and why, and leaves with 1', async () => {
    const answers = { 'POST /api/v1/closes': { month, edges: [failed, edge('Süd AG')] } };
    const { code, out, err } = await runAgainst(answers, ['close', month]);
    expect(code).toBe(1);
    expect(out).toMatch(/Nord GmbH +failed[^]*Süd AG +finalised +INV-2026-000001/);
    expect(err).toContain(
      'EDGES_FAILED: 1 of 2 buyers could not be closed\n  Nord GmbH: NOT_BILLABLE: an amount is too',
    );
  });

  it('says so of a preview too', async () => {
    const edges = [{ ...failed, currency: 'EUR', netMinor: null }];
    const answers = { [`GET /api/v1/closes?month=${month}&withoutMissing=false`]: { month, edges } };
    const { code, err } = await runAgainst(answers, ['close', month, '--preview']);
    expect([code, err]).toEqual([1, expect.stringContaining('Nord GmbH: NOT_BILLABLE')]);
  });

  it('leaves with 0 where every edge was visited', async () => {
    const answers = { 'POST /api/v1/closes': { month, edges: [edge('Süd AG')] } };
    expect(await runAgainst(answers, ['close', month])).toMatchObject({ code: 0, err: '' });
  });
});

describe('close --due', () => {
  const row: DueClose = { ...edge('Nord GmbH', { outcome: 'credited' }), month, currency: 'EUR', netMinor: -950 };

  it('lists months and buyers, what closing would do, and why one cannot be closed', async () => {
    const rows = [row, { ...row, ...failed, month: '2026-02', netMinor: null }];
    const answers = { 'GET /api/v1/closes/due?limit=500': { rows, nextCursor: null } };
    const { code, out } = await runAgainst(answers, ['close', '--due']);
    expect(code).toBe(0);
    expect(out).toMatch(
      /2026-03 +Nord GmbH +credited +-9\.50 EUR[^]*2026-02 +Nord GmbH +failed +- .*NOT_BILLABLE: an amount/,
    );
  });

  it('follows pages that hold nothing', async () => {
    const answers = {
      'GET /api/v1/closes/due?limit=500': { rows: [], nextCursor: 'abc' },
      'GET /api/v1/closes/due?cursor=abc&limit=500': { rows: [row], nextCursor: null },
    };
    expect((await runAgainst(answers, ['close', '--due', '--json'])).out).toContain('"month": "2026-03"');
  });

  it.each([
    [['close', month, '--due'], 'leave <month> out'],
    [['close', '--due', '--preview'], "'--due' cannot be used with option '--preview'"],
  ])('is refused beside what it leaves no sense to: %j', async (args, says) => {
    expect(await runAgainst({}, args)).toMatchObject({ code: 2, err: expect.stringContaining(says), asked: [] });
  });
});

describe('evidence', () => {
  const at = '2026-03-10T08:00:00.000Z';
  const endpoint = (number: number): LineEvidence['endpoints'][number] => ({
    endpointId: idOf('endpoint', number),
    hostName: `host-${number}`,
    machineId: `machine-${number}`,
    deployedAt: at,
    removedAt: null,
    deployedSeq: number,
  });
  const [line] = invoiceLines(
    [{ site: siteWith(1), counts: { server: 1, workstation: 0 }, basis: 'report', revision: 2, countedUpTo: null }],
    agreementWith(),
    month,
  );
  const evidence: LineEvidence = {
    line: line!,
    period: { start: '2026-02-28T23:00:00.000Z', end: '2026-03-31T22:00:00.000Z' },
    peakAt: at,
    peak: 1,
    endpoints: [endpoint(1)],
    difference: null,
    counted: { peak: 2, at },
    report: {
      seq: 10,
      hash: 'a'.repeat(64),
      revision: 2,
      signature: 's',
      publicKey: 'k',
      peak: 1,
      at,
      agreeing: true,
      exclusions: [{ endpointId: idOf('endpoint', 2), reason: 'the same machine twice' }],
    },
    before: null,
  };
  const shown = (change: Partial<LineEvidence>) =>
    runAgainst({ [`GET /api/v1/invoices/${idOf('invoice', 1)}/lines/1/evidence`]: { ...evidence, ...change } }, [
      'invoice',
      'evidence',
      idOf('invoice', 1),
      '1',
    ]);

  it('of a note tells what was billed before, who counts no longer, and why', async () => {
    const { out, err } = await shown({
      line: { ...line!, quantity: -1 },
      before: { quantity: 2, basis: 'report', revision: 1, countedUpTo: null, endpoints: [endpoint(1), endpoint(2)] },
    });
    expect(out).toMatch(
      /BASIS +signed report, revision 2\nBILLED BEFORE +2 \(signed report, revision 1\)\nCHANGE +-1\n/,
    );
    expect(out).toMatch(/COUNTED HERE +2 at 2026-03-10T08:00:00.000Z\nREPORT +1 at \S+, revision 2, ledger entry 10\n/);
    expect(out).toMatch(/REPORT AGREES +yes\nDIFFERENCE +none: report and ledger name the same endpoints\n/);
    expect(out).toMatch(/host-1 [^\n]* yes\n[^]*host-2 [^\n]* no longer/);
    expect(err).toContain(`excluded from the report: ${idOf('endpoint', 2)}: the same machine twice`);
  });

  it('of an estimate says nothing of a report while there is none', async () => {
    const { out } = await shown({
      line: { ...line!, basis: 'estimate', revision: null, countedUpTo: 6 },
      report: null,
    });
    expect(out).toMatch(/BASIS +estimate: counted up to ledger entry 6\nBILLED BEFORE +-\nCHANGE +-\n/);
    expect(out).toMatch(/REPORT +-\nREPORT AGREES +-\nDIFFERENCE +-\n/);
  });

  it('tells a report that differs', async () => {
    const { out } = await shown({
      report: { ...evidence.report!, agreeing: false },
      difference: { onlyReported: ['a'], onlyHeld: [] },
    });
    expect(out).toMatch(/REPORT AGREES +no\nDIFFERENCE +1 only reported, 0 only in the ledger\n/);
  });
});
