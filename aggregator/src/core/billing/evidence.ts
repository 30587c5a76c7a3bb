/**
 * Owns the answer to "why this figure?": who stood deployed at the peak that a line rests on, since when, and the signed
 * entry that says so (domain.md, section 7). Reading reports and intervals is the caller's; `spanOfEvidence` tells which.
 */
import type { InvoiceLine, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { monthPeriod, type Period } from '@rollcall/shared/domain/month.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { peakOfMonth } from '@rollcall/shared/metering/peak.ts';

/** The revision of the report that a line names. */
export type ReportOfLine = { seq: number; hash: string; revision: number; report: DeployedAgentsReport };

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

/**
 * Which deployments the evidence of a line is made from: those that touch `[start, end)`. For a reported figure that is the
 * one instant of its peak, and nothing (null) for a peak of zero; for an estimate it is the whole month.
 */
export function spanOfEvidence(line: InvoiceLine, report: ReportOfLine | undefined, siteZone: TimeZone): Period | null {
  if (report === undefined) return monthPeriod(line.month, siteZone);
  const { at } = report.report.peaks[line.kind];
  return at === null ? null : { start: at, end: instantFromMs(msOfInstant(at) + 1) };
}

/**
 * The evidence of a line. A reported figure: the deployments that the ledger shows at the report's peak instant, less
 * those the report excludes; `difference` names whoever stands in only one of the two, and is null where they agree. An
 * estimate: the peak as counted from the ledger as far as it is held now, which may have grown since the line was billed.
 */
export function lineEvidence(
  line: InvoiceLine,
  report: ReportOfLine | undefined,
  siteZone: TimeZone,
  deployments: readonly DeployedAgent[],
): LineEvidence {
  const ofKind = deployments.filter((deployment) => deployment.kind === line.kind);
  if (report === undefined) {
    const period = monthPeriod(line.month, siteZone);
    const intervals = ofKind.map(({ endpointId, ...interval }) => ({ endpoint: endpointId, ...interval }));
    const { peak, at } = peakOfMonth(intervals, period)[line.kind];
    return {
      line,
      period,
      peakAt: at,
      peak,
      endpoints: standingAt(at, ofKind, period),
      difference: null,
      report: null,
    };
  }
  const { seq, hash, revision, report: sealed } = report;
  const { peak, at, endpoints: witness } = sealed.peaks[line.kind];
  const excluded = new Set(sealed.exclusions.map(({ endpointId }) => endpointId));
  const counted = ofKind.filter(({ endpointId }) => !excluded.has(endpointId));
  const endpoints = standingAt(at, counted, sealed.period);
  return {
    line,
    period: sealed.period,
    peakAt: at,
    peak,
    endpoints,
    difference: differenceOf(witness, endpoints),
    report: { seq, hash, revision, signature: sealed.signature, publicKey: sealed.publicKey },
  };
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
