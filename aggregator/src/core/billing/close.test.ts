import { describe, expect, it } from 'vitest';
import type { BillableSite } from './close-plan.ts';
import { type CloseDecision, type EdgeFacts, planClose } from './close.ts';
import { agreementWith, DocumentBook, factsWith, idOf, siteWith } from './testing/edge-facts.ts';

type Planned = Extract<CloseDecision, { ok: true }>;

/** Closes into the book and tells what came out. */
function close(book: DocumentBook, change: Partial<EdgeFacts> = {}): Planned {
  const newDocumentId = idOf('invoice', 100 + book.documents.length);
  const decision = planClose(factsWith({ newDocumentId, ...change, billed: book.billed }));
  if (!decision.ok) throw new Error(decision.message);
  if (decision.plan !== null) book.apply(decision.plan);
  return decision;
}

const figures = ({ plan }: Planned) =>
  plan?.lines.map(({ siteName, kind, quantity, netMinor }) => [siteName, kind, quantity, netMinor]);
const missing = (number: number, change: Partial<BillableSite> = {}) => siteWith(number, { report: null, ...change });

describe('the first close of a month', () => {
  it('makes the invoice: two lines a site, rounded lines added up, tax once on the net, due by the term', () => {
    const sites = [siteWith(1), siteWith(2, { report: { revision: 3, server: 1, workstation: 0 } })];
    const decision = close(new DocumentBook(), { sites });
    expect(decision.outcome).toBe('finalised');
    expect(figures(decision)).toEqual([
      ['Site 1', 'server', 2, 1900],
      ['Site 1', 'workstation', 5, 1500],
      ['Site 2', 'server', 1, 950],
      ['Site 2', 'workstation', 0, 0],
    ]);
    expect(decision.plan).toMatchObject({ series: { name: 'INV', year: 2026 }, documentsBefore: 0, draftId: null });
    expect(decision.plan?.document).toMatchObject({
      kind: 'invoice',
      state: 'finalised',
      number: null,
      netMinor: 4350,
      taxMinor: 957,
      grossMinor: 5307,
      currency: 'EUR',
      finalisedAt: '2026-04-02T08:00:00.000Z',
      dueOn: '2026-05-02',
      refersToId: null,
      missingReports: 0,
    });
    expect(decision.plan?.lines.map(({ number, basis, revision }) => [number, basis, revision])).toEqual([
      [1, 'report', 1],
      [2, 'report', 1],
      [3, 'report', 3],
      [4, 'report', 3],
    ]);
  });

  it('takes the due day from the day of finalising in the agreement’s zone', () => {
    // 23:30 UTC on the 30th is the 1st in Auckland; a term of 31 days passes the end of May.
    const agreement = agreementWith({ timeZone: 'Pacific/Auckland', paymentTermDays: 31 });
    const decision = close(new DocumentBook(), { agreement, now: '2026-04-30T12:30:00.000Z' });
    expect(decision.plan?.document.dueOn).toBe('2026-06-01');
  });

  it('orders lines by MSP, account, site and kind, with numbers in names as people count', () => {
    const names = [
      { mspName: 'Zeta', accountName: 'A', siteName: 'a' },
      { mspName: 'alpha', accountName: 'B', siteName: 'Site 10' },
      { mspName: 'alpha', accountName: 'B', siteName: 'Site 9' },
      { mspName: 'alpha', accountName: 'Äpfel', siteName: 'x' },
    ];
    const sites = names.map((name, index) =>
      siteWith(index, { ...name, mspId: idOf('organisation', name.mspName.length) }),
    );
    const { plan } = close(new DocumentBook(), { sites });
    expect(plan?.lines.map(({ siteName, kind }) => `${siteName} ${kind}`)).toEqual(
      ['x', 'Site 9', 'Site 10', 'a'].flatMap((name) => [`${name} server`, `${name} workstation`]),
    );
  });

  it('finalises an invoice of zero where all sites report zero', () => {
    const decision = close(new DocumentBook(), {
      sites: [siteWith(1, { report: { revision: 1, server: 0, workstation: 0 } })],
    });
    expect(decision.outcome).toBe('finalised');
    expect(decision.plan?.document).toMatchObject({ netMinor: 0, taxMinor: 0, grossMinor: 0 });
  });

  it('has nothing to bill without a site', () => {
    expect(planClose(factsWith({ sites: [] }))).toEqual({
      ok: true,
      outcome: 'nothing-to-bill',
      plan: null,
      missing: [],
      differing: [],
    });
  });
});

