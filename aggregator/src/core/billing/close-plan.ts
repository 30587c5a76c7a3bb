/** The facts a close is decided from and the plan it becomes; `close.ts` decides, the store applies. */
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';

/** One site's month as billing sees it. */
export type BillableSite = {
  siteId: string;
  siteName: string;
  accountId: string;
  accountName: string;
  mspId: string;
  mspName: string;
  timeZone: string;
  /** Latest revision of the report; null where none came. */
  report: { revision: number; server: number; workstation: number } | null;
  /** Whether that report is not what was counted here; false without one. */
  differing: boolean;
  /** The aggregator's own count; a month without entries carries the counts that stood before it. */
  counted: { server: number; workstation: number };
  /** The entry of the site's ledger up to which it was counted; 0 before the first. */
  countedUpTo: number;
};

/**
 * What was billed so far for a site and kind by the finalised invoice and its notes: quantity and net added up, all else as
 * the last line says.
 */
export type BilledFigure = Omit<InvoiceLine, 'number' | 'month' | 'unitPriceMinor'>;

export type ClosePlan = {
  sellerId: string;
  buyerId: string;
  month: Month;
  /** Finalised documents of this edge and month when the plan was made. */
  documentsBefore: number;
  /** The draft to replace or finalise, if there is one. */
  draftId: string | null;
  /** The document without its number; the store takes the next of `series` where that is given. */
  document: Invoice;
  lines: InvoiceLine[];
  /** Series and year the number is taken from on finalising; null leaves a draft. */
  series: { name: 'INV' | 'CRN' | 'DBN'; year: number } | null;
  at: Instant;
};
