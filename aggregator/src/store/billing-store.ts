/** Agreements, what is billable, and the documents. Writing a close is close-writer.ts. */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import type { BilledFigure } from '../core/billing/close-plan.ts';
import { addBilled } from '../core/billing/lines.ts';
import type { Scope } from '../core/scope.ts';
import { applyClose } from './close-writer.ts';
import { decodeCursor, pageOfRows } from './cursor.ts';
import type { Engine } from './engine.ts';
import type { AgreementRow, InvoiceLineRow, InvoiceRow } from './schema.ts';
import { countsOf, reportedOf, siteMonths, sitesBelow } from './site-months.ts';
import type { BillingStore } from './store.ts';
import { addressLinesOf, organisationRecord } from './tenancy-store.ts';
import { TimeCursor } from './token-store.ts';

const LineCursor = z.tuple([z.int().positive()]);

export function billingStore(engine: Engine): BillingStore {
  const { db } = engine;

  const agreements = (scope: Scope) =>
    db
      .selectFrom('agreements')
      .selectAll()
      .where((eb) => eb.or([eb('seller_id', '=', scope.organisationId), eb('buyer_id', '=', scope.organisationId)]));

  /** A draft is its seller's affair; the buyer gets the document when it stands. */
  const invoices = (scope: Scope) =>
    db
      .selectFrom('invoices')
      .selectAll()
      .where((eb) =>
        eb.or([
          eb('seller_id', '=', scope.organisationId),
          eb.and([eb('buyer_id', '=', scope.organisationId), eb('state', '=', 'finalised')]),
        ]),
      );

  const organisationsById = async (ids: readonly string[]) => {
    if (ids.length === 0) return new Map<string, ReturnType<typeof organisationRecord>>();
    const rows = await engine.all(db.selectFrom('organisations').selectAll().where('id', 'in', ids));
    return new Map(rows.map((row) => [row.id, organisationRecord(row)]));
  };

  return {
    async createAgreement(agreement) {
      const done = await engine.batch([
        { run: db.insertInto('agreements').values(agreementRow(agreement)), taken: 'AGREEMENT_EXISTS' as const },
      ]);
      return done.ok
        ? { ok: true }
        : refuse('AGREEMENT_EXISTS', 'seller and buyer have an agreement from this month on already');
    },

    async agreement(scope, id) {
      const row = await engine.first(agreements(scope).where('id', '=', id));
      return row && agreementOf(row);
    },

    async agreements(scope, filter, page) {
      let query = agreements(scope);
      if (filter.sellerId !== undefined) query = query.where('seller_id', '=', filter.sellerId);
      if (filter.buyerId !== undefined) query = query.where('buyer_id', '=', filter.buyerId);
      if (page.cursor !== undefined) {
        const [at, id] = decodeCursor(TimeCursor, page.cursor);
        query = query.where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(at, id)));
      }
      const rows = await engine.all(
        query
          .orderBy('created_at', 'desc')
          .orderBy('id', 'desc')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, agreementOf, (row) => [row.created_at, row.id]);
    },

    async agreementsInForce(sellerId, month) {
      let query = db
        .selectFrom('agreements')
        .selectAll()
        .where((eb) =>
          eb(
            'valid_from',
            '=',
            eb
              .selectFrom('agreements as other')
              .select((inner) => inner.fn.max('other.valid_from').as('valid_from'))
              .whereRef('other.seller_id', '=', 'agreements.seller_id')
              .whereRef('other.buyer_id', '=', 'agreements.buyer_id')
              .where('other.valid_from', '<=', month),
          ),
        );
      if (sellerId !== null) query = query.where('seller_id', '=', sellerId);
      const rows = await engine.all(query.orderBy('seller_id').orderBy('buyer_id'));
      const organisations = await organisationsById([...new Set(rows.flatMap((row) => [row.seller_id, row.buyer_id]))]);
      return rows.flatMap((row) => {
        const [seller, buyer] = [organisations.get(row.seller_id), organisations.get(row.buyer_id)];
        return seller === undefined || buyer === undefined ? [] : [{ agreement: agreementOf(row), seller, buyer }];
      });
    },

    async firstBillableMonth(seller) {
      const agreed = await engine.first(
        db
          .selectFrom('agreements')
          .select((eb) => eb.fn.min('valid_from').as('month'))
          .where('seller_id', '=', seller.organisationId),
      );
      const lived = await engine.first(
        sitesBelow(db, seller.path, {}).select((eb) => eb.fn.min('sites.first_month').as('month')),
      );
      if (!agreed?.month || !lived?.month) return undefined;
      return agreed.month > lived.month ? agreed.month : lived.month;
    },

    async billableSites(buyerPath, month) {
      const rows = await engine.all(siteMonths(db, buyerPath, {}, month));
      return rows.map((row) => ({
        siteId: row.site_id,
        siteName: row.site_name,
        accountId: row.account_id,
        accountName: row.account_name,
        mspId: row.msp_id,
        mspName: row.msp_name,
        timeZone: row.time_zone,
        report: reportedOf(row),
        differing: row.agreeing === 0,
        counted: countsOf(row, month),
        countedUpTo: row.head_seq ?? 0,
      }));
    },

    async billed(sellerId, buyerId, month) {
      const ofEdge = db
        .selectFrom('invoices')
        .selectAll()
        .where('seller_id', '=', sellerId)
        .where('buyer_id', '=', buyerId)
        .where('month', '=', month);
      const documents = await engine.all(ofEdge.orderBy('position'));
      const finalised = documents.filter(({ state }) => state === 'finalised');
      const invoice = finalised.find(({ kind }) => kind === 'invoice');
      return {
        invoice: invoice && invoiceOf(invoice),
        draftId: documents.find(({ state }) => state === 'draft')?.id,
        figures: finalised.length === 0 ? [] : await figuresOf(finalised.map(({ id }) => id)),
        documents: finalised.length,
      };
    },

    applyClose: (plan) => applyClose(engine, plan),

    async invoices(scope, filter, page) {
      let query = invoices(scope);
      if (filter.month !== undefined) query = query.where('month', '=', filter.month);
      if (filter.sellerId !== undefined) query = query.where('seller_id', '=', filter.sellerId);
      if (filter.buyerId !== undefined) query = query.where('buyer_id', '=', filter.buyerId);
      if (page.cursor !== undefined) {
        const [at, id] = decodeCursor(TimeCursor, page.cursor);
        query = query.where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(at, id)));
      }
      const rows = await engine.all(
        query
          .orderBy('created_at', 'desc')
          .orderBy('id', 'desc')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, invoiceOf, (row) => [row.created_at, row.id]);
    },

    async invoice(scope, id) {
      const row = await engine.first(invoices(scope).where('id', '=', id));
      return row && invoiceOf(row);
    },

    async lines(invoiceId, page) {
      let query = db.selectFrom('invoice_lines').selectAll().where('invoice_id', '=', invoiceId);
      if (page.cursor !== undefined) query = query.where('number', '>', decodeCursor(LineCursor, page.cursor)[0]);
      const rows = await engine.all(query.orderBy('number').limit(page.limit + 1));
      return pageOfRows(rows, page.limit, lineOf, (row) => [row.number]);
    },

    async line(invoiceId, number) {
      const row = await engine.first(
        db.selectFrom('invoice_lines').selectAll().where('invoice_id', '=', invoiceId).where('number', '=', number),
      );
      return row && lineOf(row);
    },

    async billedBefore(invoiceId, siteId, kind) {
      const rows = await engine.all(
        db
          .selectFrom('invoices as note')
          .innerJoin('invoices as earlier', (join) =>
            join
              .onRef('earlier.seller_id', '=', 'note.seller_id')
              .onRef('earlier.buyer_id', '=', 'note.buyer_id')
              .onRef('earlier.month', '=', 'note.month')
              .onRef('earlier.position', '<', 'note.position'),
          )
          .innerJoin('invoice_lines', 'invoice_lines.invoice_id', 'earlier.id')
          .selectAll('invoice_lines')
          .where('note.id', '=', invoiceId)
          .where('invoice_lines.site_id', '=', siteId)
          .where('invoice_lines.kind', '=', kind)
          .orderBy('earlier.position'),
      );
      const figures = new Map<string, BilledFigure>();
      addBilled(figures, rows.map(lineOf));
      return figures.values().next().value;
    },
  };

  /** Adds up the lines of documents per site and kind, in their order: what the last one rests on is what stands. */
  async function figuresOf(documentIds: readonly string[]): Promise<BilledFigure[]> {
    const figures = new Map<string, BilledFigure>();
    for (const id of documentIds) {
      const rows = await engine.all(
        db.selectFrom('invoice_lines').selectAll().where('invoice_id', '=', id).orderBy('number'),
      );
      addBilled(figures, rows.map(lineOf));
    }
    return [...figures.values()];
  }
}

