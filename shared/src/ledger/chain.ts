/** The hash chain: gives a draft its number, computes hashes, checks that entries follow one another. Storage is elsewhere. */
import type { Instant } from '../domain/instant.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Digest, Hash } from './crypto.ts';
import type { EntryDraft, KnownEntry, LedgerEntry } from './entry.ts';
import { entryBytesMax, fitsEntry } from './entry-size.ts';

/** Where a chain stands: number, hash and instant of its last entry. */
export type Head = { seq: number; hash: Hash; at: Instant };

/** The head of an empty ledger; the first entry's `prev` is 64 zeros. */
export const emptyHead: Head = { seq: 0, hash: '0'.repeat(64), at: '1970-01-01T00:00:00.000Z' };

/** An entry with its canonical text and the hash of that text: SHA-256 of the canonical JSON of {seq, at, kind, body, prev}. */
export type ChainedEntry<Entry extends LedgerEntry | KnownEntry = LedgerEntry> = {
  entry: Entry;
  text: string;
  hash: Hash;
};

export function chainText(entry: Pick<LedgerEntry, 'seq' | 'at' | 'kind' | 'prev'> & { body: unknown }): string {
  return canonicalJson({ at: entry.at, body: entry.body, kind: entry.kind, prev: entry.prev, seq: entry.seq });
}

/**
 * Appends drafts to a chain. @throws RangeError when a draft is dated before the head or is longer than
 * `entryBytesMax`: both are errors of the program, not of its input.
 */
export function chainDrafts(
  head: Head,
  drafts: readonly EntryDraft[],
  digest: Digest,
): { entries: ChainedEntry<KnownEntry>[]; head: Head } {
  const entries: ChainedEntry<KnownEntry>[] = [];
  let current = head;
  for (const draft of drafts) {
    if (draft.at < current.at)
      throw new RangeError(`entry ${current.seq + 1} is dated ${draft.at}, before its predecessor ${current.at}`);
    const entry: KnownEntry = { ...draft, seq: current.seq + 1, prev: current.hash };
    const text = chainText(entry);
    if (!fitsEntry(text)) throw new RangeError(`entry ${entry.seq} is longer than ${entryBytesMax} bytes`);
    current = { seq: entry.seq, hash: digest.sha256(text), at: entry.at };
    entries.push({ entry, text, hash: current.hash });
  }
  return { entries, head: current };
}

export type ChainBreak = {
  ok: false;
  /** `GAP`: not the next number. `FORK`: the next number, another past. `TIME_BACKWARDS`: dated before its predecessor. */
  code: 'GAP' | 'FORK' | 'TIME_BACKWARDS' | 'ENTRY_TOO_LONG';
  seq: number;
  message: string;
};

/** Checks that `entries` continue the chain at `head`, and hashes them. Stops at the first break. */
export function followChain<Entry extends LedgerEntry>(
  head: Head,
  entries: readonly Entry[],
  digest: Digest,
): { ok: true; entries: ChainedEntry<Entry>[]; head: Head } | ChainBreak {
  const chained: ChainedEntry<Entry>[] = [];
  let current = head;
  for (const entry of entries) {
    const { seq } = entry;
    if (seq !== current.seq + 1)
      return { ok: false, code: 'GAP', seq, message: `expected entry ${current.seq + 1}, got ${seq}` };
    if (entry.prev !== current.hash)
      return {
        ok: false,
        code: 'FORK',
        seq,
        message: `entry ${seq} does not follow the entry ${current.seq} known here`,
      };
    if (entry.at < current.at)
      return { ok: false, code: 'TIME_BACKWARDS', seq, message: `entry ${seq} is dated before entry ${current.seq}` };
    const text = chainText(entry);
    if (!fitsEntry(text))
      return { ok: false, code: 'ENTRY_TOO_LONG', seq, message: `entry ${seq} is longer than ${entryBytesMax} bytes` };
    current = { seq, hash: digest.sha256(text), at: entry.at };
    chained.push({ entry, text, hash: current.hash });
  }
  return { ok: true, entries: chained, head: current };
}
