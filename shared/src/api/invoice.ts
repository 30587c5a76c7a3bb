/** Invoices, credit and debit notes over HTTP. All amounts in minor units of `currency`. */
import { z } from 'zod';
import { AgentKind } from '../domain/agent-kind.ts';
import { AccountId, AgreementId, InvoiceId, OrganisationId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Currency } from '../domain/currency.ts';
import { Decimal } from '../domain/money.ts';
import { Month } from '../domain/month.ts';
import { MissingReportPolicy } from '../domain/price-agreement.ts';
import { Organisation } from './organisation.ts';

export const InvoiceKind = z.enum(['invoice', 'credit-note', 'debit-note']);
export type InvoiceKind = z.infer<typeof InvoiceKind>;

/**
 * Where a line's quantity came from: the site's signed report, or the aggregator's own count until it arrives. `withdrawn`:
 * the site does not belong to the month any more, and what was billed for it is taken back.
 */
export const LineBasis = z.enum(['report', 'estimate', 'withdrawn']);
export type LineBasis = z.infer<typeof LineBasis>;

/**
 * One line: a site and a kind. On a note `quantity` is the change against what was billed (negative on credit), and
 * `basis` says what the new figure rests on.
 */
export const InvoiceLine = z.object({
  /** Counted from 1 within the document. */
  number: z.int().positive(),
  mspId: OrganisationId,
  mspName: z.string(),
  accountId: AccountId,
  accountName: z.string(),
  siteId: SiteId,
  siteName: z.string(),
  month: Month,
  kind: AgentKind,
  quantity: z.int(),
  unitPriceMinor: z.int().nonnegative(),
  netMinor: z.int(),
  basis: LineBasis,
  /** Revision of the report the figure rests on; null where it rests on none. */
  revision: z.int().positive().nullable(),
  /** For an estimate, the entry of the site's ledger up to which it was counted; null for other figures. */
  countedUpTo: z.int().nonnegative().nullable(),
});
export type InvoiceLine = z.infer<typeof InvoiceLine>;

/** A party as a document prints it beside its name. */
export const PartyDetails = Organisation.pick({ addressLines: true, country: true, taxId: true });
export type PartyDetails = z.infer<typeof PartyDetails>;

export const Invoice = z.object({
  id: InvoiceId,
  kind: InvoiceKind,
  state: z.enum(['draft', 'finalised']),
  /** Gapless per seller and series; null while a draft. */
  number: z.string().nullable(),
  sellerId: OrganisationId,
  buyerId: OrganisationId,
  /** Names and details as they stood when the document was made; a finalised one keeps them, whatever becomes of the parties. */
  sellerName: z.string(),
  buyerName: z.string(),
  seller: PartyDetails,
  buyer: PartyDetails,
  agreementId: AgreementId,
  month: Month,
  currency: Currency,
  netMinor: z.int(),
  taxRatePercent: Decimal,
  taxMinor: z.int(),
  grossMinor: z.int(),
  /** The invoice a note corrects. */
  refersToId: InvoiceId.nullable(),
  refersToNumber: z.string().nullable(),
  createdAt: Instant,
  finalisedAt: Instant.nullable(),
  /** Calendar day, in the agreement's zone. */
  dueOn: z.string().nullable(),
  /** Sites whose report was missing when the document was made: billed by estimate, waited for, or left out. */
  missingReports: z.int().nonnegative(),
  /** Those of them for which nothing was billed by then, on this document or before it. */
  missingUnbilled: z.int().nonnegative(),
});
export type Invoice = z.infer<typeof Invoice>;

export const InvoiceDetail = Invoice.extend({ lines: z.array(InvoiceLine) });
export type InvoiceDetail = z.infer<typeof InvoiceDetail>;

/** Who stood deployed, ascending by identifier, and since when. */
const StandingEndpoint = z.object({
  endpointId: z.string(),
  hostName: z.string(),
  machineId: z.string(),
  deployedAt: Instant,
  removedAt: Instant.nullable(),
  /** Number of the ledger entry that deployed it. */
  deployedSeq: z.int().positive(),
});