const agreementRow = (agreement: Agreement): AgreementRow => ({
  id: agreement.id,
  seller_id: agreement.sellerId,
  buyer_id: agreement.buyerId,
  programme: agreement.programme,
  currency: agreement.currency,
  server_unit_price_minor: agreement.serverUnitPriceMinor,
  workstation_unit_price_minor: agreement.workstationUnitPriceMinor,
  tax_rate_percent: agreement.taxRatePercent,
  payment_term_days: agreement.paymentTermDays,
  time_zone: agreement.timeZone,
  missing_report_policy: agreement.missingReportPolicy,
  valid_from: agreement.validFrom,
  created_at: agreement.createdAt,
});

const agreementOf = (row: AgreementRow): Agreement => ({
  id: row.id,
  sellerId: row.seller_id,
  buyerId: row.buyer_id,
  programme: row.programme,
  currency: row.currency,
  serverUnitPriceMinor: row.server_unit_price_minor,
  workstationUnitPriceMinor: row.workstation_unit_price_minor,
  taxRatePercent: row.tax_rate_percent,
  paymentTermDays: row.payment_term_days,
  timeZone: row.time_zone,
  missingReportPolicy: row.missing_report_policy,
  validFrom: row.valid_from,
  createdAt: row.created_at,
});

const invoiceOf = (row: InvoiceRow): Invoice => ({
  id: row.id,
  kind: row.kind,
  state: row.state,
  number: row.number,
  sellerId: row.seller_id,
  buyerId: row.buyer_id,
  sellerName: row.seller_name,
  buyerName: row.buyer_name,
  seller: {
    addressLines: addressLinesOf(row.seller_address_lines),
    country: row.seller_country,
    taxId: row.seller_tax_id,
  },
  buyer: { addressLines: addressLinesOf(row.buyer_address_lines), country: row.buyer_country, taxId: row.buyer_tax_id },
  agreementId: row.agreement_id,
  month: row.month,
  currency: row.currency,
  netMinor: row.net_minor,
  taxRatePercent: row.tax_rate_percent,
  taxMinor: row.tax_minor,
  grossMinor: row.gross_minor,
  refersToId: row.refers_to_id,
  refersToNumber: row.refers_to_number,
  createdAt: row.created_at,
  finalisedAt: row.finalised_at,
  dueOn: row.due_on,
  missingReports: row.missing_reports,
  missingUnbilled: row.missing_unbilled,
});

const lineOf = (row: InvoiceLineRow): InvoiceLine => ({
  number: row.number,
  mspId: row.msp_id,
  mspName: row.msp_name,
  accountId: row.account_id,
  accountName: row.account_name,
  siteId: row.site_id,
  siteName: row.site_name,
  month: row.month,
  kind: row.kind,
  quantity: row.quantity,
  unitPriceMinor: row.unit_price_minor,
  netMinor: row.net_minor,
  basis: row.basis,
  revision: row.revision,
  countedUpTo: row.counted_up_to,
});
