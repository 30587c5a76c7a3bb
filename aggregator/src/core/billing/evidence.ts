/**
 * Owns the answer to "why this figure?": who stood deployed at the peak that a line bills up to, since when, the signed entry
 * that says so, and what was billed before (domain.md, section 7). Reading reports and deployments is the caller's;
 * `evidenceSpan` tells which.
 */
import type { InvoiceLine, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { monthPeriod, type Period } from '@rollcall/shared/domain/month.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { peakOfMonth } from '@rollcall/shared/metering/peak.ts';
import type { BilledFigure } from './close-plan.ts';

/** A revision of the report of a line's month, as it was received. */
export type ReceivedRevision = {
  seq: number;
  hash: string;
  revision: number;
  agreeing: boolean;
  report: DeployedAgentsReport;
};

/** A deployment as the aggregator read it from the ledger. */
export type DeployedAgent = {
  endpointId: string;
  hostName: string;
  machineId: string;
  kind: AgentKind;
  deployedAt: Instant;
  removedAt: Instant | null;
  deployedSeq: number;
};

/** A figure that was billed for a site and kind, by what it rests on. */
export type FigureBasis = Pick<InvoiceLine, 'kind' | 'month' | 'basis' | 'countedUpTo'> & {
  /** The revision it rests on; undefined where it rests on none. */
  report: ReceivedRevision | undefined;
};

/** Deployments that touch `period`: as the ledger stood after entry `upToSeq`, or, where that is null, as it is held now. */
export type EvidenceSpan = { period: Period; upToSeq: number | null };

/**
 * Which deployments explain a figure. For a reported one those of the instant of its peak, and none (null) for a peak of zero;
 * for an estimate those of the whole month, as they were known when it was billed; none for what was withdrawn.
 */
export function evidenceSpan(figure: FigureBasis, siteZone: TimeZone): EvidenceSpan | null {
  const { basis, month, kind, report, countedUpTo } = figure;
  if (basis === 'withdrawn') return null;
  if (basis === 'estimate' || report === undefined)
    return { period: monthPeriod(month, siteZone), upToSeq: countedUpTo };
  const { at } = report.report.peaks[kind];
  return at === null ? null : { period: { start: at, end: instantFromMs(msOfInstant(at) + 1) }, upToSeq: null };
}

/** The peak of a figure, and who stood at it. */
export type ExplainedFigure = Pick<LineEvidence, 'period' | 'peak' | 'peakAt' | 'endpoints' | 'difference'>;

/**
 * Explains a figure from the deployments of its span. A reported one: whom the ledger shows at the report's peak instant, less
 * those the report excludes; `difference` names whoever stands in only one of the two. An estimate: the peak of the ledger as
 * far as it was held then.
 */
export function explainFigure(
  figure: FigureBasis,
  siteZone: TimeZone,
  deployments: readonly DeployedAgent[],
): ExplainedFigure {
  const { basis, kind, month, report: received } = figure;
  const ofKind = deployments.filter((deployment) => deployment.kind === kind);
  const period = monthPeriod(month, siteZone);
  if (basis === 'withdrawn') return { period, peak: 0, peakAt: null, endpoints: [], difference: null };
  if (basis === 'estimate' || received === undefined) {
    const intervals = ofKind.map(({ endpointId, ...interval }) => ({ endpoint: endpointId, ...interval }));
    const { peak, at } = peakOfMonth(intervals, period)[kind];
    return { period, peak, peakAt: at, endpoints: standingAt(at, ofKind, period), difference: null };
  }
  const { report } = received;
  const { peak, at, endpoints: witness } = report.peaks[kind];
  const excluded = new Set(report.exclusions.map(({ endpointId }) => endpointId));
  const counted = ofKind.filter(({ endpointId }) => !excluded.has(endpointId));
  const endpoints = standingAt(at, counted, report.period);
  return { period: report.period, peak, peakAt: at, endpoints, difference: differenceOf(witness, endpoints) };
}

/** The evidence of a line; `before` is what the documents before its note had billed. */
export function lineEvidence(facts: {
  line: InvoiceLine;
  explained: ExplainedFigure;
  counted: LineEvidence['counted'];
  /** The revision the line rests on; where it rests on none, the latest that came. */
  report: ReceivedRevision | undefined;
  before: { figure: BilledFigure; explained: ExplainedFigure } | undefined;
}): LineEvidence {
  const { line, explained, counted, report, before } = facts;
  return {
    line,
    ...explained,
    counted,
    report: report === undefined ? null : shownReport(report, line.kind),
    before:
      before === undefined
        ? null
        : {
            quantity: before.figure.quantity,
            basis: before.figure.basis,
            revision: before.figure.revision,
            countedUpTo: before.figure.countedUpTo,
            endpoints: before.explained.endpoints,
          },
  };
}

function shownReport({ seq, hash, revision, agreeing, report }: ReceivedRevision, kind: AgentKind) {
  const { signature, publicKey, exclusions } = report;
  const { peak, at } = report.peaks[kind];
  return { seq, hash, revision, signature, publicKey, peak, at, agreeing, exclusions };
}

/** Who stood deployed at the instant, ascending by identifier. A removal after the period is not part of the month's story. */
function standingAt(
  at: Instant | null,
  deployments: readonly DeployedAgent[],
  period: Period,
): LineEvidence['endpoints'] {
  if (at === null) return [];
  return deployments
    .filter(({ deployedAt, removedAt }) => deployedAt <= at && (removedAt === null || at < removedAt))
    .map(({ endpointId, hostName, machineId, deployedAt, removedAt, deployedSeq }) => ({
      endpointId,
      hostName,
      machineId,
      deployedAt,
      removedAt: removedAt !== null && removedAt < period.end ? removedAt : null,
      deployedSeq,
    }))
    .sort((a, b) => (a.endpointId < b.endpointId ? -1 : 1));
}

function differenceOf(witness: readonly string[], endpoints: LineEvidence['endpoints']): LineEvidence['difference'] {
  const reported = new Set(witness);
  const held = new Set(endpoints.map(({ endpointId }) => endpointId));
  const onlyReported = witness.filter((endpointId) => !held.has(endpointId));
  const onlyHeld = [...held].filter((endpointId) => !reported.has(endpointId));
  return onlyReported.length + onlyHeld.length === 0 ? null : { onlyReported, onlyHeld };
}
