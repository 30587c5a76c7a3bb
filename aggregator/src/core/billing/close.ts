/**
 * Decides what closing a month does on one edge of the tenant tree: a draft that waits, an invoice, a note, or nothing.
 * Figures and lines come from `lines.ts`, sums from `totals.ts`; `jobs/month-close.ts` gathers the facts and has the plan
 * applied. Rules: domain.md, sections 2 and 7, and decision "one note for each close".
 */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { CloseResult, Invoice, InvoiceKind, InvoiceLine, PartyDetails } from '@rollcall/shared/api/invoice.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Month, monthPeriod } from '@rollcall/shared/domain/month.ts';
import { type Refusal, refuse } from '@rollcall/shared/domain/problem.ts';
import type { BillableSite, BilledFigure, ClosePlan } from './close-plan.ts';
import { invoiceLines, noteLines, rateSites, withdrawnSites } from './lines.ts';
import { documentTotals, dueDay, seriesYear } from './totals.ts';

type Party = { id: string; name: string } & PartyDetails;

/** Everything the decision on one edge and month rests on. */
export type EdgeFacts = {
  /** The terms in force; once an invoice was finalised, those it was made under, since a note corrects figures, not prices. */
  agreement: Agreement;
  seller: Party;
  buyer: Party;
  month: Month;
  sites: readonly BillableSite[];
  billed: {
    invoice: Invoice | undefined;
    draftId: string | undefined;
    figures: readonly BilledFigure[];
    documents: number;
  };
  now: Instant;
  /** Leave out the sites whose report is missing and that were not billed yet, whatever the agreement's policy. */
  withoutMissing: boolean;
  /** Identifier of the document, should there be one. */
  newDocumentId: string;
};

type EdgeOutcome = CloseResult['edges'][number]['outcome'];

/** What is told of the sites of an edge, whatever comes of them. */
type Standing = {
  missing: BillableSite[];
  /** Sites whose report is not what was counted here. */
  differing: BillableSite[];
};

export type CloseDecision =
  | ({
      ok: true;
      outcome: Extract<EdgeOutcome, 'held' | 'finalised' | 'credited' | 'debited'>;
      plan: ClosePlan;
    } & Standing)
  | ({ ok: true; outcome: Extract<EdgeOutcome, 'unchanged' | 'nothing-to-bill'>; plan: null } & Standing)
  | Refusal<'MONTH_NOT_OVER'>;

const seriesOf: Record<InvoiceKind, NonNullable<ClosePlan['series']>['name']> = {
  invoice: 'INV',
  'credit-note': 'CRN',
  'debit-note': 'DBN',
};

/**
 * The first document of an edge and month is the invoice. While a report is missing under `hold` it stays a draft, unless
 * `withoutMissing`. Each later close compares the latest figures with the sum of what was billed and answers all changes
 * with one note: a credit note where their net is below zero, else a debit note, also where they cancel out to zero, so that
 * no change is left untold. No change, no document; closing twice is harmless.
 *
 * A site that was billed and does not belong to the month any more is due nothing, and is credited.
 *
 * A site billed by estimate is trued up when its report arrives. A report that confirms the estimate changes no figure and
 * makes no note: the line keeps its mark, its evidence shows the report.
 *
 * `MONTH_NOT_OVER`: the month still runs in the agreement's zone or in that of a billable site.
 */
export function planClose(facts: EdgeFacts): CloseDecision {
  const running = stillRunning(facts);
  if (running !== null) return running;

  const { agreement, billed, withoutMissing } = facts;
  assertConsistent(facts);
  const billedSites = new Set(billed.figures.filter(({ basis }) => basis !== 'withdrawn').map(({ siteId }) => siteId));
  const estimates = agreement.missingReportPolicy === 'estimate' && !withoutMissing;
  const { rated, missing } = rateSites(facts.sites, estimates, (siteId) => billedSites.has(siteId));
  const estimated = new Set(rated.filter(({ basis }) => basis === 'estimate').map(({ site }) => site.siteId));
  const gaps: Gaps = {
    missingReports: missing.length,
    missingUnbilled: missing.filter(({ siteId }) => !billedSites.has(siteId) && !estimated.has(siteId)).length,
  };
  const standing = { missing, differing: facts.sites.filter(({ differing }) => differing) };

  if (billed.invoice !== undefined) {
    const living = new Set(facts.sites.map(({ siteId }) => siteId));
    const withdrawn = withdrawnSites(billed.figures, (siteId) => living.has(siteId));
    const lines = noteLines([...rated, ...withdrawn], billed.figures, agreement, facts.month);
    if (lines.length === 0) return { ok: true, outcome: 'unchanged', plan: null, ...standing };
    const { netMinor } = documentTotals(lines, agreement.taxRatePercent);
    const kind = netMinor < 0 ? 'credit-note' : 'debit-note';
    const plan = finalised(facts, kind, lines, gaps);
    return { ok: true, outcome: kind === 'credit-note' ? 'credited' : 'debited', plan, ...standing };
  }

  const waits = missing.length > 0 && agreement.missingReportPolicy === 'hold' && !withoutMissing;
  if (!waits && rated.length === 0) return { ok: true, outcome: 'nothing-to-bill', plan: null, ...standing };
  const lines = invoiceLines(rated, agreement, facts.month);
  return waits
    ? { ok: true, outcome: 'held', plan: draft(facts, lines, gaps), ...standing }
    : { ok: true, outcome: 'finalised', plan: finalised(facts, 'invoice', lines, gaps), ...standing };
}

