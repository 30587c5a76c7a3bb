/**
 * Group commit on PostgreSQL: all plans in one transaction, in a number of round trips that does not depend on how many
 * they are. The sites are locked in one order first; what the plans contradict is then seen in memory, before anything is
 * written. A rule of a table that is broken all the same undoes the group, whose plans are then applied one by one.
 */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { IngestPlan, IngestResult } from '../core/ingest-plan.ts';
import { type FoldedDeployments, foldDeployments } from './deployment-fold.ts';
import { Undone } from './engine.ts';
import { ingestRowOf, monthCountRow, reportRow, stateColumns } from './ingest-rows.ts';
import type { RunQuery } from './postgres-connection.ts';
import { type PostgresEngine, sqlState } from './postgres-engine.ts';
import type { DeploymentRow, SiteIngestRow, SiteRow } from './schema.ts';
import type { IngestStore } from './store.ts';

/** Characters of JSON that travel in one statement, roughly. */
const logCharactersMax = 8 * 1024 * 1024;

const conflict: IngestResult = { ok: false, code: 'CONFLICT' };
const keyReplaced: IngestResult = { ok: false, code: 'KEY_REPLACED' };
const contradiction: IngestResult = { ok: false, code: 'CONTRADICTION' };

/** A rule of a table was broken by one of the plans. */
class RuleBroken extends Undone {}

export function postgresIngest(engine: PostgresEngine): Pick<IngestStore, 'apply'> {
  const applyGroup = (plans: readonly IngestPlan[]): Promise<IngestResult[]> =>
    engine.transaction(async (query) => {
      const results = new Map<IngestPlan, IngestResult>();
      try {
        for (const round of rounds(plans))
          for (const [plan, result] of await applyRound(query, round)) results.set(plan, result);
      } catch (error) {
        if (sqlState(error)?.startsWith('23') === true) throw new RuleBroken();
        throw error;
      }
      return plans.map((plan) => results.get(plan) ?? conflict);
    });

  return {
    async apply(plans) {
      if (plans.length === 0) return [];
      try {
        return await applyGroup(plans);
      } catch (error) {
        if (!(error instanceof RuleBroken)) throw error;
      }
      const results: IngestResult[] = [];
      for (const plan of plans) {
        try {
          results.push(...(await applyGroup([plan])));
        } catch (error) {
          if (!(error instanceof RuleBroken)) throw error;
          results.push(contradiction);
        }
      }
      return results;
    },
  };
}

type Accepted = { plan: IngestPlan; deployments: FoldedDeployments };

async function applyRound(query: RunQuery, plans: readonly IngestPlan[]): Promise<Map<IngestPlan, IngestResult>> {
  const results = new Map<IngestPlan, IngestResult>(plans.map((plan) => [plan, conflict]));
  const keys = await lockedKeys(query, plans);
  const entitled = plans.filter((plan) => {
    const key = keys.get(plan.siteId);
    if (key !== undefined && key !== plan.enrolledPublicKey) results.set(plan, keyReplaced);
    return key === plan.enrolledPublicKey;
  });
  const standing = await plansThatStand(query, entitled);
  const [open, reported] = [await openDeployments(query, standing), await heldReports(query, standing)];
  const accepted: Accepted[] = [];
  for (const plan of standing) {
    const deployments = foldDeployments(plan.siteId, plan.deployments, open.get(plan.siteId) ?? new Map());
    const repeated = plan.reports.some(({ month, revision }) => reported.has(`${plan.siteId} ${month} ${revision}`));
    if (deployments === undefined || repeated) {
      results.set(plan, contradiction);
      continue;
    }
    results.set(plan, { ok: true });
    accepted.push({ plan, deployments });
  }
  if (accepted.length > 0) await write(query, accepted);
  return results;
}

/** Locks the sites in the one order that row-locks.ts names, and says which key each is enrolled with. */
async function lockedKeys(query: RunQuery, plans: readonly IngestPlan[]): Promise<Map<string, string | null>> {
  const locked = await query(
    'SELECT id, public_key FROM sites WHERE id IN (SELECT json_array_elements_text($1::json)) ORDER BY id FOR NO KEY UPDATE',
    [JSON.stringify(plans.map(({ siteId }) => siteId))],
  );
  return new Map((locked.rows as Pick<SiteRow, 'id' | 'public_key'>[]).map((row) => [row.id, row.public_key]));
}

