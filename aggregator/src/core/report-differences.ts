/** Where a report and the aggregator's own count part ways, in words for a finding. Which report is taken at all is ingest.ts. */
import { agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { type DeployedAgentsReport, type ReportContent, recountReport } from '@rollcall/shared/ledger/report.ts';
import type { Digest, Hash } from '@rollcall/shared/ledger/crypto.ts';
import type { DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import type { MonthCount } from './ingest-plan.ts';

type EntryPlace = { seq: number; hash: Hash };

/**
 * Of a sealed report: every figure that is not the own count, an end other than `previous`, the entry before it, and a
 * witness or evidence that `intervals` do not give. These are null where they are too many to be counted again.
 */
export function sealDifferences(
  report: DeployedAgentsReport,
  counted: MonthCount,
  previous: EntryPlace,
  intervals: readonly DeployedInterval[] | null,
  digest: Digest,
): string[] {
  const differences: string[] = [];
  const told = new Set<string>();
  const own = {
    server: { peak: counted.serverPeak, at: counted.serverPeakAt },
    workstation: { peak: counted.workstationPeak, at: counted.workstationPeakAt },
  };
  for (const kind of agentKinds) {
    const { peak, at } = report.peaks[kind];
    const before = differences.length;
    if (peak !== own[kind].peak || at !== own[kind].at)
      differences.push(
        `${kind} is ${peak} (${at ?? 'never'}), counted here ${own[kind].peak} (${own[kind].at ?? 'never'})`,
      );
    if (differences.length > before) told.add(`peaks.${kind}`);
  }
  if (report.period.start !== counted.periodStart)
    differences.push(`it begins at ${report.period.start}, not ${counted.periodStart}`);
  if (report.period.end !== counted.periodEnd)
    differences.push(`it ends at ${report.period.end}, not ${counted.periodEnd}`);
  if (!sameEntry(report.upTo, previous))
    differences.push(`it is computed up to entry ${report.upTo.seq}, not ${previous.seq}`);
  const { start, end } = report.period;
  // Of another period every endpoint may differ, and that it is another one was said.
  if (intervals === null || start !== counted.periodStart || end !== counted.periodEnd) return differences;
  return [...differences, ...recountDifferences(report, intervals, digest, told)];
}

/** Of a correction: another period or end than the report it corrects, and every figure that a recount of `intervals` does not give. */
export function correctionDifferences(
  report: DeployedAgentsReport,
  latest: Pick<ReportContent, 'period' | 'upTo'>,
  previous: EntryPlace,
  intervals: readonly DeployedInterval[] | null,
  digest: Digest,
): string[] {
  const differences: string[] = [];
  const isSamePeriod = report.period.start === latest.period.start && report.period.end === latest.period.end;
  if (!isSamePeriod) differences.push('its period is not that of the report it corrects');
  if (!sameEntry(report.upTo, previous) && !sameEntry(report.upTo, latest.upTo))
    differences.push(`it is computed up to entry ${report.upTo.seq}, neither ${previous.seq} nor ${latest.upTo.seq}`);
  if (intervals === null) return [...differences, 'it has more deployments than are counted again here'];
  return isSamePeriod ? [...differences, ...recountDifferences(report, intervals, digest, new Set())] : differences;
}

/** What a recount of intervals does not give, but for the fields `told` already. */
function recountDifferences(
  report: DeployedAgentsReport,
  intervals: readonly DeployedInterval[],
  digest: Digest,
  told: ReadonlySet<string>,
): string[] {
  return recountReport(report, intervals, digest)
    .filter(({ field }) => !told.has(field))
    .map(({ field, reported, recounted }) => `${field} is ${shorten(reported)}, counted here ${shorten(recounted)}`);
}

const sameEntry = (a: EntryPlace, b: EntryPlace): boolean => a.seq === b.seq && a.hash === b.hash;
const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text);