describe('a month that is not over', () => {
  const cases: [string, string, Partial<EdgeFacts>, boolean][] = [
    ['one millisecond before the end in the agreement’s zone', '2026-03-31T21:59:59.999Z', {}, false],
    ['at the end in the agreement’s zone', '2026-03-31T22:00:00.000Z', {}, true],
    [
      'while it runs at a site in the west',
      '2026-04-01T09:59:59.999Z',
      { sites: [siteWith(1, { timeZone: 'Pacific/Honolulu' })] },
      false,
    ],
    [
      'once it is over at the site in the west',
      '2026-04-01T10:00:00.000Z',
      { sites: [siteWith(1, { timeZone: 'Pacific/Honolulu' })] },
      true,
    ],
    [
      'over at a site in the east, not in the agreement’s zone',
      '2026-03-31T16:00:00.000Z',
      { sites: [siteWith(1, { timeZone: 'Asia/Tokyo' })] },
      false,
    ],
  ];
  it.each(cases)('%s', (_name, now, change, over) => {
    const decision = planClose(factsWith({ now, ...change }));
    if (over) expect(decision).toMatchObject({ ok: true, outcome: 'finalised' });
    else expect(decision).toMatchObject({ ok: false, code: 'MONTH_NOT_OVER' });
  });

  it('names the site that ends last', () => {
    const decision = planClose(
      factsWith({ now: '2026-04-01T00:00:00.000Z', sites: [siteWith(7, { timeZone: 'Pacific/Honolulu' })] }),
    );
    expect(decision).toMatchObject({
      code: 'MONTH_NOT_OVER',
      message: '2026-03 is not over until 2026-04-01T10:00:00.000Z in the zone Pacific/Honolulu of site Site 7',
    });
  });
});

describe('missing reports under hold', () => {
  it('hold the invoice as a draft that keeps its identifier until it is finalised', () => {
    const book = new DocumentBook();
    const held = close(book, { sites: [siteWith(1), missing(2)], newDocumentId: idOf('invoice', 1) });
    expect(held.outcome).toBe('held');
    expect(held.missing.map(({ siteName }) => siteName)).toEqual(['Site 2']);
    expect(held.plan).toMatchObject({
      series: null,
      document: { state: 'draft', missingReports: 1, dueOn: null, finalisedAt: null, netMinor: 3400 },
    });
    expect(figures(held)).toHaveLength(2);

    const again = close(book, { sites: [siteWith(1), missing(2)], newDocumentId: idOf('invoice', 2) });
    expect(again.outcome).toBe('held');
    expect(again.plan).toMatchObject({ draftId: idOf('invoice', 1), document: { id: idOf('invoice', 1) } });

    const finalised = close(book, { sites: [siteWith(1), siteWith(2)], newDocumentId: idOf('invoice', 3) });
    expect(finalised.outcome).toBe('finalised');
    expect(finalised.plan).toMatchObject({
      draftId: idOf('invoice', 1),
      document: { id: idOf('invoice', 1), netMinor: 6800, missingReports: 0 },
    });
  });

  it('are left out on demand, and billed by a debit note when they come', () => {
    const book = new DocumentBook();
    const first = close(book, { sites: [siteWith(1), missing(2)], withoutMissing: true });
    expect(first.outcome).toBe('finalised');
    expect(first.plan?.document).toMatchObject({ netMinor: 3400, missingReports: 1 });

    expect(close(book, { sites: [siteWith(1), missing(2)] }).outcome).toBe('unchanged');

    const note = close(book, {
      sites: [siteWith(1), siteWith(2, { report: { revision: 1, server: 1, workstation: 0 } })],
    });
    expect(note.outcome).toBe('debited');
    // The workstation's zero changes nothing, so the note does not list it.
    expect(figures(note)).toEqual([['Site 2', 'server', 1, 950]]);
    expect(note.plan?.document).toMatchObject({
      kind: 'debit-note',
      refersToId: first.plan?.document.id,
      refersToNumber: 'INV-2026-000001',
      taxMinor: 209,
      grossMinor: 1159,
      dueOn: '2026-05-02',
    });
    expect(note.plan?.series).toEqual({ name: 'DBN', year: 2026 });
  });

  it('leave nothing to bill where every report is missing and none is waited for', () => {
    expect(planClose(factsWith({ sites: [missing(1)], withoutMissing: true }))).toMatchObject({
      outcome: 'nothing-to-bill',
      plan: null,
    });
  });
});

