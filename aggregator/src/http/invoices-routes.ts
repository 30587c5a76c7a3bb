/** Invoices and notes over HTTP: seen by their seller and their buyer, with the evidence of every line, as PDF and as CSV. */
import { Invoice, InvoiceLine, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { InvoiceId, OrganisationId } from '@rollcall/shared/domain/id.ts';
import { Month } from '@rollcall/shared/domain/month.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { invoiceBody } from '../delivery/invoice-body.ts';
import { invoiceCsv } from '../delivery/invoice-csv.ts';
import { documentFileName, type InvoiceDocument } from '../delivery/invoice-document.ts';
import { retryAfterSeconds } from '../delivery/pdf-press.ts';
import type { RouteDeps } from './context.ts';
import { readEvidence } from './line-evidence.ts';
import type { Api } from './operation.ts';
import { pagesOf, streamOf } from './whole-list.ts';

const tag = 'invoices';
const InvoiceParams = z.object({ invoiceId: InvoiceId });
const LineParams = InvoiceParams.extend({
  number: z
    .string()
    .regex(/^[1-9]\d{0,8}$/)
    .transform(Number),
});
const noSuchInvoice = refuse('NOT_FOUND', 'there is no invoice with this identifier');

export function invoiceRoutes(api: Api, { store, press }: Pick<RouteDeps, 'store' | 'press'>): void {
  const linesOf = (invoice: Invoice): AsyncGenerator<InvoiceLine[]> =>
    pagesOf((page) => store.billing.lines(invoice.id, page));

  api.json(
    {
      method: 'get',
      path: '/api/v1/invoices',
      action: 'invoice.read',
      tag,
      summary: 'Lists the invoices and notes in which the own organisation sells or buys',
      query: PageQuery.extend({
        month: Month.optional(),
        sellerId: OrganisationId.optional(),
        buyerId: OrganisationId.optional(),
      }),
      answer: pageOf(Invoice),
    },
    async ({ caller, query: { month, sellerId, buyerId, ...page } }) => ({
      ok: true,
      answer: await store.billing.invoices(caller.scope, { month, sellerId, buyerId }, page),
    }),
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/invoices/{invoiceId}',
      action: 'invoice.read',
      tag,
      summary: 'Shows an invoice or note',
      params: InvoiceParams,
      answer: Invoice,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params }) => {
      const invoice = await store.billing.invoice(caller.scope, params.invoiceId);
      return invoice === undefined ? noSuchInvoice : { ok: true, answer: invoice };
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/invoices/{invoiceId}/lines',
      action: 'invoice.read',
      tag,
      summary: 'Lists the lines of an invoice or note',
      params: InvoiceParams,
      query: PageQuery,
      answer: pageOf(InvoiceLine),
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, query }) => {
      const invoice = await store.billing.invoice(caller.scope, params.invoiceId);
      return invoice === undefined ? noSuchInvoice : { ok: true, answer: await store.billing.lines(invoice.id, query) };
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/invoices/{invoiceId}/lines/{number}/evidence',
      action: 'invoice.read',
      tag,
      summary: 'Shows why a line says what it says: the endpoints and instants of the peak, and what was billed before',
      params: LineParams,
      answer: LineEvidence,
      refusals: ['NOT_FOUND', 'EVIDENCE_TOO_LARGE'],
    },
    async ({ caller, params }) => {
      const invoice = await store.billing.invoice(caller.scope, params.invoiceId);
      if (invoice === undefined) return noSuchInvoice;
      const line = await store.billing.line(invoice.id, params.number);
      if (line === undefined) return refuse('NOT_FOUND', 'the invoice has no line of this number');
      const read = await readEvidence(store, caller.scope, invoice, line);
      return read.ok ? { ok: true, answer: read.evidence } : read;
    },
  );

  api.file(
    {
      method: 'get',
      path: '/api/v1/invoices/{invoiceId}/csv',
      action: 'invoice.read',
      tag,
      summary: 'The lines of an invoice or note as CSV',
      params: InvoiceParams,
      files: ['text/csv; charset=utf-8'],
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params }) => {
      const invoice = await store.billing.invoice(caller.scope, params.invoiceId);
      if (invoice === undefined) return noSuchInvoice;
      const content = streamOf(invoiceCsv(invoice, linesOf(invoice)));
      return {
        ok: true,
        file: { mediaType: 'text/csv; charset=utf-8', name: `${documentFileName(invoice)}.csv`, content },
      };
    },
  );

  api.file(
    {
      method: 'get',
      path: '/api/v1/invoices/{invoiceId}/pdf',
      action: 'invoice.read',
      tag,
      summary: 'An invoice or note as PDF',
      params: InvoiceParams,
      files: ['application/pdf'],
      refusals: ['NOT_FOUND', 'PRINTING_BUSY'],
    },
    async ({ caller, params }) => {
      const invoice = await store.billing.invoice(caller.scope, params.invoiceId);
      if (invoice === undefined) return noSuchInvoice;
      const printed = await press.print(invoice, () => documentOf(caller.scope, invoice));
      if (!printed.ok) return { ...printed, retryAfterSeconds };
      return {
        ok: true,
        file: { mediaType: 'application/pdf', name: `${documentFileName(invoice)}.pdf`, content: printed.bytes },
      };
    },
  );

  async function documentOf(scope: Scope, invoice: Invoice): Promise<InvoiceDocument> {
    const agreement = await store.billing.agreement(scope, invoice.agreementId);
    if (agreement === undefined) throw new RangeError(`invoice ${invoice.id} names an agreement that is gone`);
    const { timeZone, missingReportPolicy } = agreement;
    return { invoice, timeZone, missingReportPolicy, body: await invoiceBody(linesOf(invoice)) };
  }
}
