/** What the files of an invoice are made from, and the words and amounts they share. The files themselves: `invoice-pdf.ts`, `invoice-csv.ts`. */
import type { Invoice, InvoiceKind } from '@rollcall/shared/api/invoice.ts';
import { type Currency, minorUnitExponent } from '@rollcall/shared/domain/currency.ts';
import { formatMinor } from '@rollcall/shared/domain/money.ts';
import { dayOf } from '@rollcall/shared/domain/month.ts';
import type { MissingReportPolicy } from '@rollcall/shared/domain/price-agreement.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import type { InvoiceBody } from './invoice-body.ts';

/** What a document is printed from. Everything in it stands once the document is finalised. */
export type InvoiceDocument = {
  invoice: Invoice;
  /** Of the agreement: the calendar in which the document is dated, and what it does about missing reports. */
  timeZone: TimeZone;
  missingReportPolicy: MissingReportPolicy;
  body: InvoiceBody;
};

/** The heading of the document. */
export const documentTitle: Record<InvoiceKind, string> = {
  invoice: 'Invoice',
  'credit-note': 'Credit note',
  'debit-note': 'Debit note',
};

/** The day the document bears: of finalising, or of making while it is a draft. */
export function documentDay(invoice: Invoice, timeZone: TimeZone): string {
  return dayOf(invoice.finalisedAt ?? invoice.createdAt, timeZone);
}

/** Name of a file of the document without its ending; safe on every file system. */
export function documentFileName({ kind, number, month }: Invoice): string {
  return number ?? `draft-${kind}-${month}`;
}

/** An amount as people read it, without the currency: "1,234.50". Exact for every amount. */
export function amountText(amountMinor: number, currency: Currency): string {
  const digits = minorUnitExponent(currency);
  const format = new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  // As text, which Intl reads exactly; the type only says that it is a numeral.
  return format.format(formatMinor(amountMinor, currency) as `${number}`).replace('-', '−');
}
