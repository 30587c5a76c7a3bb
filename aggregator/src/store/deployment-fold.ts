/** Applies a plan's changes of deployments to the open rows they meet, in order, in memory. For engines where each statement is a trip. */
import type { DeploymentChange } from '../core/ingest-plan.ts';
import { kindChangedReason } from './ingest-rows.ts';
import type { DeploymentRow } from './schema.ts';

/** Rows to insert as they end up, and rows held already that changed. */
export type FoldedDeployments = { inserted: DeploymentRow[]; updated: DeploymentRow[] };

/**
 * @param open the rows of the site's endpoints that stand open, by endpoint; left as they are.
 * @returns undefined when a change contradicts what is open: opened twice, closed or changed without being open.
 */
export function foldDeployments(
  siteId: string,
  changes: readonly DeploymentChange[],
  open: ReadonlyMap<string, DeploymentRow>,
): FoldedDeployments | undefined {
  const current = new Map<string, DeploymentRow>();
  for (const [endpointId, row] of open) current.set(endpointId, { ...row });
  const held = new Set(current.values());
  const inserted: DeploymentRow[] = [];
  const updated = new Set<DeploymentRow>();

  const begin = (row: Omit<DeploymentRow, 'site_id' | 'removed_at' | 'removed_seq' | 'removed_reason'>): void => {
    const whole = { site_id: siteId, ...row, removed_at: null, removed_seq: null, removed_reason: null };
    current.set(row.endpoint_id, whole);
    inserted.push(whole);
  };
  const change = (row: DeploymentRow, values: Partial<DeploymentRow>): void => {
    Object.assign(row, values);
    if (held.has(row)) updated.add(row);
  };

  for (const each of changes) {
    const row = current.get(each.endpointId);
    if (each.change === 'open') {
      if (row !== undefined) return undefined;
      const { endpointId, machineId, hostName, kind, origin, agentVersion, deployedAt, deployedSeq } = each;
      begin({
        deployed_seq: deployedSeq,
        endpoint_id: endpointId,
        machine_id: machineId,
        host_name: hostName,
        kind,
        origin,
        agent_version: agentVersion,
        deployed_at: deployedAt,
      });
      continue;
    }
    if (row === undefined) return undefined;
    switch (each.change) {
      case 'close':
        if (row.kind !== each.kind) return undefined;
        change(row, { removed_at: each.removedAt, removed_seq: each.removedSeq, removed_reason: each.reason });
        current.delete(each.endpointId);
        break;
      case 'kind': {
        if (row.kind !== each.kindBefore) return undefined;
        const { endpointId, kind, hostName, origin, agentVersion, at, seq } = each;
        change(row, { removed_at: at, removed_seq: seq, removed_reason: kindChangedReason });
        begin({
          deployed_seq: seq,
          endpoint_id: endpointId,
          machine_id: row.machine_id,
          host_name: hostName,
          kind,
          origin,
          agent_version: agentVersion,
          deployed_at: at,
        });
        break;
      }
      case 'facts':
        change(row, { host_name: each.hostName, origin: each.origin, agent_version: each.agentVersion });
        break;
    }
  }
  return { inserted, updated: [...updated] };
}
