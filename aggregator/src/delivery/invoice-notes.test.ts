import type { Invoice, InvoiceKind } from '@rollcall/shared/api/invoice.ts';
import { describe, expect, it } from 'vitest';
import { planClose } from '../core/billing/close.ts';
import { factsWith } from '../core/billing/testing/edge-facts.ts';
import type { InvoiceBody } from './invoice-body.ts';
import { notesOf } from './invoice-notes.ts';

const planned = planClose(factsWith());
if (!planned.ok || planned.plan === null) throw new Error('no invoice');
const { document } = planned.plan;
const body: InvoiceBody = { level: 'lines', lineCount: 2, msps: [], estimatedSites: 0, hasWithdrawn: false };

const notes = (
  invoice: Partial<Invoice>,
  policy: 'hold' | 'estimate' = 'hold',
  change: Partial<InvoiceBody> = {},
): string[] =>
  notesOf({
    invoice: { ...document, ...invoice },
    timeZone: 'Europe/Rome',
    missingReportPolicy: policy,
    body: { ...body, ...change },
  });
/** What is said of missing reports, and nothing else. */
const ofReports = (...of: Parameters<typeof notes>): string[] =>
  notes(...of).filter((text) => /report|est\./.test(text));

describe('what a document says of missing reports', () => {
  it('is nothing where none is missing', () => {
    for (const state of ['draft', 'finalised'] as const) expect(ofReports({ state })).toEqual([]);
  });

  it('is, on a draft, that it waits', () => {
    expect(ofReports({ state: 'draft', missingReports: 1, missingUnbilled: 1 })).toEqual([
      'This draft waits for the report of 1 site. Nothing is billed for it yet.',
    ]);
    expect(ofReports({ state: 'draft', missingReports: 1200, missingUnbilled: 1200 })).toEqual([
      'This draft waits for the reports of 1,200 sites. Nothing is billed for them yet.',
    ]);
  });

  it.each<[InvoiceKind, 'hold' | 'estimate', string]>([
    ['invoice', 'hold', 'A later note does, once it arrives.'],
    ['debit-note', 'hold', 'A later note does, once it arrives.'],
    ['invoice', 'estimate', 'A later note does, by the report or by an estimate.'],
  ])('is, on the %s of an edge under %s, what comes of a site that was left out', (kind, policy, later) => {
    expect(ofReports({ kind, missingReports: 1, missingUnbilled: 1 }, policy)).toEqual([
      `The report of 1 site had not arrived when this document was made, and nothing is billed for it so far. ${later}`,
    ]);
  });

  it('is, where it bills by estimate, what the mark means, and nothing of sites left out', () => {
    const said = ofReports({ missingReports: 2, missingUnbilled: 0 }, 'estimate', { estimatedSites: 2 });
    expect(said).toEqual([
      expect.stringMatching(/^est\.: billed by the count .* had not arrived when this document was made/),
    ]);
  });

  it('is, on a note, that what was billed by estimate before still is one', () => {
    expect(ofReports({ kind: 'credit-note', missingReports: 2, missingUnbilled: 0 }, 'estimate')).toEqual([
      'The reports of 2 sites billed by estimate before had not arrived when this document was made; any difference will be settled by a note.',
    ]);
  });

  it('is each for what it is, where all come together', () => {
    const said = ofReports({ kind: 'debit-note', missingReports: 6, missingUnbilled: 3 }, 'estimate', {
      estimatedSites: 1,
    });
    expect(said).toHaveLength(3);
    expect(said[1]).toMatch(/^The reports of 2 sites billed by estimate before/);
    expect(said[2]).toMatch(/^The reports of 3 sites .* nothing is billed for them so far/);
  });
});

describe('what a document says of paying', () => {
  it.each<[Partial<Invoice>, RegExp | undefined]>([
    [{}, /^Please pay EUR.41\.48 by 2026-05-02\.$/],
    [{ kind: 'credit-note', grossMinor: -100, dueOn: null }, /^EUR.1\.00 are credited to you\.$/],
    [{ grossMinor: 0 }, /^Nothing is to be paid\.$/],
    [{ state: 'draft' }, undefined],
  ])('of %j is %s', (change, says) => {
    const [first = ''] = notes(change);
    if (says === undefined) expect(first).not.toMatch(/pay/);
    else expect(first).toMatch(says);
  });
});

it('says where every line is, and what was taken back', () => {
  const said = notes({}, 'hold', { level: 'accounts', lineCount: 2002, hasWithdrawn: true }).join('\n');
  expect(said).toContain('This document sums up 2,002 lines; the CSV of the same document holds every one.');
  expect(said).toContain('take back what was billed');
});
