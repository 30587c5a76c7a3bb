/**
 * Group commit on SQLite: all plans in one synchronous transaction with prepared statements. The guards on key and head come
 * first, so that a site which moved is left out without a trace; what can only be seen in the middle of a plan (a
 * deployment opened twice) undoes the group, which is then applied once more with a savepoint around each plan.
 */
import type { Statement } from 'better-sqlite3';
import type { DeploymentChange, IngestPlan, IngestResult } from '../core/ingest-plan.ts';
import { Undone } from './engine.ts';
import { ingestRowOf, kindChangedReason, monthCountRow, reportRow, stateColumns } from './ingest-rows.ts';
import type { SiteRow } from './schema.ts';
import { type SqliteEngine, sqliteCode } from './sqlite-engine.ts';
import type { IngestStore } from './store.ts';

/** Undoes the group; the plan it came from has to be applied on its own. */
class Contradiction extends Undone {}

const conflict: IngestResult = { ok: false, code: 'CONFLICT' };
const keyReplaced: IngestResult = { ok: false, code: 'KEY_REPLACED' };
const contradiction: IngestResult = { ok: false, code: 'CONTRADICTION' };

export function sqliteIngest(engine: SqliteEngine): Pick<IngestStore, 'apply'> {
  let prepared: IngestStatements | undefined;
  return {
    async apply(plans) {
      if (plans.length === 0) return [];
      prepared ??= prepareAll(engine.prepare);
      const statements = prepared;
      try {
        return await engine.transaction(() => plans.map((plan) => applyPlan(statements, plan)));
      } catch (error) {
        if (!(error instanceof Contradiction)) throw error;
      }
      return engine.transaction(() => plans.map((plan) => applyAlone(statements, plan)));
    },
  };
}

function applyAlone(statements: IngestStatements, plan: IngestPlan): IngestResult {
  statements.savepoint.run();
  try {
    const result = applyPlan(statements, plan);
    statements.release.run();
    return result;
  } catch (error) {
    if (!(error instanceof Contradiction)) throw error;
    statements.rollbackTo.run();
    statements.release.run();
    return contradiction;
  }
}

/** @throws Contradiction with rows of the plan written; the caller undoes them. */
function applyPlan(statements: IngestStatements, plan: IngestPlan): IngestResult {
  const { siteId, receivedAt } = plan;
  try {
    const enrolled = statements.publicKey.get(siteId) as Pick<SiteRow, 'public_key'> | undefined;
    if (enrolled !== undefined && enrolled.public_key !== plan.enrolledPublicKey) return keyReplaced;
    if (!moveHead(statements, plan)) return conflict;
    for (const { seq, at, kind, hash, text } of plan.log)
      statements.log.run(siteId, seq, at, kind, hash, receivedAt, text);
    for (const change of plan.deployments) changeDeployment(statements, siteId, change);
    for (const count of plan.months) {
      const row = monthCountRow(siteId, count);
      statements.month.run(
        siteId,
        row.month,
        row.period_start,
        row.period_end,
        row.server_peak,
        row.server_peak_at,
        row.workstation_peak,
        row.workstation_peak_at,
        row.settled,
      );
    }
    for (const { keyId, state } of plan.keyStates) statements.keyState.run(state, keyId, siteId);
    for (const received of plan.reports) statements.report.run(reportRow(siteId, received, receivedAt));
    for (const { commandId, outcome, code, at } of plan.commandsApplied)
      statements.command.run(outcome, code, at, commandId, siteId);
    for (const { id, siteId: findingSiteId, code, message, at } of plan.findings)
      statements.finding.run(id, findingSiteId, code, message, at);
  } catch (error) {
    // A row that is there already, or one that breaks a rule of its table: the plan says what cannot be.
    if (sqliteCode(error)?.startsWith('SQLITE_CONSTRAINT')) throw new Contradiction();
    throw error;
  }
  return { ok: true };
}

/** False when the site stands elsewhere than the plan expects, or is unknown. */
function moveHead(statements: IngestStatements, { siteId, expected, next }: IngestPlan): boolean {
  const row = ingestRowOf(next);
  if (expected.seq > 0)
    return statements.moveHead.run({ ...row, expected_seq: expected.seq, expected_hash: expected.hash }).changes === 1;
  return statements.beginHead.run({ ...row, site_id: siteId }).changes === 1;
}

