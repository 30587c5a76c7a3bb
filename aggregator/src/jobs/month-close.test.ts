import type { CloseResult, Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { OrganisationRecord, Store } from '../store/store.ts';
import { openTemporaryStore, type TemporaryStore } from '../store/testing.ts';
import { closeMonth, previewClose } from './month-close.ts';
import { BillingWorld, type LedgerSite, scopeOf } from './testing/billing-world.ts';

const month = '2026-03';
const enrolledAt: Instant = '2026-02-10T09:00:00.000Z';
const inMarch: Instant = '2026-03-10T08:00:00.000Z';
const inApril: Instant = '2026-04-02T08:00:00.000Z';

let temporary: TemporaryStore;
let world: BillingWorld;
beforeEach(async () => {
  temporary = await openTemporaryStore();
  world = new BillingWorld(temporary.store);
});
afterEach(() => temporary.dispose());

async function close(seller: OrganisationRecord, withoutMissing = false, at = inApril): Promise<CloseResult['edges']> {
  world.clock.setWall(at);
  const closed = await closeMonth(world, scopeOf(seller), { month, withoutMissing });
  if (!closed.ok) throw new Error(closed.message);
  return closed.result.edges;
}

async function documentOf(
  organisation: OrganisationRecord,
  invoiceId: string | null | undefined,
): Promise<{ invoice: Invoice; lines: InvoiceLine[] }> {
  const invoice = await world.store.billing.invoice(scopeOf(organisation), invoiceId ?? '');
  if (invoice === undefined) throw new Error(`no invoice ${invoiceId}`);
  const { rows } = await world.store.billing.lines(invoice.id, { limit: 500 });
  return { invoice, lines: rows };
}

const figures = (lines: readonly InvoiceLine[]) =>
  lines.map(({ siteName, kind, quantity, netMinor }) => `${siteName} ${kind} ${quantity} ${netMinor}`);

/** So many of each kind from a day of March on, sealed at the end of February and of March. */
function live(site: LedgerSite, server: number, workstation: number): { servers: string[]; workstations: string[] } {
  site.seal('2026-02');
  const servers = site.deploy(inMarch, 'server', server);
  const workstations = site.deploy(inMarch, 'workstation', workstation);
  site.seal(month);
  return { servers, workstations };
}

describe('closing a month', () => {
  it('bills the distributor and its MSP from the same usage, each at its own prices, currency and tax', async () => {
    const vendor = await world.vendor();
    const distributor = await world.below(vendor, 'distributor', 'Distributor');
    const msp = await world.below(distributor, 'msp', 'MSP', 'JPY');
    await world.agree(vendor, distributor);
    await world.agree(distributor, msp, {
      serverUnitPriceMinor: 1501,
      workstationUnitPriceMinor: 77,
      taxRatePercent: '7.7',
    });
    const [rome, milan] = [await world.site(msp, 'Rome', enrolledAt), await world.site(msp, 'Milan', enrolledAt)];
    live(rome, 3, 10);
    live(milan, 0, 1);
    await rome.send();
    await milan.send();

    const [edge] = await close(vendor);
    expect(edge).toMatchObject({
      outcome: 'finalised',
      buyerId: distributor.id,
      number: 'INV-2026-000001',
      missingCount: 0,
      missingSites: [],
    });
    const bought = await documentOf(distributor, edge?.invoiceId);
    expect(figures(bought.lines)).toEqual([
      'Milan server 0 0',
      'Milan workstation 1 300',
      'Rome server 3 2850',
      'Rome workstation 10 3000',
    ]);
    expect(bought.invoice).toMatchObject({
      netMinor: 6150,
      taxMinor: 1353,
      grossMinor: 7503,
      currency: 'EUR',
      dueOn: '2026-05-02',
      sellerName: 'Vendor',
      buyerName: 'Distributor',
    });

    const [resold] = await close(distributor);
    // 3 × 1501 + 11 × 77 = 5350 yen; 7.7 % of it is 411.95.
    expect((await documentOf(msp, resold?.invoiceId)).invoice).toMatchObject({
      number: 'INV-2026-000001',
      currency: 'JPY',
      netMinor: 5350,
      taxMinor: 412,
      grossMinor: 5762,
    });
  });

  it('changes nothing when closed again', async () => {
    const { vendor, distributor } = await soldSite();
    const [first] = await close(vendor);
    const before = await documentOf(distributor, first?.invoiceId);
    expect(await close(vendor, false, '2026-04-20T00:00:00.000Z')).toMatchObject([
      { outcome: 'unchanged', invoiceId: first?.invoiceId, number: first?.number },
    ]);
    expect(await documentOf(distributor, first?.invoiceId)).toEqual(before);
    expect((await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 })).rows).toHaveLength(1);
  });

  it('makes one invoice when twenty close at once', async () => {
    const { vendor } = await soldSite();
    const closes = await Promise.all(Array.from({ length: 20 }, () => close(vendor)));
    const outcomes = Map.groupBy(closes, ([edge]) => edge?.outcome);
    expect([outcomes.get('finalised')?.length, outcomes.get('unchanged')?.length]).toEqual([1, 19]);
    expect(new Set(closes.map(([edge]) => edge?.number))).toEqual(new Set(['INV-2026-000001']));
    expect((await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 })).rows).toHaveLength(1);
  });

  it('bills each level of a tree of sub-distributors for all below it', async () => {
    const vendor = await world.vendor();
    const distributor = await world.below(vendor, 'distributor', 'Distributor');
    const sub = await world.below(distributor, 'distributor', 'Sub');
    const [msp, subMsp, directMsp] = [
      await world.below(distributor, 'msp', 'Own'),
      await world.below(sub, 'msp', 'Below'),
      await world.below(vendor, 'msp', 'Direct'),
    ];
    for (const [seller, buyer] of [
      [vendor, distributor],
      [vendor, directMsp],
      [distributor, sub],
      [distributor, msp],
      [sub, subMsp],
    ] as const)
      await world.agree(seller, buyer, { workstationUnitPriceMinor: 0 });
    for (const [owner, count] of [
      [msp, 1],
      [subMsp, 2],
      [directMsp, 4],
    ] as const) {
      const site = await world.site(owner, `Site of ${owner.name}`, enrolledAt);
      live(site, count, 0);
      await site.send();
    }
    const billed = async (seller: OrganisationRecord) => {
      const edges = await close(seller);
      const nets = await Promise.all(
        edges.map(
          async ({ buyerName, invoiceId }) =>
            [buyerName, (await documentOf(seller, invoiceId)).invoice.netMinor / 950] as const,
        ),
      );
      return Object.fromEntries(nets);
    };
    expect(await billed(vendor)).toEqual({ Distributor: 3, Direct: 4 });
    expect(await billed(distributor)).toEqual({ Sub: 2, Own: 1 });
    expect(await billed(sub)).toEqual({ Below: 2 });
    // Numbers are gapless per seller.
    const { rows } = await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 });
    expect(new Set(rows.map(({ number }) => number))).toEqual(new Set(['INV-2026-000001', 'INV-2026-000002']));
  });

  it('shows an invoice to its seller and its buyer alone', async () => {
    const vendor = await world.vendor();
    const distributor = await world.below(vendor, 'distributor', 'Distributor');
    const msp = await world.below(distributor, 'msp', 'MSP');
    await world.agree(distributor, msp);
    const site = await world.site(msp, 'Rome', enrolledAt);
    live(site, 1, 1);
    await site.send();
    const [edge] = await close(distributor);
    const seen = (who: OrganisationRecord) => world.store.billing.invoice(scopeOf(who), edge?.invoiceId ?? '');
    expect(await seen(distributor)).toBeDefined();
    expect(await seen(msp)).toBeDefined();
    expect(await seen(vendor)).toBeUndefined();
  });

  it('answers that nothing is to bill where no site lived, and tells no edge where there is no agreement', async () => {
    const vendor = await world.vendor();
    const distributor = await world.below(vendor, 'distributor', 'Distributor');
    expect(await close(vendor)).toEqual([]);
    await world.agree(vendor, distributor);
    expect(await close(vendor)).toMatchObject([{ outcome: 'nothing-to-bill', invoiceId: null, number: null }]);
  });
});

