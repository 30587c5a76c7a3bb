/** What the files of an invoice are made from, and the words and amounts they share. The files themselves: `invoice-pdf.ts`, `invoice-csv.ts`. */
import type { Invoice, InvoiceKind, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { Organisation } from '@rollcall/shared/api/organisation.ts';
import { type Currency, minorUnitExponent } from '@rollcall/shared/domain/currency.ts';
import { formatMinor } from '@rollcall/shared/domain/money.ts';
import { dayOf } from '@rollcall/shared/domain/month.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';

/** An organisation as a document names it: by the name it had when the document was made. */
export type DocumentParty = Pick<Organisation, 'addressLines' | 'country' | 'taxId'>;

export type InvoiceDocument = {
  invoice: Invoice;
  seller: DocumentParty;
  buyer: DocumentParty;
  /** Zone of the agreement: the calendar in which the document is dated. */
  timeZone: TimeZone;
  /** The lines in order, in batches, so that a long invoice need not be in memory as a whole. */
  lines: AsyncIterable<readonly InvoiceLine[]>;
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