function changeDeployment(statements: IngestStatements, siteId: string, change: DeploymentChange): void {
  const mustBeOne = (changed: number): void => {
    if (changed !== 1) throw new Contradiction();
  };
  switch (change.change) {
    case 'open': {
      const { endpointId, machineId, hostName, kind, origin, agentVersion, deployedAt, deployedSeq } = change;
      statements.open.run(siteId, deployedSeq, endpointId, machineId, hostName, kind, origin, agentVersion, deployedAt);
      return;
    }
    case 'close': {
      const { endpointId, kind, removedAt, removedSeq, reason } = change;
      mustBeOne(statements.close.run(removedAt, removedSeq, reason, siteId, endpointId, kind).changes);
      return;
    }
    case 'kind': {
      const { endpointId, kindBefore, kind, hostName, origin, agentVersion, at, seq } = change;
      mustBeOne(statements.close.run(at, seq, kindChangedReason, siteId, endpointId, kindBefore).changes);
      mustBeOne(statements.reopen.run(seq, hostName, kind, origin, agentVersion, at, siteId, endpointId, seq).changes);
      return;
    }
    case 'facts': {
      const { endpointId, hostName, origin, agentVersion } = change;
      mustBeOne(statements.facts.run(hostName, origin, agentVersion, siteId, endpointId).changes);
      return;
    }
  }
}

type IngestStatements = Record<keyof typeof texts, Statement>;

const texts = {
  savepoint: 'SAVEPOINT plan',
  release: 'RELEASE plan',
  rollbackTo: 'ROLLBACK TO plan',
  publicKey: 'SELECT public_key FROM sites WHERE id = ?',
  moveHead: `UPDATE site_ingest SET ${stateColumns.map((column) => `${column} = @${column}`).join(', ')}
    WHERE site_id = @site_id AND head_seq = @expected_seq AND head_hash = @expected_hash`,
  beginHead: `INSERT INTO site_ingest (site_id, ${stateColumns.join(', ')})
    SELECT id, ${stateColumns.map((column) => `@${column}`).join(', ')} FROM sites WHERE id = @site_id
    ON CONFLICT (site_id) DO NOTHING`,
  log: 'INSERT INTO site_log (site_id, seq, at, kind, hash, received_at, text) VALUES (?, ?, ?, ?, ?, ?, ?)',
  open: `INSERT INTO deployments (site_id, deployed_seq, endpoint_id, machine_id, host_name, kind, origin, agent_version, deployed_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  close: `UPDATE deployments SET removed_at = ?, removed_seq = ?, removed_reason = ?
    WHERE site_id = ? AND endpoint_id = ? AND removed_at IS NULL AND kind = ?`,
  reopen: `INSERT INTO deployments (site_id, deployed_seq, endpoint_id, machine_id, host_name, kind, origin, agent_version, deployed_at)
    SELECT site_id, ?, endpoint_id, machine_id, ?, ?, ?, ?, ? FROM deployments WHERE site_id = ? AND endpoint_id = ? AND removed_seq = ?`,
  facts:
    'UPDATE deployments SET host_name = ?, origin = ?, agent_version = ? WHERE site_id = ? AND endpoint_id = ? AND removed_at IS NULL',
  month: `INSERT INTO month_counts
      (site_id, month, period_start, period_end, server_peak, server_peak_at, workstation_peak, workstation_peak_at, settled)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (site_id, month) DO UPDATE SET period_start = excluded.period_start, period_end = excluded.period_end,
      server_peak = excluded.server_peak, server_peak_at = excluded.server_peak_at,
      workstation_peak = excluded.workstation_peak, workstation_peak_at = excluded.workstation_peak_at, settled = excluded.settled`,
  keyState: 'UPDATE product_keys SET site_state = ? WHERE id = ? AND site_id = ?',
  report: `INSERT INTO report_revisions
      (site_id, month, revision, seq, hash, agreeing, received_at, server_peak, workstation_peak, report)
    VALUES (@site_id, @month, @revision, @seq, @hash, @agreeing, @received_at, @server_peak, @workstation_peak, @report)`,
  command:
    'UPDATE commands SET outcome = ?, code = ?, answered_at = ? WHERE id = ? AND site_id = ? AND outcome IS NULL',
  finding: 'INSERT INTO findings (id, site_id, code, message, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
} as const;

/** Each statement is prepared once a connection; the tables are there from the first migration on. */
const prepareAll = (prepare: SqliteEngine['prepare']): IngestStatements => ({
  savepoint: prepare(texts.savepoint),
  release: prepare(texts.release),
  rollbackTo: prepare(texts.rollbackTo),
  publicKey: prepare(texts.publicKey),
  moveHead: prepare(texts.moveHead),
  beginHead: prepare(texts.beginHead),
  log: prepare(texts.log),
  open: prepare(texts.open),
  close: prepare(texts.close),
  reopen: prepare(texts.reopen),
  facts: prepare(texts.facts),
  month: prepare(texts.month),
  keyState: prepare(texts.keyState),
  report: prepare(texts.report),
  command: prepare(texts.command),
  finding: prepare(texts.finding),
});
