/** Reads what the evidence of a line is made from; core/billing/evidence.ts makes it. */
import type { Invoice, InvoiceLine, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import {
  evidenceSpan,
  type ExplainedFigure,
  explainFigure,
  type FigureBasis,
  lineEvidence,
  type ReceivedRevision,
} from '../core/billing/evidence.ts';
import type { Scope } from '../core/scope.ts';
import type { Store } from '../store/store.ts';

/** Far more deployments than a site has in a month; evidence that left some out would be worse than none. */
export const deploymentsMax = 100_000;

/** The refusal of evidence that cannot be shown whole. */
export const evidenceTooLarge = (siteId: string, month: string) =>
  refuse('EVIDENCE_TOO_LARGE', `site ${siteId} has ${deploymentsMax} deployments or more in ${month}`);

type EvidenceStore = Pick<Store, 'sites' | 'reports' | 'billing'>;

/** Whoever sees the invoice sees its sites: they hang under the buyer, and the buyer under the seller. */
export async function readEvidence(
  store: EvidenceStore,
  scope: Scope,
  invoice: Invoice,
  line: InvoiceLine,
): Promise<Outcome<{ evidence: LineEvidence }, 'EVIDENCE_TOO_LARGE'>> {
  const { siteId, month, kind } = line;
  const site = await store.sites.site(scope, siteId);
  const revisions = await store.reports.revisions(scope, siteId, month);
  if (site === undefined || revisions === undefined)
    throw new RangeError(`a line bills the site ${siteId}, which is gone`);
  const figure = { ...line, report: revisionOf(line, revisions) };
  const explained = await explain(store, siteId, figure, site.timeZone);
  const earlier = await store.billing.billedBefore(invoice.id, siteId, kind);
  const before =
    earlier &&
    (await explain(store, siteId, { ...earlier, month, report: revisionOf(earlier, revisions) }, site.timeZone));
  if (explained === undefined || (earlier !== undefined && before === undefined))
    return evidenceTooLarge(siteId, month);
  return {
    ok: true,
    evidence: lineEvidence({
      line,
      explained,
      counted: (await store.reports.ownCount(siteId, month))[kind],
      report: figure.report ?? revisions.at(-1),
      before: earlier && before && { figure: earlier, explained: before },
    }),
  };
}

function revisionOf(
  { revision, siteId }: Pick<InvoiceLine, 'revision' | 'siteId'>,
  revisions: readonly ReceivedRevision[],
): ReceivedRevision | undefined {
  if (revision === null) return undefined;
  const found = revisions.find((candidate) => candidate.revision === revision);
  if (found === undefined) throw new RangeError(`a line bills revision ${revision} of ${siteId}, which is gone`);
  return found;
}

/** Undefined where there are more deployments than can be shown. */
async function explain(
  store: EvidenceStore,
  siteId: string,
  figure: FigureBasis,
  siteZone: string,
): Promise<ExplainedFigure | undefined> {
  const span = evidenceSpan(figure, siteZone);
  if (span === null) return explainFigure(figure, siteZone, []);
  const { start, end } = span.period;
  const deployments = await store.reports.intervals(siteId, start, end, deploymentsMax, span.upToSeq);
  return deployments.length >= deploymentsMax ? undefined : explainFigure(figure, siteZone, deployments);
}
