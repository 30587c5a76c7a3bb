/** The floor of ingest: the rows of plans into the tables of ingest by bare prepared statements, one transaction a batch. */
import type { IngestPlan } from '@rollcall/aggregator/core/ingest-plan.ts';
import { stateColumns } from '@rollcall/aggregator/store/ingest-rows.ts';
import { openSqlite } from '@rollcall/shared/node/sqlite.ts';

/** Milliseconds it took. The database has the tables and the sites, and none of the rows. */
export function writeBare(databasePath: string, batches: readonly (readonly IngestPlan[])[]): number {
  const database = openSqlite(databasePath, { mustExist: true });
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const log = database.prepare(
    'INSERT INTO site_log (site_id, seq, at, kind, hash, received_at, text) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const open = database.prepare(
    'INSERT INTO deployments (site_id, deployed_seq, endpoint_id, machine_id, host_name, kind, origin, agent_version, deployed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const close = database.prepare(
    'UPDATE deployments SET removed_at = ?, removed_seq = ?, removed_reason = ? WHERE site_id = ? AND endpoint_id = ? AND removed_at IS NULL',
  );
  const change = database.prepare(
    'UPDATE deployments SET host_name = ?, origin = ?, agent_version = ? WHERE site_id = ? AND endpoint_id = ? AND removed_at IS NULL',
  );
  const month = database.prepare(
    'INSERT OR REPLACE INTO month_counts (site_id, month, period_start, period_end, server_peak, server_peak_at, workstation_peak, workstation_peak_at, settled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const state = database.prepare(
    `INSERT OR REPLACE INTO site_ingest (site_id, ${stateColumns.join(', ')}) VALUES (?, ${stateColumns.map(() => '?').join(', ')})`,
  );
  const began = performance.now();
  for (const plans of batches) {
    begin.run();
    for (const { siteId, next, receivedAt, ...plan } of plans) {
      const { meter, head } = next;
      state.run(
        siteId,
        next.publicKey,
        next.timeZone,
        head.seq,
        head.hash,
        head.at,
        next.month,
        next.periodStart,
        next.sealed ? 1 : 0,
        meter?.instant ?? null,
        meter?.server.count ?? null,
        meter?.server.peak ?? null,
        meter?.server.peakAt ?? null,
        meter?.workstation.count ?? null,
        meter?.workstation.peak ?? null,
        meter?.workstation.peakAt ?? null,
      );
      for (const row of plan.log) log.run(siteId, row.seq, row.at, row.kind, row.hash, receivedAt, row.text);
      for (const row of plan.deployments) {
        if (row.change === 'open')
          open.run(
            siteId,
            row.deployedSeq,
            row.endpointId,
            row.machineId,
            row.hostName,
            row.kind,
            row.origin,
            row.agentVersion,
            row.deployedAt,
          );
        else if (row.change === 'close') close.run(row.removedAt, row.removedSeq, row.reason, siteId, row.endpointId);
        else if (row.change === 'facts') change.run(row.hostName, row.origin, row.agentVersion, siteId, row.endpointId);
        else throw new Error('the benchmark makes no change of kind');
      }
      for (const row of plan.months)
        month.run(
          siteId,
          row.month,
          row.periodStart,
          row.periodEnd,
          row.serverPeak,
          row.serverPeakAt,
          row.workstationPeak,
          row.workstationPeakAt,
          row.settled ? 1 : 0,
        );
    }
    commit.run();
  }
  const ms = performance.now() - began;
  database.close();
  return ms;
}