/** Reads where the ledgers of locked sites stand: a head read by the locking query could be one from before the wait. */
async function plansThatStand(query: RunQuery, plans: readonly IngestPlan[]): Promise<IngestPlan[]> {
  const siteIds = JSON.stringify(plans.map(({ siteId }) => siteId));
  const held = await query(
    'SELECT site_id, head_seq, head_hash FROM site_ingest WHERE site_id IN (SELECT json_array_elements_text($1::json))',
    [siteIds],
  );
  const heads = new Map(
    (held.rows as Pick<SiteIngestRow, 'site_id' | 'head_seq' | 'head_hash'>[]).map((row) => [row.site_id, row]),
  );
  return plans.filter(({ siteId, expected }) => {
    const head = heads.get(siteId);
    if (head === undefined) return expected.seq === 0;
    return head.head_seq === expected.seq && head.head_hash === expected.hash && expected.seq > 0;
  });
}

/** The open deployments of all endpoints that the plans speak of, by site and endpoint. */
async function openDeployments(
  query: RunQuery,
  plans: readonly IngestPlan[],
): Promise<Map<string, Map<string, DeploymentRow>>> {
  const bySite = new Map<string, Map<string, DeploymentRow>>();
  const asked = plans.flatMap(({ siteId, deployments }) =>
    [...new Set(deployments.map(({ endpointId }) => endpointId))].map((endpoint_id) => ({
      site_id: siteId,
      endpoint_id,
    })),
  );
  if (asked.length === 0) return bySite;
  const { rows } = await query(
    `SELECT deployments.* FROM json_to_recordset($1::json) AS asked (site_id text, endpoint_id text)
      JOIN deployments ON deployments.site_id = asked.site_id AND deployments.endpoint_id = asked.endpoint_id AND deployments.removed_at IS NULL`,
    [JSON.stringify(asked)],
  );
  for (const row of rows as DeploymentRow[]) {
    const ofSite = bySite.get(row.site_id) ?? new Map<string, DeploymentRow>();
    ofSite.set(row.endpoint_id, row);
    bySite.set(row.site_id, ofSite);
  }
  return bySite;
}

/** Which of the plans' report revisions are held already. */
async function heldReports(query: RunQuery, plans: readonly IngestPlan[]): Promise<Set<string>> {
  const asked = plans.flatMap(({ siteId, reports }) =>
    reports.map(({ month, revision }) => ({ site_id: siteId, month, revision })),
  );
  if (asked.length === 0) return new Set();
  const { rows } = await query(
    `SELECT held.site_id, held.month, held.revision FROM json_to_recordset($1::json) AS asked (site_id text, month text, revision bigint)
      JOIN report_revisions AS held ON held.site_id = asked.site_id AND held.month = asked.month AND held.revision = asked.revision`,
    [JSON.stringify(asked)],
  );
  return new Set(
    (rows as { site_id: string; month: string; revision: number }[]).map(
      (row) => `${row.site_id} ${row.month} ${row.revision}`,
    ),
  );
}

async function write(query: RunQuery, accepted: readonly Accepted[]): Promise<void> {
  const plans = accepted.map(({ plan }) => plan);
  const run = async (text: string, rows: readonly object[], mustChange?: number): Promise<void> => {
    if (rows.length === 0) return;
    const { changed } = await query(text, [JSON.stringify(rows)]);
    if (mustChange !== undefined && changed !== mustChange)
      throw new RollcallError(
        'STORE_CONTRADICTION',
        `expected ${mustChange} changed rows, got ${changed}: ${text.slice(0, 80)}`,
        { retryable: false },
      );
  };

  const states = plans.map(({ next }) => ingestRowOf(next));
  await run(texts.state, states, states.length);
  for (const rows of logChunks(plans)) await run(texts.log, rows, rows.length);
  const updated = accepted.flatMap(({ deployments }) => deployments.updated);
  // What ends goes first, for the rule that one endpoint has one open deployment.
  await run(texts.deploymentChange, updated, updated.length);
  await run(
    texts.deployment,
    accepted.flatMap(({ deployments }) => deployments.inserted),
  );
  await run(
    texts.month,
    plans.flatMap(({ siteId, months }) => [
      ...new Map(months.map((count) => [count.month, monthCountRow(siteId, count)])).values(),
    ]),
  );
  await run(
    texts.keyState,
    plans.flatMap(({ siteId, keyStates }) => [
      ...new Map(
        keyStates.map(({ keyId, state }) => [keyId, { site_id: siteId, id: keyId, site_state: state }]),
      ).values(),
    ]),
  );
  await run(
    texts.report,
    plans.flatMap(({ siteId, reports, receivedAt }) =>
      reports.map((received) => reportRow(siteId, received, receivedAt)),
    ),
  );
  await run(
    texts.command,
    plans.flatMap(({ siteId, commandsApplied }) => {
      const first = new Map<string, object>();
      for (const { commandId, outcome, code, at } of commandsApplied) {
        if (!first.has(commandId))
          first.set(commandId, { site_id: siteId, id: commandId, outcome, code, answered_at: at });
      }
      return [...first.values()];
    }),
  );
  await run(
    texts.finding,
    plans.flatMap(({ findings }) =>
      findings.map(({ id, siteId, code, message, at }) => ({ id, site_id: siteId, code, message, at })),
    ),
  );
}

