// What a downloaded document is called where the server does not say.
import type { Invoice } from '@rollcall/shared/api/invoice.ts';
import type { DocumentFormat } from '../api/resources.ts';

/** `INV-2026-000001.pdf`; a draft has no number yet: `draft 2026-10 Distributor.csv`. Nothing in it that a file system minds. */
export function documentFileName(
  { number, month, buyerName }: Pick<Invoice, 'number' | 'month' | 'buyerName'>,
  format: DocumentFormat,
): string {
  const name = (number ?? `draft ${month} ${buyerName}`).replaceAll(/[\\/:*?"<>|]+/g, '-');
  return `${name}.${format}`;
}
