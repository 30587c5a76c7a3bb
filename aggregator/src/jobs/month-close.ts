/**
 * Closing a month: gathers the facts of every edge in which an organisation sells, has `core/billing/close.ts` decide, and has
 * the store apply the plan. Nothing here runs by itself: to close a month is the seller's act.
 */
import {
  type ClosePreview,
  type CloseRequest,
  type CloseResult,
  type Invoice,
  missingSitesMax,
} from '@rollcall/shared/api/invoice.ts';
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import { type Outcome, type Refusal, RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { BillableSite } from '../core/billing/close-plan.ts';
import { type CloseDecision, type EdgeFacts, planClose } from '../core/billing/close.ts';
import type { Scope } from '../core/scope.ts';
import type { Store } from '../store/store.ts';

export type MonthCloseDeps = {
  store: Pick<Store, 'billing'>;
  clock: Clock;
  chance: Chance;
  logger: Pick<Logger, 'error'>;
};

type Edge = Awaited<ReturnType<Store['billing']['agreementsInForce']>>[number];
type ClosedEdge = CloseResult['edges'][number];
type PreviewedEdge = ClosePreview['edges'][number];
/** What is told of an edge, and why nothing was decided where its month still runs. */
type Visited<Told> = { told: Told; running: Refusal<'MONTH_NOT_OVER'> | null };
type Failure = NonNullable<ClosedEdge['failure']>;

/** Closes that meet on one edge need two attempts each; so many more mean that something else is wrong. */
const attemptsMax = 5;

/**
 * Closes the month for every agreement in which the scope's own organisation sells, one edge after the other. Edges on which
 * the month still runs are told as `not-over`, those that cannot be closed as `failed`, the others are closed.
 * `MONTH_NOT_OVER`: it still runs on all of them.
 * @throws RollcallError `STORE_UNAVAILABLE`, retryable; what was closed before stands.
 */
export async function closeMonth(
  deps: MonthCloseDeps,
  seller: Scope,
  request: CloseRequest,
): Promise<Outcome<{ result: CloseResult }, 'MONTH_NOT_OVER'>> {
  const visited = await eachEdge(deps, seller, request, (edge) =>
    guarded(
      deps,
      edge,
      request.month,
      () => closeEdge(deps, seller, edge, request),
      (failure) => tellFailed(edge, failure),
    ),
  );
  return visited.ok ? { ok: true, result: { month: request.month, edges: visited.edges } } : visited;
}

/** What `closeMonth` would do now; changes nothing. */
export async function previewClose(
  deps: MonthCloseDeps,
  seller: Scope,
  request: CloseRequest,
): Promise<Outcome<{ preview: ClosePreview }, 'MONTH_NOT_OVER'>> {
  const visited = await eachEdge(deps, seller, request, (edge) => previewEdge(deps, seller, edge, request));
  return visited.ok ? { ok: true, preview: { month: request.month, edges: visited.edges } } : visited;
}

/** What closing the month would do on one edge. */
export function previewEdge(
  deps: MonthCloseDeps,
  seller: Scope,
  edge: Edge,
  request: CloseRequest,
): Promise<Visited<PreviewedEdge>> {
  const look = async (): Promise<Visited<PreviewedEdge>> => {
    const facts = await factsOf(deps, seller, edge, request);
    const decision = planClose(facts);
    const { told, running } = tell(edge, decision, facts.billed.invoice);
    const netMinor = decision.ok ? (decision.plan?.document.netMinor ?? null) : null;
    return { told: { ...told, currency: facts.agreement.currency, netMinor }, running };
  };
  const failed = (failure: Failure): PreviewedEdge => ({
    ...tellFailed(edge, failure),
    currency: edge.agreement.currency,
    netMinor: null,
  });
  return guarded(deps, edge, request.month, look, failed);
}

async function eachEdge<Told>(
  { store }: MonthCloseDeps,
  seller: Scope,
  { month }: CloseRequest,
  visit: (edge: Edge) => Promise<Visited<Told>>,
): Promise<Outcome<{ edges: Told[] }, 'MONTH_NOT_OVER'>> {
  const visited: Visited<Told>[] = [];
  for (const edge of await store.billing.agreementsInForce(seller.organisationId, month))
    visited.push(await visit(edge));
  const first = visited[0]?.running;
  if (first && visited.every(({ running }) => running !== null)) return first;
  return { ok: true, edges: visited.map(({ told }) => told) };
}

/** What goes wrong on one edge is told of that edge: one site's figures must not keep every other buyer's invoice back. */
async function guarded<Told>(
  { logger }: MonthCloseDeps,
  { agreement }: Edge,
  month: Month,
  visit: () => Promise<Visited<Told>>,
  failed: (failure: Failure) => Told,
): Promise<Visited<Told>> {
  try {
    return await visit();
  } catch (error) {
    const failure = failureOf(error);
    if (!(error instanceof RollcallError))
      logger.error({ err: error, agreementId: agreement.id, month }, 'an edge could not be closed');
    return { told: failed(failure), running: null };
  }
}

async function closeEdge(
  deps: MonthCloseDeps,
  seller: Scope,
  edge: Edge,
  request: CloseRequest,
): Promise<Visited<ClosedEdge>> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const facts = await factsOf(deps, seller, edge, request);
    const decision = planClose(facts);
    if (!decision.ok || decision.plan === null) return tell(edge, decision, facts.billed.invoice);
    const applied = await deps.store.billing.applyClose(decision.plan);
    if (applied.ok) return tell(edge, decision, applied.invoice);
  }
  throw new RollcallError(
    'CONFLICT',
    `other closes of ${request.month} for ${edge.buyer.id} came first ${attemptsMax} times`,
    {
      retryable: true,
      hint: 'close again: what is closed already stays as it is',
    },
  );
}

