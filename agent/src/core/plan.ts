/**
 * A plan: what one event, or a group of them, does to a site's disk, to be applied as one atomic transaction. Owns the unit
 * of work that collects it while it brings the state forward; applying it to disk is `ledger/site-store.ts`.
 */
import { type Instant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type ChainedEntry, chainDrafts } from '@rollcall/shared/ledger/chain.ts';
import type { Digest, Hash, Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { EntryBody, EntryDraft, EntryKind, KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { applyEntry, applySoftChange, type SiteState, type SoftChange, stageStartsOf } from './site-state.ts';

export type Plan = {
  /** The head on disk that the plan was made for; on any other it must not be applied. */
  expectedHead: { seq: number; hash: Hash };
  entries: ChainedEntry<KnownEntry>[];
  softChanges: SoftChange[];
};

export const isEmptyPlan = (plan: Plan): boolean => plan.entries.length === 0 && plan.softChanges.length === 0;

/** What deciding needs beside state and event. All pure: the same arguments give the same answers. */
export type SitePorts = {
  digest: Digest;
  signer: Signer;
  /** Entries on disk from number 1: read for corrections of old months only. */
  history: () => Iterable<KnownEntry>;
};

/** One unit of work: collects a plan, and makes each step of it visible to the next. */
export class Work {
  readonly state: SiteState;
  readonly ports: SitePorts;
  readonly plan: Plan;

  constructor(state: SiteState, ports: SitePorts) {
    this.state = state;
    this.ports = ports;
    this.plan = { expectedHead: { seq: state.head.seq, hash: state.head.hash }, entries: [], softChanges: [] };
  }

  /** Appends an entry; an instant before the ledger's head is raised to it, since entries never run backwards. */
  append<Kind extends EntryKind>(at: Instant, kind: Kind, body: EntryBody<Kind>): void {
    const { head } = this.state;
    // The compiler cannot see that `kind` and `body` belong together once both are of a type parameter; the signature says so.
    const draft = { at: at < head.at ? head.at : at, kind, body } as EntryDraft;
    for (const chained of chainDrafts(head, [draft], this.ports.digest).entries) {
      applyEntry(this.state, chained.entry, chained.hash);
      this.plan.entries.push(chained);
      if (chained.entry.kind === 'agent-deployed') this.#lowerHeardFloor(chained.entry.at);
    }
  }

  /** Changes soft state. */
  change(change: SoftChange): void {
    const { state } = this;
    if (change.kind === 'registered') {
      const { endpointId, machineId, credentialHash } = change.registration;
      const earlier = state.soft.registrations.get(endpointId);
      if (earlier !== undefined) state.endpointOfCredential.delete(earlier.credentialHash);
      state.endpointOfMachine.set(machineId, endpointId);
      state.endpointOfCredential.set(credentialHash, endpointId);
    } else if (change.kind === 'registration-forgotten') {
      const earlier = state.soft.registrations.get(change.endpointId);
      if (earlier !== undefined) {
        state.endpointOfCredential.delete(earlier.credentialHash);
        // A machine that ever had an agent keeps its endpoint: the ledger knows it.
        if (!state.agents.has(change.endpointId) && !state.removedAt.has(change.endpointId))
          state.endpointOfMachine.delete(earlier.machineId);
      }
    } else if (change.kind === 'heard') {
      this.#lowerHeardFloor(change.at);
    } else if (change.kind === 'lease') {
      state.stageStarts.set(change.lease.keyId, stageStartsOf(change.lease));
    }
    applySoftChange(state.soft, change);
    this.plan.softChanges.push(change);
  }

  #lowerHeardFloor(at: Instant): void {
    this.state.heardFloorMs = Math.min(this.state.heardFloorMs, msOfInstant(at));
  }
}