describe('missing reports under estimate', () => {
  const agreement = agreementWith({ missingReportPolicy: 'estimate' });
  const estimated = missing(2, { counted: { server: 3, workstation: 4 } });

  it('are billed by the own count, marked, and trued up by a note that names the report', () => {
    const book = new DocumentBook();
    const first = close(book, { agreement, sites: [siteWith(1), estimated] });
    expect(first.outcome).toBe('finalised');
    expect(first.plan?.document).toMatchObject({ netMinor: 7450, missingReports: 1 });
    expect(first.plan?.lines.map(({ basis, revision, countedUpTo }) => [basis, revision, countedUpTo])).toEqual([
      ['report', 1, null],
      ['report', 1, null],
      ['estimate', null, 9],
      ['estimate', null, 9],
    ]);

    const note = close(book, {
      agreement,
      sites: [siteWith(1), { ...estimated, report: { revision: 1, server: 2, workstation: 4 } }],
    });
    expect(note.outcome).toBe('credited');
    expect(note.plan?.lines).toMatchObject([
      { number: 1, siteName: 'Site 2', kind: 'server', quantity: -1, netMinor: -950, basis: 'report', revision: 1 },
    ]);
    expect(note.plan?.document).toMatchObject({
      kind: 'credit-note',
      netMinor: -950,
      taxMinor: -209,
      grossMinor: -1159,
      dueOn: null,
    });
  });

  it('change nothing when the report confirms the estimate', () => {
    const book = new DocumentBook();
    close(book, { agreement, sites: [estimated] });
    const confirmed = { ...estimated, report: { revision: 1, ...estimated.counted } };
    expect(close(book, { agreement, sites: [confirmed] })).toMatchObject({ outcome: 'unchanged', missing: [] });
  });

  it('stay as billed until the report comes, whatever is counted meanwhile', () => {
    const book = new DocumentBook();
    close(book, { agreement, sites: [estimated] });
    const counted = { server: 9, workstation: 9 };
    expect(close(book, { agreement, sites: [{ ...estimated, counted }] }).outcome).toBe('unchanged');
    expect(close(book, { agreement, sites: [{ ...estimated, counted }], withoutMissing: true }).outcome).toBe(
      'unchanged',
    );
  });

  it('are left out on demand, as under hold', () => {
    const { plan } = close(new DocumentBook(), { agreement, sites: [siteWith(1), estimated], withoutMissing: true });
    expect(plan?.lines.map(({ siteName }) => siteName)).toEqual(['Site 1', 'Site 1']);
  });
});