describe('a month that still runs', () => {
  it('is refused where it runs on all edges', async () => {
    const { vendor } = await soldSite();
    world.clock.setWall('2026-03-31T21:59:59.999Z');
    expect(await closeMonth(world, scopeOf(vendor), { month, withoutMissing: false })).toMatchObject({
      ok: false,
      code: 'MONTH_NOT_OVER',
    });
    expect(await previewClose(world, scopeOf(vendor), { month, withoutMissing: false })).toMatchObject({
      ok: false,
      code: 'MONTH_NOT_OVER',
    });
    expect((await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 })).rows).toEqual([]);
  });

  it('at one buyer does not keep the others waiting', async () => {
    const { vendor } = await soldSite();
    const islander = await world.below(vendor, 'msp', 'Islander', 'USD');
    await world.agree(vendor, islander);
    const site = await world.site(islander, 'Honolulu', enrolledAt, 'Pacific/Honolulu');
    live(site, 1, 0);
    await site.send();
    const early = await close(vendor, false, '2026-04-01T09:00:00.000Z');
    expect(Object.fromEntries(early.map(({ buyerName, outcome }) => [buyerName, outcome]))).toEqual({
      Distributor: 'finalised',
      Islander: 'not-over',
    });
    const later = await close(vendor, false, '2026-04-01T10:00:00.000Z');
    expect(Object.fromEntries(later.map(({ buyerName, outcome }) => [buyerName, outcome]))).toEqual({
      Distributor: 'unchanged',
      Islander: 'finalised',
    });
  });
});

