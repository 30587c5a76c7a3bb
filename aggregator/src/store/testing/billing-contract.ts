/** What every engine must do for agreements and documents: gapless numbers, one effect a close, nothing final ever changed. */
import { describe, expect, test } from 'vitest';
import { closedAt, closePlan, notePlan } from './close-plans.ts';
import type { OpenedStore } from './store-engines.ts';
import {
  addAccount,
  addAgreement,
  addBranch,
  addOrganisation,
  addSite,
  all,
  begin,
  must,
  newId,
  scopeOf,
  vendorOf,
  walk,
} from './tenants.ts';

const conflict = { ok: false, code: 'CONFLICT' };

export function billingContract(use: () => OpenedStore): void {
  async function edge() {
    const { store } = use();
    const branch = await addBranch(store);
    const agreement = await addAgreement(store, branch.distributor, branch.msp);
    return { ...branch, store, seller: branch.distributor, buyer: branch.msp, agreement };
  }

  describe('agreements', () => {
    test('are one for an edge and first month', async () => {
      const { store, seller, buyer, agreement } = await edge();
      expect(await store.billing.agreement(scopeOf(seller), agreement.id)).toEqual(agreement);
      expect(await store.billing.createAgreement({ ...agreement, id: newId('agreement') })).toMatchObject({
        ok: false,
        code: 'AGREEMENT_EXISTS',
      });
      await addAgreement(store, seller, buyer, { validFrom: '2026-02' });
    });

    test('are in force from their first month until the next one begins', async () => {
      const { store, seller, buyer, agreement } = await edge();
      const second = await addAgreement(store, seller, buyer, { validFrom: '2026-04', serverUnitPriceMinor: 450 });
      const otherBuyer = await addOrganisation(store, 'msp', seller);
      const other = await addAgreement(store, seller, otherBuyer, { validFrom: '2026-03' });
      const inForce = async (sellerId: string | null, month: string) =>
        (await store.billing.agreementsInForce(sellerId, month)).map((each) => each.agreement.id).toSorted();
      expect(await inForce(seller.id, '2025-12')).toEqual([]);
      expect(await store.billing.agreementsInForce(seller.id, '2026-02')).toEqual([{ agreement, seller, buyer }]);
      expect(await inForce(seller.id, '2026-03')).toEqual([agreement.id, other.id].toSorted());
      expect(await inForce(seller.id, '2026-05')).toEqual([second.id, other.id].toSorted());
      expect(await inForce(null, '2026-05')).toEqual(expect.arrayContaining([second.id, other.id]));
    });

    test('can be closed from the first month on that has both an agreement and a site', async () => {
      const { store } = use();
      const vendor = await vendorOf(store);
      const seller = await addOrganisation(store, 'distributor', vendor);
      const buyer = await addOrganisation(store, 'msp', seller);
      const first = () => store.billing.firstBillableMonth(scopeOf(seller));
      expect(await first()).toBeUndefined();
      await addAgreement(store, seller, buyer, { validFrom: '2026-03' });
      expect(await first()).toBeUndefined();
      const account = await addAccount(store, buyer);
      await addSite(store, account);
      expect(await first()).toBeUndefined();
      await addSite(store, account, { enrolledAt: '2026-05-05T00:00:00.000Z' });
      expect(await first()).toBe('2026-05');
      await addSite(store, account, { enrolledAt: '2026-01-05T00:00:00.000Z' });
      expect(await first()).toBe('2026-03');
      await addAgreement(store, seller, await addOrganisation(store, 'msp', seller), { validFrom: '2025-12' });
      expect(await first()).toBe('2026-01');
      expect(await store.billing.firstBillableMonth(scopeOf(buyer))).toBeUndefined();
    });

    test('are listed by filter and page', async () => {
      const { store, seller, buyer } = await edge();
      for (let month = 2; month <= 9; month++)
        await addAgreement(store, seller, buyer, { validFrom: `2026-0${month}` });
      const seen = await walk((page) => store.billing.agreements(scopeOf(seller), { buyerId: buyer.id }, page), 4);
      expect(new Set(seen.map(({ validFrom }) => validFrom)).size).toBe(9);
      expect((await store.billing.agreements(scopeOf(buyer), { sellerId: buyer.id }, all)).rows).toEqual([]);
    });
  });

  describe('documents', () => {
    test('are drafted, replaced and finalised under one identifier', async () => {
      const { store, seller, buyer, ...rest } = await edge();
      const the = { seller, buyer, ...rest };
      const draft = closePlan(the, { site_a: 2, site_b: 1 }, { series: null });
      const { invoice } = must(await store.billing.applyClose(draft));
      expect(invoice).toEqual({ ...draft.document, state: 'draft', number: null });
      expect(await store.billing.billed(seller.id, buyer.id, '2026-01')).toEqual({
        invoice: undefined,
        draftId: invoice.id,
        figures: [],
        documents: 0,
      });

      const again = closePlan(the, { site_a: 3 }, { series: null, draftId: invoice.id });
      again.document.id = invoice.id;
      must(await store.billing.applyClose(again));
      expect((await store.billing.lines(invoice.id, all)).rows).toEqual(again.lines);

      const final = closePlan(the, { site_a: 3, site_b: 4 }, { draftId: invoice.id });
      final.document.id = invoice.id;
      const done = must(await store.billing.applyClose(final)).invoice;
      expect(done).toEqual({ ...final.document, state: 'finalised', number: 'INV-2026-000001', finalisedAt: closedAt });
      expect(await store.billing.invoice(scopeOf(seller), done.id)).toEqual(done);
      expect(await store.billing.line(done.id, 2)).toEqual(final.lines[1]);
      expect(await store.billing.line(done.id, 3)).toBeUndefined();
      expect(await store.billing.billed(seller.id, buyer.id, '2026-01')).toMatchObject({
        invoice: done,
        draftId: undefined,
        documents: 1,
      });
    });

    test('keep their parties as they were, whatever becomes of the organisations', async () => {
      const the = await edge();
      const { store, seller } = the;
      const { invoice } = must(await store.billing.applyClose(closePlan(the, { site_a: 1 })));
      await use().execute(
        `UPDATE organisations SET name = 'Renamed', address_lines = '["Elsewhere 9"]', country = 'FR', tax_id = 'FR1' WHERE id = '${seller.id}'`,
      );
      const held = await store.billing.invoice(scopeOf(seller), invoice.id);
      expect(held).toEqual(invoice);
      expect(held).toMatchObject({
        sellerName: seller.name,
        seller: { addressLines: ['Straße 1', '8001 Zürich 🦊'], country: 'CH', taxId: 'CHE-123' },
        buyer: { addressLines: [], country: 'DE', taxId: null },
      });
    });

    test('add up to what was billed: the invoice and all its notes', async () => {
      const the = await edge();
      const { store, seller, buyer } = the;
      const { invoice } = must(await store.billing.applyClose(closePlan(the, { site_a: 5, site_b: 2 })));
      const credit = must(await store.billing.applyClose(notePlan(the, invoice, { site_a: -2 }, 1))).invoice;
      const debit = must(await store.billing.applyClose(notePlan(the, invoice, { site_c: 1 }, 2))).invoice;
      expect([credit.number, debit.number]).toEqual(['CRN-2026-000001', 'DBN-2026-000001']);
      expect(credit).toMatchObject({ kind: 'credit-note', refersToId: invoice.id, refersToNumber: invoice.number });
      const billed = await store.billing.billed(seller.id, buyer.id, '2026-01');
      expect(billed).toMatchObject({ invoice, draftId: undefined, documents: 3 });
      const names = {
        mspId: 'org_of-the-line',
        mspName: 'MSP 🦊',
        accountId: 'acc_of-the-line',
        accountName: 'account',
      };
      // Named as on the last document that speaks of them.
      expect(billed.figures).toEqual(
        [
          { siteId: 'site_a', siteName: 'site 1', quantity: 3, netMinor: 1500, basis: 'report', revision: 2 },
          { siteId: 'site_b', siteName: 'site 2', quantity: 2, netMinor: 1000, basis: 'report', revision: 1 },
          { siteId: 'site_c', siteName: 'site 1', quantity: 1, netMinor: 500, basis: 'report', revision: 2 },
        ].map((figure) => ({ ...names, kind: 'server', countedUpTo: null, ...figure })),
      );
      expect(await store.billing.billed(seller.id, buyer.id, '2026-02')).toEqual({
        invoice: undefined,
        draftId: undefined,
        figures: [],
        documents: 0,
      });
    });

    test('tell what was billed before a note, site by site and kind by kind', async () => {
      const the = await edge();
      const { store } = the;
      const billedBefore = (...of: Parameters<typeof store.billing.billedBefore>) => store.billing.billedBefore(...of);
      const first = must(await store.billing.applyClose(closePlan(the, { site_a: 5, site_b: 2 }))).invoice;
      const credit = must(await store.billing.applyClose(notePlan(the, first, { site_a: -2 }, 1))).invoice;
      const debit = must(await store.billing.applyClose(notePlan(the, first, { site_a: 4, site_c: 1 }, 2))).invoice;
      must(await store.billing.applyClose(closePlan(the, { site_a: 9 }, { month: '2026-02' })));
      expect(await billedBefore(first.id, 'site_a', 'server')).toBeUndefined();
      expect(await billedBefore(credit.id, 'site_a', 'server')).toMatchObject({
        quantity: 5,
        netMinor: 2500,
        revision: 1,
      });
      expect(await billedBefore(debit.id, 'site_a', 'server')).toMatchObject({
        quantity: 3,
        netMinor: 1500,
        revision: 2,
      });
      expect(await billedBefore(debit.id, 'site_b', 'server')).toMatchObject({ quantity: 2, netMinor: 1000 });
      expect(await billedBefore(debit.id, 'site_c', 'server')).toBeUndefined();
      expect(await billedBefore(debit.id, 'site_a', 'workstation')).toBeUndefined();
    });

    test.each(['estimate', 'withdrawn'] as const)('keep what a line of the basis %s rests on', async (basis) => {
      const the = await edge();
      const plan = closePlan(the, { site_a: 3 });
      const lines = plan.lines.map((line) => ({
        ...line,
        basis,
        revision: null,
        countedUpTo: basis === 'estimate' ? 4711 : null,
      }));
      const { invoice } = must(await the.store.billing.applyClose({ ...plan, lines }));
      expect(await the.store.billing.line(invoice.id, 1)).toEqual(lines[0]);
      const { figures } = await the.store.billing.billed(the.seller.id, the.buyer.id, '2026-01');
      expect(figures).toMatchObject([{ basis, countedUpTo: lines[0]?.countedUpTo }]);
    });

    test('are numbered without a gap, by seller, series and the year that the plan says', async () => {
      const the = await edge();
      const { store } = the;
      const other = await edge();
      const numbers = [];
      for (const [month, at] of [
        ['2026-01', '2026-02-01T00:00:00.000Z'],
        ['2026-12', '2026-12-31T23:59:59.999Z'],
        ['2027-01', '2027-01-01T00:00:00.000Z'],
        ['2027-02', '2027-03-01T00:00:00.000Z'],
      ] as const)
        numbers.push(must(await store.billing.applyClose(closePlan(the, { site_a: 1 }, { month, at }))).invoice.number);
      expect(numbers).toEqual(['INV-2026-000001', 'INV-2026-000002', 'INV-2027-000001', 'INV-2027-000002']);
      // The first of January where the document is dated, still the old year by UTC.
      const dated = { month: '2027-03', at: '2027-12-31T23:30:00.000Z', series: { name: 'INV', year: 2028 } } as const;
      const early = must(await store.billing.applyClose(closePlan(the, { site_a: 1 }, dated)));
      expect(early.invoice.number).toBe('INV-2028-000001');
      expect(must(await store.billing.applyClose(closePlan(other, { site_a: 1 }))).invoice.number).toBe(
        'INV-2026-000001',
      );
    });

    test('get 50 numbers without a gap when 50 buyers are closed at once', async () => {
      const { store, seller } = await edge();
      const plans = [];
      for (let i = 0; i < 50; i++) {
        const buyer = await addOrganisation(store, 'msp', seller);
        plans.push(closePlan({ seller, buyer, agreement: await addAgreement(store, seller, buyer) }, { site_a: i }));
      }
      const invoices = (await Promise.all(plans.map((plan) => store.billing.applyClose(plan)))).map(
        (outcome) => must(outcome).invoice,
      );
      expect(invoices.map(({ number }) => number ?? 'none').toSorted()).toEqual(
        Array.from({ length: 50 }, (_, i) => `INV-2026-${String(i + 1).padStart(6, '0')}`),
      );
      const seen = await walk((page) => store.billing.invoices(scopeOf(seller), { month: '2026-01' }, page), 7);
      expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(invoices.map(({ id }) => id)));
      expect(seen.length).toBe(50);
    });

    test('are written once when 50 close the same month at once', async () => {
      const the = await edge();
      const { store, seller, buyer } = the;
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () => store.billing.applyClose(closePlan(the, { site_a: 1 }))),
      );
      expect(outcomes.filter(({ ok }) => ok).length).toBe(1);
      expect(outcomes.filter((outcome) => !outcome.ok && outcome.code === 'CONFLICT').length).toBe(49);
      const billed = await store.billing.billed(seller.id, buyer.id, '2026-01');
      expect(billed).toMatchObject({ documents: 1, figures: [{ siteId: 'site_a', quantity: 1 }] });
      const next = must(await store.billing.applyClose(closePlan(the, { site_a: 1 }, { month: '2026-02' })));
      expect(next.invoice.number).toBe('INV-2026-000002');
    });

    test('are drafted once when 50 draft the same month at once', async () => {
      const the = await edge();
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () => the.store.billing.applyClose(closePlan(the, { site_a: 1 }, { series: null }))),
      );
      expect(outcomes.filter(({ ok }) => ok).length).toBe(1);
    });

    test.each([
      ['a document came meanwhile', { documentsBefore: 1 }],
      ['its draft is not there', { draftId: 'inv_00000000000000000000' }],
    ])('are not written when %s, and no number is lost', async (_, changes) => {
      const the = await edge();
      const { store, seller, buyer } = the;
      const plan = closePlan(the, { site_a: 1 }, changes);
      expect(await store.billing.applyClose(plan)).toMatchObject(conflict);
      expect(await store.billing.billed(seller.id, buyer.id, '2026-01')).toEqual({
        invoice: undefined,
        draftId: undefined,
        figures: [],
        documents: 0,
      });
      expect((await store.billing.lines(plan.document.id, all)).rows).toEqual([]);
      expect(must(await store.billing.applyClose(closePlan(the, { site_a: 1 }))).invoice.number).toBe(
        'INV-2026-000001',
      );
    });

    test('leave nothing of a write that fails in its middle', async () => {
      const the = await edge();
      const { store, seller, buyer } = the;
      const draft = must(await store.billing.applyClose(closePlan(the, { site_a: 9 }, { series: null }))).invoice;
      const plan = closePlan(the, { site_a: 1, site_b: 1 }, { draftId: draft.id });
      const broken = {
        ...plan,
        lines: plan.lines.map((line) => (line.number === 2 ? { ...line, basis: 'guess' as 'report' } : line)),
      };
      await expect(store.billing.applyClose(broken)).rejects.toMatchObject({ code: 'STORE_FAILED' });
      expect(await store.billing.billed(seller.id, buyer.id, '2026-01')).toMatchObject({
        draftId: draft.id,
        documents: 0,
      });
      expect((await store.billing.lines(draft.id, all)).rows.map(({ quantity }) => quantity)).toEqual([9]);
      expect(must(await store.billing.applyClose(plan)).invoice.number).toBe('INV-2026-000001');
    });

    test('refuse a plan that contradicts itself', async () => {
      const the = await edge();
      const plan = closePlan(the, { site_a: 1 });
      await expect(
        the.store.billing.applyClose({ ...plan, series: { name: 'CRN', year: 2026 } }),
      ).rejects.toMatchObject({
        code: 'CLOSE_PLAN_WRONG',
      });
      await expect(the.store.billing.applyClose({ ...plan, month: '2026-02' })).rejects.toMatchObject({
        code: 'CLOSE_PLAN_WRONG',
      });
      await expect(
        the.store.billing.applyClose({ ...plan, lines: plan.lines.map((line) => ({ ...line, number: 2 })) }),
      ).rejects.toMatchObject({ code: 'CLOSE_PLAN_WRONG' });
    });

    test('hold 20,000 lines, read in pages', async () => {
      const the = await edge();
      const quantities = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`site_${i}`, i]));
      const { invoice } = must(await the.store.billing.applyClose(closePlan(the, quantities)));
      const seen = await walk((page) => the.store.billing.lines(invoice.id, page), 500);
      expect(seen.map(({ number }) => number)).toEqual(Array.from({ length: 20_000 }, (_, i) => i + 1));
      expect(seen.reduce((sum, { netMinor }) => sum + netMinor, 0)).toBe(invoice.netMinor);
    });

    test('are seen by seller and buyer alone, a draft by its seller', async () => {
      const the = await edge();
      const { store, seller, buyer, vendorScope } = the;
      const draft = must(await store.billing.applyClose(closePlan(the, { site_a: 1 }, { series: null }))).invoice;
      const final = must(await store.billing.applyClose(closePlan(the, { site_a: 1 }, { month: '2026-02' }))).invoice;
      const stranger = await addBranch(store);
      const sees = async (scope: typeof vendorScope) =>
        (await store.billing.invoices(scope, {}, all)).rows.map(({ id }) => id).toSorted();
      expect(await sees(scopeOf(seller))).toEqual([draft.id, final.id].toSorted());
      expect(await sees(scopeOf(buyer))).toEqual([final.id]);
      expect(await sees(stranger.scope)).toEqual([]);
      expect(await sees(vendorScope)).not.toContain(final.id);
      expect(await store.billing.invoice(scopeOf(buyer), draft.id)).toBeUndefined();
      expect(await store.billing.invoice(vendorScope, final.id)).toBeUndefined();
      expect(await store.billing.invoice(scopeOf(buyer), final.id)).toEqual(final);
      expect(
        (
          await store.billing.invoices(
            scopeOf(seller),
            { buyerId: buyer.id, sellerId: seller.id, month: '2026-02' },
            all,
          )
        ).rows,
      ).toEqual([final]);
    });

    test('never change once final, whoever asks the database', async () => {
      const the = await edge();
      const { store } = the;
      const { execute } = use();
      const final = must(await store.billing.applyClose(closePlan(the, { site_a: 1 }))).invoice;
      const draft = must(
        await store.billing.applyClose(closePlan(the, { site_a: 1 }, { month: '2026-02', series: null })),
      ).invoice;
      const ofFinal = `WHERE invoice_id = '${final.id}'`;
      const lineColumns =
        'msp_id, msp_name, account_id, account_name, site_id, site_name, month, kind, quantity, unit_price_minor, net_minor, basis, revision, counted_up_to';
      const refused = [
        `UPDATE invoices SET net_minor = 0 WHERE id = '${final.id}'`,
        `UPDATE invoices SET state = 'draft', number = NULL, position = NULL, finalised_at = NULL WHERE id = '${final.id}'`,
        `DELETE FROM invoices WHERE id = '${final.id}'`,
        `UPDATE invoice_lines SET quantity = 0 ${ofFinal}`,
        `DELETE FROM invoice_lines ${ofFinal}`,
        `UPDATE invoice_lines SET invoice_id = '${final.id}', number = 2 WHERE invoice_id = '${draft.id}'`,
        `INSERT INTO invoice_lines (invoice_id, number, ${lineColumns}) SELECT invoice_id, 2, ${lineColumns} FROM invoice_lines ${ofFinal}`,
      ];
      for (const text of refused) {
        const answer = await execute(text).then(
          () => 'done',
          (error: unknown) => String(error),
        );
        expect(`${text}: ${answer}`).toContain('IMMUTABLE');
      }
      expect(await store.billing.invoice(scopeOf(the.seller), final.id)).toEqual(final);
      expect((await store.billing.lines(final.id, all)).rows.length).toBe(1);
      await execute(`UPDATE invoices SET missing_reports = 1 WHERE id = '${draft.id}'`);
      expect((await store.billing.invoice(scopeOf(the.seller), draft.id))?.missingReports).toBe(1);
    });

    test('are listed newest first', async () => {
      const the = await edge();
      for (const month of ['2026-01', '2026-02', '2026-03']) {
        const plan = closePlan(the, { site_a: 1 }, { month, at: `${month}-28T00:00:00.000Z` });
        must(
          await the.store.billing.applyClose({
            ...plan,
            document: { ...plan.document, createdAt: `${month}-28T00:00:00.000Z` },
          }),
        );
      }
      const rows = await walk((page) => the.store.billing.invoices(scopeOf(the.buyer), {}, page), 2);
      expect(rows.map(({ month }) => month)).toEqual(['2026-03', '2026-02', '2026-01']);
      expect(rows.every(({ createdAt }) => createdAt > begin)).toBe(true);
    });
  });
}
