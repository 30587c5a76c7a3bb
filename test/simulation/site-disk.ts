/**
 * The disk of one simulated Site Manager: what `ledger/site-store.ts` keeps in SQLite, kept in memory. It outlives the
 * program; a plan is on it whole or not at all.
 */
import type { Plan } from '@rollcall/agent/core/plan.ts';
import type { Reading } from '@rollcall/agent/core/site-clock.ts';
import {
  applySoftChange,
  emptySoftState,
  rebuildSite,
  type SiteState,
  type SoftState,
} from '@rollcall/agent/core/site-state.ts';
import { utf8Bytes } from '@rollcall/shared/domain/utf8.ts';
import { type ChainedEntry, chainDrafts, emptyHead, type Head } from '@rollcall/shared/ledger/chain.ts';
import type { EntryDraft, KnownEntry, LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';

export class SiteDisk {
  readonly entries: ChainedEntry<KnownEntry>[];
  readonly #soft: SoftState = emptySoftState();

  constructor(enrolled: EntryDraft & { kind: 'site-enrolled' }) {
    this.entries = chainDrafts(emptyHead, [enrolled], nodeDigest).entries;
  }

  head(): Head {
    const last = this.entries.at(-1);
    if (last === undefined) return emptyHead;
    return { seq: last.entry.seq, hash: last.hash, at: last.entry.at };
  }

  /** The registrations, leases and heartbeats on disk; to be looked at only. */
  get soft(): SoftState {
    return this.#soft;
  }

  applyPlan(plan: Plan): void {
    const head = this.head();
    if (plan.expectedHead.seq !== head.seq || plan.expectedHead.hash !== head.hash)
      throw new Error(`a plan for entry ${plan.expectedHead.seq} came to a disk that stands at ${head.seq}`);
    this.entries.push(...plan.entries);
    for (const change of plan.softChanges) applySoftChange(this.#soft, change);
  }

  load(reading: Reading): SiteState {
    const copy: SoftState = {
      ...this.#soft,
      registrations: new Map(this.#soft.registrations),
      leases: new Map(this.#soft.leases),
    };
    return rebuildSite(
      this.entries.map(({ entry, hash }) => ({ entry, hash })),
      copy,
      reading,
    );
  }

  *history(): IterableIterator<KnownEntry> {
    for (const { entry } of this.entries) yield entry;
  }

  entriesAfter(seq: number, limits: { entriesMax: number; bytesMax: number }): LedgerEntry[] {
    const found: LedgerEntry[] = [];
    let bytes = 0;
    for (const { entry, text } of this.entries.slice(seq, seq + limits.entriesMax)) {
      bytes += utf8Bytes(text);
      if (found.length > 0 && bytes > limits.bytesMax) break;
      found.push(entry);
    }
    return found;
  }
}