describe('a report that has not come', () => {
  it('holds the invoice as a draft until it comes', async () => {
    const { vendor, distributor, msp } = await soldSite();
    const late = await world.site(msp, 'Late', enrolledAt);
    await late.send();
    live(late, 1, 0);

    const [held] = await close(vendor);
    expect(held).toMatchObject({
      outcome: 'held',
      number: null,
      missingCount: 1,
      missingSites: [{ siteId: late.siteId, siteName: 'Late' }],
    });
    expect((await documentOf(vendor, held?.invoiceId)).invoice).toMatchObject({
      state: 'draft',
      number: null,
      missingReports: 1,
      netMinor: 3400,
    });
    expect(await close(vendor)).toMatchObject([{ outcome: 'held', invoiceId: held?.invoiceId }]);

    await late.send();
    const [finalised] = await close(vendor);
    expect(finalised).toMatchObject({
      outcome: 'finalised',
      invoiceId: held?.invoiceId,
      number: 'INV-2026-000001',
      missingCount: 0,
    });
    expect((await documentOf(distributor, finalised?.invoiceId)).invoice).toMatchObject({
      state: 'finalised',
      netMinor: 4350,
    });
    expect((await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 })).rows).toHaveLength(1);
  });

  it('leaves one draft when twenty close at once', async () => {
    const { vendor, msp } = await soldSite();
    await (await world.site(msp, 'Late', enrolledAt)).send();
    const closes = await Promise.all(Array.from({ length: 20 }, () => close(vendor)));
    expect(new Set(closes.map(([edge]) => edge?.outcome))).toEqual(new Set(['held']));
    const { rows } = await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 });
    expect(rows).toMatchObject([{ state: 'draft', netMinor: 3400 }]);
    expect((await world.store.billing.lines(rows[0]?.id ?? '', { limit: 10 })).rows).toHaveLength(2);
  });

  it('is left out on demand and billed by a debit note once it comes', async () => {
    const { vendor, distributor, msp } = await soldSite();
    const late = await world.site(msp, 'Late', enrolledAt);
    await late.send();
    const [first] = await close(vendor, true);
    expect(first).toMatchObject({ outcome: 'finalised', missingCount: 1 });
    expect(await close(vendor)).toMatchObject([{ outcome: 'unchanged', missingCount: 1 }]);

    live(late, 1, 2);
    await late.send();
    const [note] = await close(vendor);
    expect(note).toMatchObject({ outcome: 'debited', number: 'DBN-2026-000001' });
    const { invoice, lines } = await documentOf(distributor, note?.invoiceId);
    expect(invoice).toMatchObject({
      kind: 'debit-note',
      refersToId: first?.invoiceId,
      refersToNumber: 'INV-2026-000001',
      netMinor: 1550,
      taxMinor: 341,
    });
    expect(figures(lines)).toEqual(['Late server 1 950', 'Late workstation 2 600']);
    expect(await close(vendor)).toMatchObject([{ outcome: 'unchanged' }]);
  });

  it('is estimated from the own count under that policy, and trued up', async () => {
    const { vendor, distributor, msp } = await soldSite({ missingReportPolicy: 'estimate' });
    const late = await world.site(msp, 'Late', enrolledAt);
    late.seal('2026-02');
    const servers = late.deploy('2026-03-02T00:00:00.000Z', 'server', 4);
    await late.send();
    // One is removed, five workstations come; the aggregator has not heard of either.
    late.remove(inMarch, 'server', servers[0] ?? '');
    late.deploy(inMarch, 'workstation', 5);

    const [first] = await close(vendor);
    expect(first).toMatchObject({ outcome: 'finalised', missingReportPolicy: 'estimate', missingCount: 1 });
    const estimated = await documentOf(distributor, first?.invoiceId);
    expect(figures(estimated.lines)).toEqual([
      'Late server 4 3800',
      'Late workstation 0 0',
      'Rome server 2 1900',
      'Rome workstation 5 1500',
    ]);
    expect(estimated.lines.map(({ basis }) => basis)).toEqual(['estimate', 'estimate', 'report', 'report']);
    expect(estimated.invoice.missingReports).toBe(1);

    late.seal(month);
    await late.send();
    const [note] = await close(vendor);
    expect(note).toMatchObject({ outcome: 'debited' });
    const trueUp = await documentOf(distributor, note?.invoiceId);
    expect(figures(trueUp.lines)).toEqual(['Late workstation 5 1500']);
    expect(trueUp.lines).toMatchObject([{ basis: 'report', revision: 1 }]);
  });
});