/** Log rows of all plans, in texts of bounded length. */
function* logChunks(plans: readonly IngestPlan[]): Generator<object[]> {
  let chunk: object[] = [];
  let characters = 0;
  for (const { siteId, receivedAt, log } of plans) {
    for (const { seq, at, kind, hash, text } of log) {
      if (characters > 0 && characters + text.length > logCharactersMax) {
        yield chunk;
        chunk = [];
        characters = 0;
      }
      chunk.push({ site_id: siteId, seq, at, kind, hash, received_at: receivedAt, text });
      characters += text.length;
    }
  }
  if (chunk.length > 0) yield chunk;
}

/** Plans of one site follow one another; those of different sites go together. */
function rounds(plans: readonly IngestPlan[]): IngestPlan[][] {
  const rounds: IngestPlan[][] = [];
  const turn = new Map<string, number>();
  for (const plan of plans) {
    const index = turn.get(plan.siteId) ?? 0;
    turn.set(plan.siteId, index + 1);
    const round = rounds[index];
    if (round === undefined) rounds.push([plan]);
    else round.push(plan);
  }
  return rounds;
}

const monthColumns = [
  'period_start',
  'period_end',
  'server_peak',
  'server_peak_at',
  'workstation_peak',
  'workstation_peak_at',
  'settled',
];
const deploymentColumns = [
  'endpoint_id',
  'machine_id',
  'host_name',
  'kind',
  'origin',
  'agent_version',
  'deployed_at',
  'removed_at',
  'removed_seq',
  'removed_reason',
];

/** Inserts rows that come as one JSON array whose names are the columns'. */
const insertFromJson = (table: string, columns: readonly string[]): string =>
  `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM json_populate_recordset(null::${table}, $1::json)`;
const overwrite = (columns: readonly string[]): string =>
  `DO UPDATE SET ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`;

const texts = {
  state: `${insertFromJson('site_ingest', ['site_id', ...stateColumns])} ON CONFLICT (site_id) ${overwrite(stateColumns)}`,
  log: insertFromJson('site_log', ['site_id', 'seq', 'at', 'kind', 'hash', 'received_at', 'text']),
  deploymentChange: `UPDATE deployments SET ${[
    'host_name',
    'origin',
    'agent_version',
    'removed_at',
    'removed_seq',
    'removed_reason',
  ]
    .map((column) => `${column} = changed.${column}`)
    .join(', ')}
    FROM json_populate_recordset(null::deployments, $1::json) AS changed
    WHERE deployments.site_id = changed.site_id AND deployments.deployed_seq = changed.deployed_seq`,
  deployment: insertFromJson('deployments', ['site_id', 'deployed_seq', ...deploymentColumns]),
  month: `${insertFromJson('month_counts', ['site_id', 'month', ...monthColumns])} ON CONFLICT (site_id, month) ${overwrite(monthColumns)}`,
  keyState: `UPDATE product_keys SET site_state = said.site_state FROM json_populate_recordset(null::product_keys, $1::json) AS said
    WHERE product_keys.id = said.id AND product_keys.site_id = said.site_id`,
  report: insertFromJson('report_revisions', [
    'site_id',
    'month',
    'revision',
    'seq',
    'hash',
    'agreeing',
    'received_at',
    'server_peak',
    'workstation_peak',
    'report',
  ]),
  command: `UPDATE commands SET outcome = answer.outcome, code = answer.code, answered_at = answer.answered_at
    FROM json_populate_recordset(null::commands, $1::json) AS answer
    WHERE commands.id = answer.id AND commands.site_id = answer.site_id AND commands.outcome IS NULL`,
  finding: `${insertFromJson('findings', ['id', 'site_id', 'code', 'message', 'at'])} ON CONFLICT (id) DO NOTHING`,
} as const;
