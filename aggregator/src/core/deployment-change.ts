/** What an entry about an agent does to the site's rows of deployments. Counting it is shared/ledger/intervals.ts. */
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import type { DeploymentChange } from './ingest-plan.ts';

export type AgentEntry = KnownEntry & { kind: 'agent-deployed' | 'agent-changed' | 'agent-removed' };

export function deploymentChange(entry: AgentEntry): DeploymentChange {
  const { at, seq } = entry;
  switch (entry.kind) {
    case 'agent-deployed': {
      const { endpointId, machineId, hostName, agentKind: kind, origin, agentVersion } = entry.body;
      return {
        change: 'open',
        endpointId,
        machineId,
        hostName,
        kind,
        origin,
        agentVersion,
        deployedAt: at,
        deployedSeq: seq,
      };
    }
    case 'agent-removed': {
      const { endpointId, agentKind: kind, reason } = entry.body;
      return { change: 'close', endpointId, kind, removedAt: at, removedSeq: seq, reason };
    }
    case 'agent-changed': {
      const { endpointId, agentKindBefore: kindBefore, agentKind: kind, hostName, origin, agentVersion } = entry.body;
      if (kind === kindBefore) return { change: 'facts', endpointId, hostName, origin, agentVersion };
      return { change: 'kind', endpointId, kindBefore, kind, hostName, origin, agentVersion, at, seq };
    }
  }
}