describe('sites without a report', () => {
  const agreement = agreementWith({ missingReportPolicy: 'estimate' });
  const gaps = ({ plan }: Planned) => [plan?.document.missingReports, plan?.document.missingUnbilled];

  it('are told apart by whether anything was billed for them', () => {
    const book = new DocumentBook();
    const sites = [siteWith(1), missing(2), missing(3)];
    expect(gaps(close(new DocumentBook(), { sites }))).toEqual([2, 2]);
    expect(gaps(close(book, { agreement, sites: sites.slice(0, 2) }))).toEqual([1, 0]);
    // Site 2 stays as it was estimated; 4 is new, left out first and estimated then.
    const reports = { revision: 2, server: 9, workstation: 9 };
    const changed = [siteWith(1, { report: reports }), missing(2), missing(4)];
    expect(gaps(close(book, { agreement, sites: changed, withoutMissing: true }))).toEqual([2, 1]);
    expect(gaps(close(book, { agreement, sites: [siteWith(1, { report: reports }), missing(2), missing(4)] }))).toEqual(
      [2, 0],
    );
  });
});

describe('the parties', () => {
  it('stand on the document as they are printed, and with nothing else that is known of them', () => {
    const seller = { ...factsWith().seller, path: 'org_1/', currency: 'EUR' };
    const { plan } = close(new DocumentBook(), { seller });
    expect(plan?.document).toMatchObject({ sellerName: 'Vendor', buyerName: 'Distributor' });
    expect(plan?.document.seller).toEqual({
      addressLines: ['Via Roma 12', '20121 Milano'],
      country: 'IT',
      taxId: 'IT01234567890',
    });
    expect(plan?.document.buyer).toEqual({ addressLines: ['Hauptstrasse 5'], country: 'DE', taxId: null });
  });
});

describe('a report that is not what was counted here', () => {
  it('is billed, and told, whatever the outcome', () => {
    const book = new DocumentBook();
    const sites = [siteWith(1), siteWith(2, { differing: true, counted: { server: 9, workstation: 9 } })];
    for (const outcome of ['finalised', 'unchanged']) {
      const decision = close(book, { sites });
      expect(decision.outcome).toBe(outcome);
      expect(decision.differing.map(({ siteName }) => siteName)).toEqual(['Site 2']);
    }
    expect(book.documents[0]?.document.netMinor).toBe(6800);
  });
});

describe('a change after finalising', () => {
  const after = (server: number, workstation: number) => {
    const book = new DocumentBook();
    close(book);
    return close(book, { sites: [siteWith(1, { report: { revision: 2, server, workstation } })] });
  };

  it.each([
    ['down', after(1, 5), 'credited', 'CRN', -950, [['Site 1', 'server', -1, -950]]],
    ['up', after(2, 7), 'debited', 'DBN', 600, [['Site 1', 'workstation', 2, 600]]],
    [
      'both ways, down in sum',
      after(1, 6),
      'credited',
      'CRN',
      -650,
      [
        ['Site 1', 'server', -1, -950],
        ['Site 1', 'workstation', 1, 300],
      ],
    ],
    [
      'both ways, up in sum',
      after(3, 4),
      'debited',
      'DBN',
      650,
      [
        ['Site 1', 'server', 1, 950],
        ['Site 1', 'workstation', -1, -300],
      ],
    ],
  ])('%s makes one note', (_name, decision, outcome, series, netMinor, lines) => {
    expect(decision).toMatchObject({
      outcome,
      plan: { series: { name: series, year: 2026 }, documentsBefore: 1, document: { netMinor } },
    });
    expect(figures(decision)).toEqual(lines);
    expect(decision.plan?.lines.map(({ revision }) => revision)).toEqual(lines.map(() => 2));
  });

  it('that cancels out is told by a debit note of zero', () => {
    const book = new DocumentBook();
    const agreement = agreementWith({ serverUnitPriceMinor: 600 });
    close(book, { agreement });
    const note = close(book, {
      agreement,
      sites: [siteWith(1, { report: { revision: 2, server: 1, workstation: 7 } })],
    });
    expect(note).toMatchObject({ outcome: 'debited', plan: { document: { netMinor: 0, taxMinor: 0, grossMinor: 0 } } });
    expect(figures(note)).toEqual([
      ['Site 1', 'server', -1, -600],
      ['Site 1', 'workstation', 2, 600],
    ]);
    expect(
      close(book, { agreement, sites: [siteWith(1, { report: { revision: 2, server: 1, workstation: 7 } })] }).outcome,
    ).toBe('unchanged');
  });

  it('at a price of zero is told too', () => {
    const book = new DocumentBook();
    const agreement = agreementWith({ serverUnitPriceMinor: 0 });
    close(book, { agreement });
    const note = close(book, {
      agreement,
      sites: [siteWith(1, { report: { revision: 2, server: 1, workstation: 5 } })],
    });
    expect(note).toMatchObject({ outcome: 'debited', plan: { lines: [{ quantity: -1, netMinor: 0 }] } });
  });

  it('rounds tax of a credit as it rounds that of an invoice', () => {
    // 7.5 % of 1.00 is 7.5 minor units: 8 owed, 8 given back.
    const agreement = agreementWith({ serverUnitPriceMinor: 100, workstationUnitPriceMinor: 0, taxRatePercent: '7.5' });
    const book = new DocumentBook();
    const first = close(book, {
      agreement,
      sites: [siteWith(1, { report: { revision: 1, server: 1, workstation: 0 } })],
    });
    const note = close(book, {
      agreement,
      sites: [siteWith(1, { report: { revision: 2, server: 0, workstation: 0 } })],
    });
    expect(first.plan?.document.taxMinor).toBe(8);
    expect(note.plan?.document.taxMinor).toBe(-8);
  });
});