describe('a site whose ledger begins after a month it was billed for', () => {
  it.each(['hold', 'estimate'] as const)(
    'leaves that month as it was billed, under %s',
    async (missingReportPolicy) => {
      const { vendor, msp } = await soldSite({ missingReportPolicy });
      const late = await world.site(msp, 'Late', '2026-03-31T21:59:59.000Z', 'Europe/Rome', '2026-03-31T22:00:01.000Z');
      expect(await close(vendor, missingReportPolicy === 'hold')).toMatchObject([
        { outcome: 'finalised', missingCount: 1 },
      ]);
      late.deploy('2026-04-01T08:00:00.000Z', 'server', 3);
      await late.send();
      expect(await close(vendor)).toMatchObject([{ outcome: 'unchanged', failure: null }]);
      expect(await world.store.billing.billableSites(msp.path, month)).toHaveLength(2);
    },
  );
});

describe('a report corrected after finalising', () => {
  it('is answered by a credit note, and a later one for what comes on top by a debit note', async () => {
    const vendor = await world.vendor();
    const distributor = await world.below(vendor, 'distributor', 'Distributor');
    const msp = await world.below(distributor, 'msp', 'MSP');
    await world.agree(vendor, distributor);
    const site = await world.site(msp, 'Rome', enrolledAt);
    const late = await world.site(msp, 'Late', enrolledAt);
    const { servers } = live(site, 3, 1);
    await site.send();
    await late.send();
    const [first] = await close(vendor, true);

    site.correct(month, '2026-04-03T00:00:00.000Z', [servers[0] ?? '']);
    await site.send();
    const [credit] = await close(vendor, true, '2026-04-05T08:00:00.000Z');
    expect(credit).toMatchObject({ outcome: 'credited', number: 'CRN-2026-000001' });
    const credited = await documentOf(distributor, credit?.invoiceId);
    expect(credited.invoice).toMatchObject({
      kind: 'credit-note',
      refersToNumber: 'INV-2026-000001',
      netMinor: -950,
      taxMinor: -209,
      grossMinor: -1159,
      dueOn: null,
    });
    expect(credited.lines).toMatchObject([
      { siteName: 'Rome', kind: 'server', quantity: -1, basis: 'report', revision: 2 },
    ]);

    // Both ways at once: another server goes, the late site's report comes.
    site.correct(month, '2026-04-06T00:00:00.000Z', [servers[1] ?? '']);
    await site.send();
    live(late, 2, 0);
    await late.send();
    const [debit] = await close(vendor, false, '2026-04-07T08:00:00.000Z');
    expect(debit).toMatchObject({ outcome: 'debited', number: 'DBN-2026-000001' });
    const debited = await documentOf(distributor, debit?.invoiceId);
    expect(figures(debited.lines)).toEqual(['Late server 2 1900', 'Rome server -1 -950']);
    expect(debited.invoice).toMatchObject({ refersToId: first?.invoiceId, netMinor: 950, dueOn: '2026-05-07' });

    // The invoice itself stands as it was.
    expect((await documentOf(distributor, first?.invoiceId)).invoice).toMatchObject({
      number: 'INV-2026-000001',
      netMinor: 3150,
    });
    expect(await close(vendor)).toMatchObject([{ outcome: 'unchanged' }]);
  });

  it('is noted at the invoice’s prices, also where a later agreement has begun in the month meanwhile', async () => {
    const { vendor, distributor, site, servers } = await soldSite();
    await close(vendor);
    await world.agree(vendor, distributor, { validFrom: month, serverUnitPriceMinor: 1 });
    expect(await close(vendor)).toMatchObject([{ outcome: 'unchanged' }]);
    site.correct(month, '2026-04-03T00:00:00.000Z', [servers[0] ?? '']);
    await site.send();
    const [note] = await close(vendor);
    expect((await documentOf(distributor, note?.invoiceId)).invoice.netMinor).toBe(-950);
  });
});

