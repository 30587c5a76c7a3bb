/** Between plans of ingest and rows: the state of a site, its month counts, its reports. What is written when is the drivers'. */
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import type { MonthCount, ReceivedReport, SiteIngestState } from '../core/ingest-plan.ts';
import type { MonthCountRow, ReportRevisionRow, SiteIngestRow } from './schema.ts';

/** Why a deployment ended that began anew at the same instant under another kind. */
export const kindChangedReason = 'kind-changed';

/** Columns of a site's state of ingest beside its identifier; both drivers write all of them at each plan. */
export const stateColumns = [
  'public_key',
  'time_zone',
  'head_seq',
  'head_hash',
  'head_at',
  'month',
  'period_start',
  'sealed',
  'meter_at',
  'server_count',
  'server_peak',
  'server_peak_at',
  'workstation_count',
  'workstation_peak',
  'workstation_peak_at',
] as const satisfies readonly (keyof SiteIngestRow)[];

export function ingestRowOf(state: SiteIngestState): SiteIngestRow {
  const { siteId, publicKey, timeZone, head, meter } = state;
  return {
    site_id: siteId,
    public_key: publicKey,
    time_zone: timeZone,
    head_seq: head.seq,
    head_hash: head.hash,
    head_at: head.at,
    month: state.month,
    period_start: state.periodStart,
    sealed: state.sealed ? 1 : 0,
    meter_at: meter === null ? null : meter.instant,
    server_count: meter === null ? null : meter.server.count,
    server_peak: meter === null ? null : meter.server.peak,
    server_peak_at: meter === null ? null : meter.server.peakAt,
    workstation_count: meter === null ? null : meter.workstation.count,
    workstation_peak: meter === null ? null : meter.workstation.peak,
    workstation_peak_at: meter === null ? null : meter.workstation.peakAt,
  };
}

/** @param settled the settled row of the month before `row.month`, where there is one. */
export function ingestStateOf(row: SiteIngestRow, settled: MonthCountRow | undefined): SiteIngestState {
  const { meter_at, server_count, server_peak, workstation_count, workstation_peak } = row;
  const hasMeter =
    meter_at !== null &&
    server_count !== null &&
    server_peak !== null &&
    workstation_count !== null &&
    workstation_peak !== null;
  return {
    siteId: row.site_id,
    publicKey: row.public_key,
    timeZone: row.time_zone,
    head: { seq: row.head_seq, hash: row.head_hash, at: row.head_at },
    month: row.month,
    periodStart: row.period_start,
    meter: hasMeter
      ? {
          instant: meter_at,
          server: { count: server_count, peak: server_peak, peakAt: row.server_peak_at },
          workstation: { count: workstation_count, peak: workstation_peak, peakAt: row.workstation_peak_at },
        }
      : null,
    settled: settled === undefined ? null : monthCountOf(settled),
    sealed: row.sealed === 1,
  };
}

export const monthCountRow = (siteId: string, count: MonthCount): MonthCountRow => ({
  site_id: siteId,
  month: count.month,
  period_start: count.periodStart,
  period_end: count.periodEnd,
  server_peak: count.serverPeak,
  server_peak_at: count.serverPeakAt,
  workstation_peak: count.workstationPeak,
  workstation_peak_at: count.workstationPeakAt,
  settled: count.settled ? 1 : 0,
});

const monthCountOf = (row: MonthCountRow): MonthCount => ({
  month: row.month,
  periodStart: row.period_start,
  periodEnd: row.period_end,
  serverPeak: row.server_peak,
  serverPeakAt: row.server_peak_at,
  workstationPeak: row.workstation_peak,
  workstationPeakAt: row.workstation_peak_at,
  settled: row.settled === 1,
});

export const reportRow = (siteId: string, received: ReceivedReport, receivedAt: string): ReportRevisionRow => ({
  site_id: siteId,
  month: received.month,
  revision: received.revision,
  seq: received.seq,
  hash: received.hash,
  agreeing: received.agreeing ? 1 : 0,
  received_at: receivedAt,
  server_peak: received.report.peaks.server.peak,
  workstation_peak: received.report.peaks.workstation.peak,
  report: canonicalJson(received.report),
});
