/**
 * Writes the plan of a close as one batch. The row of the edge and month in `closes` is its lock and its guard: of two
 * closes at once the second finds another count of documents and writes nothing. Numbers are taken in the same batch, so
 * that a number exists exactly when its document does.
 */
import type { Invoice } from '@rollcall/shared/api/invoice.ts';
import { type Outcome, refuse, RollcallError } from '@rollcall/shared/domain/problem.ts';
import { sql } from 'kysely';
import type { ClosePlan } from '../core/billing/close-plan.ts';
import type { BatchStep, Engine } from './engine.ts';
import type { InvoiceLineRow, InvoiceRow } from './schema.ts';

/** Digits of the counter in a document's number, more when they do not suffice. */
const numberDigits = 6;

export async function applyClose(engine: Engine, plan: ClosePlan): Promise<Outcome<{ invoice: Invoice }, 'CONFLICT'>> {
  const { db } = engine;
  const { document, draftId } = plan;
  assertConsistent(plan);
  const done = await engine.batch<'CONFLICT'>([
    ...lockEdge(engine, plan),
    ...(draftId === null ? [] : removeDraft(engine, plan, draftId)),
    // Every document is written as a draft; one that is final takes no lines any more.
    { run: db.insertInto('invoices').values(draftRow(document)), taken: 'CONFLICT' },
    { into: 'invoice_lines', values: plan.lines.map((line) => lineRow(document.id, line)) },
    ...(plan.series === null ? [] : finalise(engine, plan, plan.series)),
  ]);
  const conflict = refuse('CONFLICT', 'another close of this month came first; look again');
  if (!done.ok) return conflict;
  const written = await engine.first(
    db.selectFrom('invoices').select(['number', 'state', 'finalised_at']).where('id', '=', document.id),
  );
  // A draft may have been replaced by another close in this moment.
  if (written === undefined) return conflict;
  return {
    ok: true,
    invoice: { ...document, number: written.number, state: written.state, finalisedAt: written.finalised_at },
  };
}

const seriesOf = { invoice: 'INV', 'credit-note': 'CRN', 'debit-note': 'DBN' } as const;

function assertConsistent({ document, lines, sellerId, buyerId, month, series }: ClosePlan): void {
  const problems = [
    document.sellerId !== sellerId || document.buyerId !== buyerId || document.month !== month
      ? 'its document is of another edge or month'
      : null,
    series !== null && series.name !== seriesOf[document.kind]
      ? `a ${document.kind} is not numbered in the series ${series.name}`
      : null,
    lines.some((line, index) => line.number !== index + 1) ? 'its lines are not numbered from 1' : null,
  ].filter((problem) => problem !== null);
  if (problems.length > 0)
    throw new RollcallError('CLOSE_PLAN_WRONG', `the plan of a close cannot be: ${problems.join('; ')}`, {
      retryable: false,
    });
}

function lockEdge(
  { db }: Engine,
  { sellerId, buyerId, month, documentsBefore, series }: ClosePlan,
): BatchStep<'CONFLICT'>[] {
  const row = { seller_id: sellerId, buyer_id: buyerId, month, documents: 0 };
  return [
    {
      run: db
        .insertInto('closes')
        .values(row)
        .onConflict((conflict) => conflict.doNothing()),
    },
    {
      run: db
        .updateTable('closes')
        .set({ documents: documentsBefore + (series === null ? 0 : 1) })
        .where('seller_id', '=', sellerId)
        .where('buyer_id', '=', buyerId)
        .where('month', '=', month)
        .where('documents', '=', documentsBefore),
      rows: 1,
      otherwise: 'CONFLICT',
    },
  ];
}

function removeDraft(
  { db }: Engine,
  { sellerId, buyerId, month }: ClosePlan,
  draftId: string,
): BatchStep<'CONFLICT'>[] {
  const draft = db
    .selectFrom('invoices')
    .select('id')
    .where('id', '=', draftId)
    .where('state', '=', 'draft')
    .where('seller_id', '=', sellerId)
    .where('buyer_id', '=', buyerId)
    .where('month', '=', month);
  return [
    { run: db.deleteFrom('invoice_lines').where('invoice_id', 'in', draft) },
    { run: db.deleteFrom('invoices').where('id', 'in', draft), rows: 1, otherwise: 'CONFLICT' },
  ];
}

/** Takes the next number last, so that sellers with many buyers wait for each other as briefly as can be. */
function finalise(
  { db, dialect }: Engine,
  plan: ClosePlan,
  { name, year }: NonNullable<ClosePlan['series']>,
): BatchStep<'CONFLICT'>[] {
  const { sellerId, document, documentsBefore, at } = plan;
  const counter = db
    .selectFrom('number_series')
    .where('seller_id', '=', sellerId)
    .where('series', '=', name)
    .where('year', '=', year);
  const digits =
    dialect === 'sqlite'
      ? sql<string>`printf('%0${sql.raw(String(numberDigits))}d', last)`
      : sql<string>`lpad(last::text, greatest(${sql.lit(numberDigits)}, length(last::text)), '0')`;
  return [
    {
      run: db
        .insertInto('number_series')
        .values({ seller_id: sellerId, series: name, year, last: 1 })
        .onConflict((conflict) =>
          conflict
            .columns(['seller_id', 'series', 'year'])
            .doUpdateSet((eb) => ({ last: eb('number_series.last', '+', 1) })),
        ),
      rows: 1,
    },
    {
      run: db
        .updateTable('invoices')
        .set({
          state: 'finalised',
          position: documentsBefore + 1,
          finalised_at: document.finalisedAt ?? at,
          number: counter.select(sql<string>`${sql.lit(`${name}-${year}-`)} || ${digits}`.as('number')),
        })
        .where('id', '=', document.id),
      rows: 1,
    },
  ];
}

const draftRow = (document: Invoice): InvoiceRow => ({
  id: document.id,
  kind: document.kind,
  state: 'draft',
  number: null,
  position: null,
  seller_id: document.sellerId,
  buyer_id: document.buyerId,
  seller_name: document.sellerName,
  buyer_name: document.buyerName,
  seller_address_lines: JSON.stringify(document.seller.addressLines),
  seller_country: document.seller.country,
  seller_tax_id: document.seller.taxId,
  buyer_address_lines: JSON.stringify(document.buyer.addressLines),
  buyer_country: document.buyer.country,
  buyer_tax_id: document.buyer.taxId,
  agreement_id: document.agreementId,
  month: document.month,
  currency: document.currency,
  net_minor: document.netMinor,
  tax_rate_percent: document.taxRatePercent,
  tax_minor: document.taxMinor,
  gross_minor: document.grossMinor,
  refers_to_id: document.refersToId,
  refers_to_number: document.refersToNumber,
  created_at: document.createdAt,
  finalised_at: null,
  due_on: document.dueOn,
  missing_reports: document.missingReports,
  missing_unbilled: document.missingUnbilled,
});

const lineRow = (invoiceId: string, line: ClosePlan['lines'][number]): InvoiceLineRow => ({
  invoice_id: invoiceId,
  number: line.number,
  msp_id: line.mspId,
  msp_name: line.mspName,
  account_id: line.accountId,
  account_name: line.accountName,
  site_id: line.siteId,
  site_name: line.siteName,
  month: line.month,
  kind: line.kind,
  quantity: line.quantity,
  unit_price_minor: line.unitPriceMinor,
  net_minor: line.netMinor,
  basis: line.basis,
  revision: line.revision,
  counted_up_to: line.countedUpTo,
});