const Peak = z.int().nonnegative();

/**
 * Why a line says what it says. `peak` is the figure that the line bills up to; on a note, the line's quantity is what it
 * changes from `before`.
 */
export const LineEvidence = z.object({
  line: InvoiceLine,
  period: z.object({ start: Instant, end: Instant }),
  /** Instant of the peak; null when it is zero. */
  peakAt: Instant.nullable(),
  peak: Peak,
  endpoints: z.array(StandingEndpoint),
  /** Where the report's witness and the ledger held here do not name the same endpoints; null where they agree or no report is billed. */
  difference: z.object({ onlyReported: z.array(z.string()), onlyHeld: z.array(z.string()) }).nullable(),
  /** The aggregator's own count of the whole month, as far as the ledger is held now; nothing is excluded from it. */
  counted: z.object({ peak: Peak, at: Instant.nullable() }),
  /** The signed entry the figure rests on. For a figure that rests on none: the latest that came, or null while none did. */
  report: z
    .object({
      seq: z.int().positive(),
      hash: z.string(),
      revision: z.int().positive(),
      signature: z.string(),
      publicKey: z.string(),
      peak: Peak,
      at: Instant.nullable(),
      /** Whether a recount of the ledger held here came to the same report. */
      agreeing: z.boolean(),
      /** Endpoints that a correction took out of the month, and why. */
      exclusions: z.array(z.object({ endpointId: z.string(), reason: z.string() })),
    })
    .nullable(),
  /** What was billed before this note; null on an invoice, and where the note is the first to bill the site. */
  before: InvoiceLine.pick({ quantity: true, basis: true, revision: true, countedUpTo: true })
    .extend({ endpoints: z.array(StandingEndpoint) })
    .nullable(),
});
export type LineEvidence = z.infer<typeof LineEvidence>;

/** POST closes: closes a month for the agreements in which the caller sells. */
export const CloseRequest = z.object({
  month: Month,
  /** Finalise without the sites whose report is missing, also where the agreement says `hold`; a debit note bills them later. */
  withoutMissing: z.boolean().default(false),
});
export type CloseRequest = z.infer<typeof CloseRequest>;

/** Most sites that a close names as missing on one edge; `missingCount` tells all. */
export const missingSitesMax = 500;

const ClosedEdge = z.object({
  agreementId: AgreementId,
  buyerId: OrganisationId,
  buyerName: z.string(),
  /**
   * `held`: a draft waits for missing reports. `unchanged`: what was billed still stands. `not-over`: the month still runs
   * at a site of this buyer; nothing was done. `failed`: this edge could not be closed and is as it was; the others were.
   */
  outcome: z.enum(['finalised', 'held', 'unchanged', 'credited', 'debited', 'nothing-to-bill', 'not-over', 'failed']),
  /** Why the outcome is `failed`; null otherwise. `code` is stable. */
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  missingReportPolicy: MissingReportPolicy,
  /** The document that was made, or the invoice that still stands. */
  invoiceId: InvoiceId.nullable(),
  number: z.string().nullable(),
  missingCount: z.int().nonnegative(),
  missingSites: z.array(z.object({ siteId: SiteId, siteName: z.string() })).max(missingSitesMax),
  /** Sites whose report is not what was counted here; the report is billed all the same. */
  differingCount: z.int().nonnegative(),
});

export const CloseResult = z.object({ month: Month, edges: z.array(ClosedEdge) });
export type CloseResult = z.infer<typeof CloseResult>;

/** What closing would do now: the same outcomes, and the net amount of the document it would make, in minor units. */
const PreviewedEdge = ClosedEdge.extend({ currency: Currency, netMinor: z.int().nullable() });

export const ClosePreview = z.object({ month: Month, edges: z.array(PreviewedEdge) });
export type ClosePreview = z.infer<typeof ClosePreview>;

/** A month of a buyer that waits for its seller: not closed yet, or with figures that are no longer what was billed. */
export const DueClose = PreviewedEdge.extend({ month: Month });
export type DueClose = z.infer<typeof DueClose>;
