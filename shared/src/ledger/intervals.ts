/** From ledger entries to intervals of deployed agents: the one reading of agent-deployed, -changed and -removed. */
import type { AgentKind } from '../domain/agent-kind.ts';
import type { Instant } from '../domain/instant.ts';
import type { DeployedInterval } from '../metering/interval.ts';
import type { EntryDraft } from './entry.ts';

/** What an entry does to the count of one kind at its instant. */
export type CountChange = { endpointId: string; kind: AgentKind; delta: 1 | -1 };

/** Changes an entry makes: none, one, or two for a change of kind (the old kind's end comes first). */
export function countChanges(entry: EntryDraft): readonly CountChange[] {
  switch (entry.kind) {
    case 'agent-deployed':
      return [{ endpointId: entry.body.endpointId, kind: entry.body.agentKind, delta: 1 }];
    case 'agent-removed':
      return [{ endpointId: entry.body.endpointId, kind: entry.body.agentKind, delta: -1 }];
    case 'agent-changed':
      return entry.body.agentKind === entry.body.agentKindBefore
        ? []
        : [
            { endpointId: entry.body.endpointId, kind: entry.body.agentKindBefore, delta: -1 },
            { endpointId: entry.body.endpointId, kind: entry.body.agentKind, delta: 1 },
          ];
    default:
      return [];
  }
}

/** An endpoint's open interval. */
export type OpenInterval = { kind: AgentKind; deployedAt: Instant };

/** Collects intervals as entries pass. `open` holds those still deployed, `closed` the ended ones in order of their end. */
export class IntervalBook {
  readonly open = new Map<string, OpenInterval>();
  closed: DeployedInterval[] = [];

  /** @throws RangeError when the entry contradicts what is open: deployed twice, or removed without being there. */
  apply(entry: EntryDraft): void {
    for (const { endpointId, kind, delta } of countChanges(entry)) {
      const open = this.open.get(endpointId);
      if (delta === 1) {
        if (open !== undefined) throw new RangeError(`${endpointId} is deployed already, since ${open.deployedAt}`);
        this.open.set(endpointId, { kind, deployedAt: entry.at });
      } else {
        if (open === undefined || open.kind !== kind) throw new RangeError(`${endpointId} is not deployed as ${kind}`);
        this.open.delete(endpointId);
        this.closed.push({ endpoint: endpointId, kind, deployedAt: open.deployedAt, removedAt: entry.at });
      }
    }
  }

  /** All intervals, ended and open. */
  all(): DeployedInterval[] {
    const open = [...this.open].map(([endpoint, { kind, deployedAt }]) => ({
      endpoint,
      kind,
      deployedAt,
      removedAt: null,
    }));
    return [...this.closed, ...open];
  }

  /** Forgets intervals that ended at or before `instant`: nothing that begins then can meet them. */
  forgetBefore(instant: Instant): void {
    this.closed = this.closed.filter((interval) => interval.removedAt !== null && interval.removedAt > instant);
  }
}