describe('a close that meets another', () => {
  it('never undoes with old figures what the other has just billed', async () => {
    const { vendor, site, servers } = await soldSite();
    await close(vendor);
    site.correct(month, '2026-04-03T00:00:00.000Z', [servers[0] ?? '']);
    const { billing } = world.store;
    // After whichever the close reads first, the correction arrives and another close bills it.
    let met = false;
    const meet = async <Read>(read: Promise<Read>): Promise<Read> => {
      const answer = await read;
      if (!met) {
        met = true;
        await site.send();
        expect(await close(vendor)).toMatchObject([{ outcome: 'credited' }]);
      }
      return answer;
    };
    const slow = {
      ...billing,
      billed: (...of: Parameters<typeof billing.billed>) => meet(billing.billed(...of)),
      billableSites: (...of: Parameters<typeof billing.billableSites>) => meet(billing.billableSites(...of)),
    };
    await closeMonth(on(slow), scopeOf(vendor), { month, withoutMissing: false });
    expect(met).toBe(true);
    const { rows } = await billing.invoices(scopeOf(vendor), {}, { limit: 10 });
    expect(rows).toHaveLength(2);
    expect(Object.fromEntries(rows.map(({ number, netMinor }) => [number, netMinor]))).toEqual({
      'CRN-2026-000001': -950,
      'INV-2026-000001': 3400,
    });
  });

  it('each time is told to come again, and has written nothing', async () => {
    const { vendor } = await soldSite();
    world.clock.setWall(inApril);
    const billing = {
      ...world.store.billing,
      applyClose: () =>
        Promise.resolve({ ok: false as const, code: 'CONFLICT' as const, message: 'another close came first' }),
    };
    expect(await closeMonth(on(billing), scopeOf(vendor), { month, withoutMissing: false })).toMatchObject({
      ok: true,
      result: { edges: [{ outcome: 'failed', failure: { code: 'CONFLICT' }, invoiceId: null, number: null }] },
    });
    expect(await close(vendor)).toMatchObject([{ outcome: 'finalised', number: 'INV-2026-000001' }]);
  });
});

