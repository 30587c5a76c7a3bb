/**
 * The Deployed Agents Report as it stands in the ledger: what is in it, how it is sealed, how it is checked.
 * Peaks come from metering/; where the report goes is the uplink's affair.
 */
import { z } from 'zod';
import { agentKinds } from '../domain/agent-kind.ts';
import { EndpointId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Month, monthPeriod } from '../domain/month.ts';
import { Name, Reason } from '../domain/name.ts';
import { TimeZone } from '../domain/time-zone.ts';
import { EvidenceRow, evidenceOfMonth } from '../metering/evidence.ts';
import type { DeployedInterval } from '../metering/interval.ts';
import { peakOfMonth } from '../metering/peak.ts';
import { canonicalJson } from './canonical-json.ts';
import { type Digest, Hash, PublicKey, Signature, type Signer, type Verifier } from './crypto.ts';
import { fitsEntryBody } from './entry-size.ts';

/** Most agents of a kind in a report: more identifiers of endpoints than an entry has room for (entry.ts). */
export const agentsOfKindMax = 40_000;

const Count = z.int().nonnegative().max(agentsOfKindMax);

/**
 * Peak of one kind with its witness: who stood deployed at the earliest instant of the maximum. The peak is billed, so it
 * is one only with as many witnesses.
 */
export const PeakFigure = z
  .object({ peak: Count, at: Instant.nullable(), endpoints: z.array(EndpointId).max(agentsOfKindMax) })
  .refine(({ peak, endpoints }) => endpoints.length === peak, {
    path: ['endpoints'],
    error: 'must name as many endpoints as the peak says',
  });
export type PeakFigure = z.infer<typeof PeakFigure>;

/** Why an endpoint was taken out of a month by a correction. */
export const Exclusion = z.object({ endpointId: EndpointId, reason: Reason });
export type Exclusion = z.infer<typeof Exclusion>;

/** Everything of a report but the signature; this is what is signed. */
export const ReportContent = z.object({
  siteId: SiteId,
  siteName: Name,
  month: Month,
  timeZone: TimeZone,
  /** `[start, end)` of the month; `start` is the enrolment where the site's life began within the month. */
  period: z.object({ start: Instant, end: Instant }),
  /** 1 as sealed; each correction adds 1. */
  revision: z.int().positive(),
  peaks: z.object({ server: PeakFigure, workstation: PeakFigure }),
  /** Agents heard from within the last 24 h of the period, by kind (domain text, section 2). Not billed. */
  activeAtClose: z.object({ server: Count, workstation: Count }),
  /** The last entry the report is computed from. */
  upTo: z.object({ seq: z.int().nonnegative(), hash: Hash }),
  /** SHA-256 of the canonical JSON of the evidence rows. */
  evidenceHash: Hash,
  /** Per endpoint its intervals and days; left out where it would not fit an entry (the entries rebuild it). */
  evidence: z.array(EvidenceRow).optional(),
  exclusions: z.array(Exclusion).max(1000),
  /** When the Site Manager really made it: later than the period's end where the machine was off. */
  sealedAt: Instant,
});
export type ReportContent = z.infer<typeof ReportContent>;

export const DeployedAgentsReport = ReportContent.extend({ publicKey: PublicKey, signature: Signature });
export type DeployedAgentsReport = z.infer<typeof DeployedAgentsReport>;

/** Longest evidence, in bytes of canonical JSON, that a report carries inline. */
const evidenceBytesMax = 512 * 1024;
/** Room in a report for its public key and signature. */
const signatureBytes = 300;

/** Separates signatures of reports from all others made with the same key. */
const signatureContext = 'rollcall.report.v1\n';

export type ReportFacts = Pick<
  ReportContent,
  | 'siteId'
  | 'siteName'
  | 'month'
  | 'timeZone'
  | 'period'
  | 'revision'
  | 'activeAtClose'
  | 'upTo'
  | 'exclusions'
  | 'sealedAt'
>;

/** Computes and signs the report of a month from all intervals that touch it. */
export function sealReport(
  facts: ReportFacts,
  intervals: readonly DeployedInterval[],
  digest: Digest,
  signer: Signer,
): DeployedAgentsReport {
  const counted = withoutExcluded(intervals, facts.exclusions);
  const evidence = evidenceOfMonth(counted, facts.period, facts.timeZone);
  const evidenceText = canonicalJson(evidence);
  const bare: ReportContent = {
    ...facts,
    peaks: peakOfMonth(counted, facts.period),
    evidenceHash: digest.sha256(evidenceText),
  };
  // A month must always be sealed: what can be rebuilt gives way where the whole would not fit an entry. The rows are ASCII.
  const evidenceBytes = evidenceText.length;
  const carries =
    evidenceBytes <= evidenceBytesMax && fitsEntryBody(canonicalJson(bare), evidenceBytes + signatureBytes);
  const content: ReportContent = carries ? { ...bare, evidence } : bare;
  return {
    ...content,
    publicKey: signer.publicKey,
    signature: signer.sign(signedText({ ...content, publicKey: signer.publicKey })),
  };
}

/** True when the signature is that of `publicKey` over everything else in the report. */
export function isSignedBy(report: DeployedAgentsReport, publicKey: PublicKey, verifier: Verifier): boolean {
  const { signature, ...content } = report;
  return report.publicKey === publicKey && verifier.verify(publicKey, signedText(content), signature);
}

export type ReportDifference = { field: string; reported: string; recounted: string };

/**
 * Recounts a report from intervals and names each figure that differs: peaks, evidence, the period's end. Empty when all agree.
 * `activeAtClose` cannot be recounted: check-ins are not in the ledger.
 */
export function recountReport(
  report: DeployedAgentsReport,
  intervals: readonly DeployedInterval[],
  digest: Digest,
): ReportDifference[] {
  const counted = withoutExcluded(intervals, report.exclusions);
  const peaks = peakOfMonth(counted, report.period);
  const differences: ReportDifference[] = [];
  const compare = (field: string, reported: unknown, recounted: unknown): void => {
    const [a, b] = [canonicalJson(reported), canonicalJson(recounted)];
    if (a !== b) differences.push({ field, reported: a, recounted: b });
  };
  for (const kind of agentKinds) compare(`peaks.${kind}`, report.peaks[kind], peaks[kind]);
  const evidence = evidenceOfMonth(counted, report.period, report.timeZone);
  compare('evidenceHash', report.evidenceHash, digest.sha256(canonicalJson(evidence)));
  if (report.evidence !== undefined) compare('evidence', report.evidence, evidence);
  const month = monthPeriod(report.month, report.timeZone);
  compare('period.end', report.period.end, month.end);
  return differences;
}

const withoutExcluded = (
  intervals: readonly DeployedInterval[],
  exclusions: readonly Exclusion[],
): readonly DeployedInterval[] => {
  if (exclusions.length === 0) return intervals;
  const excluded = new Set(exclusions.map((exclusion) => exclusion.endpointId));
  return intervals.filter((interval) => !excluded.has(interval.endpoint));
};

const signedText = (content: Omit<DeployedAgentsReport, 'signature'>): string =>
  signatureContext + canonicalJson(content);
