import type { CloseResult } from '@rollcall/shared/api/invoice.ts';
import { describe, expect, it } from 'vitest';
import { idOf } from '../core/billing/testing/edge-facts.ts';
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