describe('a billed site that does not belong to the month any more', () => {
  it('is credited once, by the names it was billed under', () => {
    const book = new DocumentBook();
    close(book, { sites: [siteWith(1, { siteName: 'Old name' }), siteWith(2)] });
    const note = close(book, { sites: [siteWith(2)] });
    expect(note.outcome).toBe('credited');
    expect(figures(note)).toEqual([
      ['Old name', 'server', -2, -1900],
      ['Old name', 'workstation', -5, -1500],
    ]);
    expect(note.plan?.lines).toMatchObject([
      { basis: 'withdrawn', revision: null, siteId: siteWith(1).siteId, mspName: 'MSP', unitPriceMinor: 950 },
      { basis: 'withdrawn', revision: null },
    ]);
    expect(close(book, { sites: [siteWith(2)] }).outcome).toBe('unchanged');
  });

  it('changes nothing where it was billed zero', () => {
    const book = new DocumentBook();
    close(book, { sites: [siteWith(1, { report: { revision: 1, server: 0, workstation: 0 } }), siteWith(2)] });
    expect(close(book, { sites: [siteWith(2)] }).outcome).toBe('unchanged');
  });

  it('is billed again when it comes back, by estimate too', () => {
    const agreement = agreementWith({ missingReportPolicy: 'estimate' });
    const book = new DocumentBook();
    close(book, { agreement });
    close(book, { agreement, sites: [] });
    const again = close(book, { agreement, sites: [missing(1, { counted: { server: 1, workstation: 0 } })] });
    expect(again.outcome).toBe('debited');
    expect(again.plan?.lines).toMatchObject([{ kind: 'server', quantity: 1, netMinor: 950, basis: 'estimate' }]);
  });
});

describe('facts that cannot be', () => {
  const invoiced = () => {
    const book = new DocumentBook();
    close(book);
    return book.billed;
  };
  it.each([
    ['documents without an invoice', { billed: { ...factsWith().billed, documents: 1 } }, /1 documents of 2026-03/],
    [
      'terms other than the invoice’s',
      { billed: invoiced(), agreement: agreementWith({ id: idOf('agreement', 2) }) },
      /was made under/,
    ],
  ])('%s stop the close', (_name, change, message) => {
    expect(() => planClose(factsWith(change))).toThrow(message);
  });
});
