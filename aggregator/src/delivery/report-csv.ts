/** Deployed Agents Reports as CSV: the list, one row a site and month, and one report with every deployment behind it. */
import type { ReportDetail, ReportRow } from '@rollcall/shared/api/report.ts';
import type { Deployment } from '@rollcall/shared/api/site.ts';
import { type AgentKind, agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { type CsvCell, type CsvColumns, csvFile, csvPieces } from './csv.ts';

/** `reported_*` and `revision` are empty where no report came; `counted_*` is the aggregator's own count. */
export const reportListCsvColumns = [
  'month',
  'msp_id',
  'msp',
  'account_id',
  'account',
  'site_id',
  'site',
  'time_zone',
  'status',
  'revision',
  'reported_server',
  'reported_workstation',
  'counted_server',
  'counted_workstation',
  'received_at',
] as const satisfies CsvColumns;

/** The list in pieces, as its batches of rows come. */
export function reportListCsv(rows: AsyncIterable<readonly ReportRow[]>): AsyncGenerator<string> {
  return csvPieces(reportListCsvColumns, rows, (row) => [
    row.month,
    row.mspId,
    row.mspName,
    row.accountId,
    row.accountName,
    row.siteId,
    row.siteName,
    row.timeZone,
    row.status,
    row.revision,
    row.reported?.server ?? null,
    row.reported?.workstation ?? null,
    row.counted.server,
    row.counted.workstation,
    row.receivedAt,
  ]);
}

/**
 * One row a deployment that touches the month, as the ledger shows it; a kind without any has one row with the cells of a
 * deployment empty, so that the figures of both kinds stand in every file. `at_peak`: it stood at the instant of its kind's
 * peak and is one of those billed; empty without a report. `excluded`: why a correction took its endpoint out of the month.
 * `active_at_close`: agents of the kind heard from in the last 24 hours of the month, not billed. `counted`: the aggregator's own
 * count of the kind.
 */
export const reportCsvColumns = [
  'month',
  'site_id',
  'site',
  'time_zone',
  'status',
  'revision',
  'kind',
  'peak',
  'peak_at',
  'endpoint_id',
  'host_name',
  'machine_id',
  'origin',
  'agent_version',
  'deployed_at',
  'removed_at',
  'at_peak',
  'excluded',
  'msp_id',
  'msp',
  'account_id',
  'account',
  'counted',
  'active_at_close',
  'received_at',
] as const satisfies CsvColumns;

export function reportCsv(
  { report, ...row }: ReportRow & Pick<ReportDetail, 'report'>,
  deployments: readonly Deployment[],
): string {
  const exclusions = new Map(report?.exclusions.map(({ endpointId, reason }) => [endpointId, reason]));
  const witness = {
    server: new Set(report?.peaks.server.endpoints),
    workstation: new Set(report?.peaks.workstation.endpoints),
  };
  const standsAtPeak = ({ endpointId, kind, deployedAt, removedAt }: Deployment): 'yes' | 'no' | null => {
    if (report === null) return null;
    const { at } = report.peaks[kind];
    const stood = at !== null && deployedAt <= at && (removedAt === null || at < removedAt);
    return stood && witness[kind].has(endpointId) ? 'yes' : 'no';
  };
  const rowOf = (kind: AgentKind, deployment: readonly CsvCell[]): CsvCell[] => [
    row.month,
    row.siteId,
    row.siteName,
    row.timeZone,
    row.status,
    row.revision,
    kind,
    report?.peaks[kind].peak ?? null,
    report?.peaks[kind].at ?? null,
    ...deployment,
    row.mspId,
    row.mspName,
    row.accountId,
    row.accountName,
    row.counted[kind],
    report?.activeAtClose[kind] ?? null,
    row.receivedAt,
  ];
  const deployed = deployments.map((deployment) =>
    rowOf(deployment.kind, [
      deployment.endpointId,
      deployment.hostName,
      deployment.machineId,
      deployment.origin,
      deployment.agentVersion,
      deployment.deployedAt,
      deployment.removedAt,
      standsAtPeak(deployment),
      exclusions.get(deployment.endpointId) ?? null,
    ]),
  );
  const nobody: CsvCell[] = [null, null, null, null, null, null, null, null, null];
  const empty = agentKinds.filter((kind) => !deployments.some((deployment) => deployment.kind === kind));
  return csvFile(reportCsvColumns, [...deployed, ...empty.map((kind) => rowOf(kind, nobody))]);
}