describe('an edge that cannot be closed', () => {
  /** A store that answers for one buyer with what no bill can be made of. */
  function broken(buyer: OrganisationRecord, error: Error) {
    const { billing } = world.store;
    return on({
      ...billing,
      billableSites: (path, ...rest) =>
        path === buyer.path ? Promise.reject(error) : billing.billableSites(path, ...rest),
    });
  }

  it.each([
    [new RangeError('an amount is too large'), { code: 'NOT_BILLABLE', message: 'an amount is too large' }],
    [
      new TypeError('secret of the inside'),
      { code: 'INTERNAL', message: 'the aggregator failed on this edge; its log says why' },
    ],
    [
      new RollcallError('STORE_FAILED', 'the database refused', { retryable: false }),
      { code: 'STORE_FAILED', message: 'the database refused' },
    ],
  ])('by %s is told with its reason, and the others are closed', async (error, failure) => {
    const { vendor, distributor } = await soldSite();
    const other = await world.below(vendor, 'msp', 'Other');
    await world.agree(vendor, other);
    const site = await world.site(other, 'Bern', enrolledAt);
    live(site, 1, 0);
    await site.send();
    world.clock.setWall(inApril);
    const request = { month, withoutMissing: false };
    const previewed = await previewClose(broken(distributor, error), scopeOf(vendor), request);
    const closed = await closeMonth(broken(distributor, error), scopeOf(vendor), request);
    if (!closed.ok || !previewed.ok) throw new Error('refused');
    for (const edges of [previewed.preview.edges, closed.result.edges]) {
      const byBuyer = new Map(edges.map((edge) => [edge.buyerName, edge]));
      expect(byBuyer.get('Distributor')).toMatchObject({
        outcome: 'failed',
        failure,
        invoiceId: null,
        missingCount: 0,
      });
      expect(byBuyer.get('Other')).toMatchObject({ outcome: 'finalised', failure: null });
    }
    // The stack of a defect is in the log; what was told whole is not told twice.
    expect(world.errors).toHaveLength(error instanceof RollcallError ? 0 : 2);
    expect((await close(vendor)).map(({ outcome }) => outcome).toSorted()).toEqual(['finalised', 'unchanged']);
  });

  it('ends the close where the store is gone', async () => {
    const { vendor, distributor } = await soldSite();
    world.clock.setWall(inApril);
    const gone = new RollcallError('STORE_UNAVAILABLE', 'the database does not answer', { retryable: true });
    await expect(closeMonth(broken(distributor, gone), scopeOf(vendor), { month, withoutMissing: false })).rejects.toBe(
      gone,
    );
  });
});

describe('a preview', () => {
  it('tells what closing would do, and does nothing', async () => {
    const { vendor } = await soldSite();
    world.clock.setWall(inApril);
    const request = { month, withoutMissing: false };
    const previewed = await previewClose(world, scopeOf(vendor), request);
    expect(previewed).toMatchObject({
      ok: true,
      preview: { edges: [{ outcome: 'finalised', netMinor: 3400, currency: 'EUR', invoiceId: null, number: null }] },
    });
    expect((await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 })).rows).toEqual([]);
    await close(vendor);
    expect(await previewClose(world, scopeOf(vendor), request)).toMatchObject({
      preview: { edges: [{ outcome: 'unchanged', netMinor: null, number: 'INV-2026-000001' }] },
    });
  });
});

/** What the close works with, on another store of billing. */
const on = (billing: Store['billing']) => ({
  clock: world.clock,
  chance: world.chance,
  logger: world.logger,
  store: { billing },
});

/** A vendor that sells to a distributor, and one site of two servers and five workstations. */
async function soldSite(terms: Parameters<BillingWorld['agree']>[2] = {}) {
  const vendor = await world.vendor();
  const distributor = await world.below(vendor, 'distributor', 'Distributor');
  const msp = await world.below(distributor, 'msp', 'MSP');
  await world.agree(vendor, distributor, terms);
  const site = await world.site(msp, 'Rome', enrolledAt);
  const { servers } = live(site, 2, 5);
  await site.send();
  return { vendor, distributor, msp, site, servers };
}