/** The refusal where the month still runs in a zone that matters; it names the one that ends last. */
function stillRunning({ agreement, sites, month, now }: EdgeFacts): Refusal<'MONTH_NOT_OVER'> | null {
  let last = { end: monthPeriod(month, agreement.timeZone).end, where: `the agreement's zone ${agreement.timeZone}` };
  for (const site of sites) {
    const { end } = monthPeriod(month, site.timeZone);
    if (end > last.end) last = { end, where: `the zone ${site.timeZone} of site ${site.siteName}` };
  }
  if (now >= last.end) return null;
  return refuse(
    'MONTH_NOT_OVER',
    `${month} is not over until ${last.end} in ${last.where}`,
    `close it at or after ${last.end}`,
  );
}

/** What the store can only get wrong by a fault of the program; a bill made from it would be wrong without a word. */
function assertConsistent({ agreement, billed, month }: EdgeFacts): void {
  const { invoice, documents } = billed;
  if ((invoice === undefined) !== (documents === 0)) {
    throw new RangeError(
      `${documents} documents of ${month} under ${agreement.id}, but ${invoice?.id ?? 'no invoice'}`,
    );
  }
  if (invoice !== undefined && invoice.agreementId !== agreement.id) {
    throw new RangeError(`invoice ${invoice.id} was made under ${invoice.agreementId}, not under ${agreement.id}`);
  }
}

/** What a document says of the reports that are missing. */
type Gaps = Pick<Invoice, 'missingReports' | 'missingUnbilled'>;

function draft(facts: EdgeFacts, lines: InvoiceLine[], gaps: Gaps): ClosePlan {
  const document = documentOf(facts, 'invoice', lines, gaps);
  return planOf(facts, document, lines, null);
}

function finalised(facts: EdgeFacts, kind: InvoiceKind, lines: InvoiceLine[], gaps: Gaps): ClosePlan {
  const { agreement, now } = facts;
  const document: Invoice = {
    ...documentOf(facts, kind, lines, gaps),
    state: 'finalised',
    finalisedAt: now,
    // What is credited is not due from the buyer.
    dueOn: kind === 'credit-note' ? null : dueDay(now, agreement.paymentTermDays, agreement.timeZone),
  };
  return planOf(facts, document, lines, { name: seriesOf[kind], year: seriesYear(now, agreement.timeZone) });
}

function planOf(facts: EdgeFacts, document: Invoice, lines: InvoiceLine[], series: ClosePlan['series']): ClosePlan {
  return {
    sellerId: facts.seller.id,
    buyerId: facts.buyer.id,
    month: facts.month,
    documentsBefore: facts.billed.documents,
    draftId: facts.billed.draftId ?? null,
    document,
    lines,
    series,
    at: facts.now,
  };
}

/** A draft of the kind. An invoice takes over its draft's identifier, so that links to the draft lead to the invoice. */
function documentOf(facts: EdgeFacts, kind: InvoiceKind, lines: readonly InvoiceLine[], gaps: Gaps): Invoice {
  const { agreement, seller, buyer, billed, month, now } = facts;
  const corrected = kind === 'invoice' ? undefined : billed.invoice;
  return {
    id: kind === 'invoice' ? (billed.draftId ?? facts.newDocumentId) : facts.newDocumentId,
    kind,
    state: 'draft',
    number: null,
    sellerId: seller.id,
    buyerId: buyer.id,
    sellerName: seller.name,
    buyerName: buyer.name,
    seller: detailsOf(seller),
    buyer: detailsOf(buyer),
    agreementId: agreement.id,
    month,
    currency: agreement.currency,
    ...documentTotals(lines, agreement.taxRatePercent),
    taxRatePercent: agreement.taxRatePercent,
    refersToId: corrected?.id ?? null,
    refersToNumber: corrected?.number ?? null,
    createdAt: now,
    finalisedAt: null,
    dueOn: null,
    ...gaps,
  };
}

/** What is printed and no more: an organisation knows other things that are not the other party's affair. */
const detailsOf = ({ addressLines, country, taxId }: Party): PartyDetails => ({ addressLines, country, taxId });
