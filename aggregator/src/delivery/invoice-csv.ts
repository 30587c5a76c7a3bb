/** An invoice or note as CSV: one row a line, the document's own facts on each row so that files can be put together. */
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { formatMinor } from '@rollcall/shared/domain/money.ts';
import { type CsvCell, type CsvColumns, csvPieces } from './csv.ts';

/**
 * Amounts are exact decimals in the main unit of `currency`, with a point and no thousands mark; negative on a credit.
 * `tax_rate_percent` applies once to the document's net total, never to a line: `document_net`, `document_tax` and
 * `document_gross` are the whole document's, the same on each of its rows. `report_revision` is empty where a line rests on none.
 */
export const invoiceCsvColumns = [
  'document',
  'document_kind',
  'state',
  'refers_to',
  'seller',
  'buyer',
  'month',
  'finalised_at',
  'due_on',
  'line',
  'msp_id',
  'msp',
  'account_id',
  'account',
  'site_id',
  'site',
  'agent_kind',
  'quantity',
  'unit_price',
  'net',
  'currency',
  'tax_rate_percent',
  'basis',
  'report_revision',
  'document_net',
  'document_tax',
  'document_gross',
] as const satisfies CsvColumns;

/** The file in pieces, as the batches of lines come. */
export function invoiceCsv(invoice: Invoice, lines: AsyncIterable<readonly InvoiceLine[]>): AsyncGenerator<string> {
  const { currency } = invoice;
  const document: CsvCell[] = [
    invoice.number,
    invoice.kind,
    invoice.state,
    invoice.refersToNumber,
    invoice.sellerName,
    invoice.buyerName,
    invoice.month,
    invoice.finalisedAt,
    invoice.dueOn,
  ];
  const totals = [invoice.netMinor, invoice.taxMinor, invoice.grossMinor].map(
    (amountMinor): CsvCell => ({ decimal: formatMinor(amountMinor, currency) }),
  );
  return csvPieces(invoiceCsvColumns, lines, (line) => [
    ...document,
    line.number,
    line.mspId,
    line.mspName,
    line.accountId,
    line.accountName,
    line.siteId,
    line.siteName,
    line.kind,
    line.quantity,
    { decimal: formatMinor(line.unitPriceMinor, currency) },
    { decimal: formatMinor(line.netMinor, currency) },
    currency,
    { decimal: invoice.taxRatePercent },
    line.basis,
    line.revision,
    ...totals,
  ]);
}