/**
 * What was billed is read before the sites: whatever another close bills after this read is caught by the guard on the number
 * of documents. The other way round, old figures of a site could undo a note that had just billed its new ones.
 */
async function factsOf(
  { store, clock, chance }: MonthCloseDeps,
  seller: Scope,
  edge: Edge,
  { month, withoutMissing }: CloseRequest,
): Promise<EdgeFacts> {
  const billed = await store.billing.billed(edge.seller.id, edge.buyer.id, month);
  const sites = await store.billing.billableSites(edge.buyer.path, month);
  const invoicedUnder = billed.invoice?.agreementId ?? edge.agreement.id;
  const agreement =
    invoicedUnder === edge.agreement.id ? edge.agreement : await store.billing.agreement(seller, invoicedUnder);
  if (agreement === undefined)
    throw new RangeError(`there is no agreement ${invoicedUnder}, but an invoice made under it`);
  return {
    agreement,
    seller: edge.seller,
    buyer: edge.buyer,
    month,
    sites,
    billed,
    now: clock.now(),
    withoutMissing,
    newDocumentId: idFrom('invoice', chance(idRandomBytes)),
  };
}

/**
 * What the seller is told of an error on one edge; what is inside a defect stays in the log.
 * @throws the error itself where the store is gone: no other edge would fare better.
 */
function failureOf(error: unknown): Failure {
  if (error instanceof RollcallError) {
    if (error.code === 'STORE_UNAVAILABLE') throw error;
    return { code: error.code, message: error.message };
  }
  // Core throws it for facts that no bill can be made of, such as an amount that is not exact any more.
  if (error instanceof RangeError) return { code: 'NOT_BILLABLE', message: error.message };
  return { code: 'INTERNAL', message: 'the aggregator failed on this edge; its log says why' };
}

/** `document` is the one just made, or the invoice that still stands; a document that is only planned has no number yet. */
function tell(edge: Edge, decision: CloseDecision, document: Invoice | undefined): Visited<ClosedEdge> {
  const missing: BillableSite[] = decision.ok ? decision.missing : [];
  const told: ClosedEdge = {
    ...untouched(edge),
    outcome: decision.ok ? decision.outcome : 'not-over',
    invoiceId: document?.id ?? null,
    number: document?.number ?? null,
    missingCount: missing.length,
    missingSites: missing.slice(0, missingSitesMax).map(({ siteId, siteName }) => ({ siteId, siteName })),
    differingCount: decision.ok ? decision.differing.length : 0,
  };
  return { told, running: decision.ok ? null : decision };
}

const tellFailed = (edge: Edge, failure: Failure): ClosedEdge => ({ ...untouched(edge), outcome: 'failed', failure });

/** An edge of which nothing is known but its parties. */
const untouched = ({ agreement, buyer }: Edge): Omit<ClosedEdge, 'outcome'> => ({
  agreementId: agreement.id,
  buyerId: buyer.id,
  buyerName: buyer.name,
  failure: null,
  missingReportPolicy: agreement.missingReportPolicy,
  invoiceId: null,
  number: null,
  missingCount: 0,
  missingSites: [],
  differingCount: 0,
});
