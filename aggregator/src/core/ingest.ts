/**
 * Decides what a batch of ledger entries does to what the aggregator holds of a site: what of it is held already, whether the
 * rest follows, and the plan of it. Pure; what an entry does is ingest-planner.ts, the store applies the plan, the gateway
 * fetches what is asked for here (`replayCheck`, the months that `planIngest` yields) and answers the site.
 */
import type { Month } from '@rollcall/shared/domain/month.ts';
import { type Outcome, type Refusal, refuse } from '@rollcall/shared/domain/problem.ts';
import { type ChainedEntry, emptyHead, followChain, type Head } from '@rollcall/shared/ledger/chain.ts';
import type { Digest, Hash, PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import { type LedgerEntry, readEntry } from '@rollcall/shared/ledger/entry.ts';
import type { RejectCode } from '@rollcall/shared/protocol/reject.ts';
import type { HeldMonth, IngestContext, IngestPlan, SiteIngestState } from './ingest-plan.ts';
import { IngestPlanner, type TakenEntry } from './ingest-planner.ts';

/** Every way a batch is refused; `BACKLOG_FULL` is the gateway's own. */
export type IngestRejectCode = Exclude<RejectCode, 'BACKLOG_FULL'>;

/**
 * A plan in the making: yields each month that has to be counted again for a report, and goes on with what is held of it. It
 * keeps none of these, so that a batch of many reports takes no more memory than its largest month.
 */
export type IngestPlanning = Generator<Month, Outcome<{ plan: IngestPlan }, IngestRejectCode>, HeldMonth>;

/** The state of a site of which nothing was received. */
export const freshState = (site: { siteId: string; publicKey: PublicKey; timeZone: string }): SiteIngestState => ({
  ...site,
  head: emptyHead,
  month: null,
  periodStart: null,
  meter: null,
  settled: null,
  sealed: false,
});

/**
 * Takes off what the state holds already. The first `held` entries are replayed; they are the ones held exactly if the
 * last of them has the hash held at its number (`check`; null when that was the head and it has), because each hash
 * covers all before it. Refused when the replayed part breaks its own chain, or ends at the head with another hash.
 */
export function replayCheck(
  head: Head,
  entries: readonly LedgerEntry[],
  digest: Digest,
): Outcome<{ held: number; check: { seq: number; hash: Hash } | null }, IngestRejectCode> {
  const [first] = entries;
  if (first === undefined || first.seq > head.seq) return { ok: true, held: 0, check: null };
  const replayed = entries.slice(0, head.seq - first.seq + 1);
  const followed = follow({ seq: first.seq - 1, hash: first.prev, at: first.at }, replayed, digest);
  if (!followed.ok) return followed;
  const { seq, hash } = followed.head;
  if (seq < head.seq) return { ok: true, held: replayed.length, check: { seq, hash } };
  return hash === head.hash ? { ok: true, held: replayed.length, check: null } : fork(seq);
}

/** The refusal of an entry that is held with another hash. */
export const fork = (seq: number): Refusal<'FORK'> => refuse('FORK', `entry ${seq} is held here with another hash`);

/**
 * Plans what entries that follow the state's head do. Every refusal leaves the state as it was. Chain and bodies are looked at
 * first: months are asked for only by reports that are signed and stand in their place.
 */
export function* planIngest(
  state: SiteIngestState,
  entries: readonly LedgerEntry[],
  context: IngestContext,
): IngestPlanning {
  const followed = follow(state.head, entries, context.digest);
  if (!followed.ok) return followed;
  const read = readBodies(followed.entries);
  if (!read.ok) return read;
  const planner = new IngestPlanner(state, context);
  for (const taken of read.entries) {
    const problem = yield* planner.take(taken);
    if (problem !== undefined) return badEntry(taken.entry.seq, problem);
  }
  const problem = planner.finish();
  return problem === undefined ? { ok: true, plan: planner.plan() } : refuse('BAD_ENTRY', problem);
}

type Followed = { entries: ChainedEntry[]; head: Head };

function follow(head: Head, entries: readonly LedgerEntry[], digest: Digest): Outcome<Followed, IngestRejectCode> {
  try {
    const followed = followChain(head, entries, digest);
    return followed.ok ? followed : refuse(followed.code, followed.message);
  } catch (error) {
    // Text that has no canonical form (lone surrogates, nesting without end): parsed JSON can hold it, a ledger cannot.
    if (!(error instanceof TypeError)) throw error;
    return refuse('BAD_ENTRY', `after entry ${head.seq}: ${error.message}`);
  }
}

function readBodies(chained: readonly ChainedEntry[]): Outcome<{ entries: TakenEntry[] }, 'BAD_ENTRY'> {
  const entries: TakenEntry[] = [];
  for (const each of chained) {
    const known = readEntry(each.entry);
    if (!known.ok && known.code === 'BAD_BODY') return badEntry(each.entry.seq, known.message);
    entries.push({ ...each, known: known.ok ? known.entry : null });
  }
  return { ok: true, entries };
}

const badEntry = (seq: number, problem: string): Refusal<'BAD_ENTRY'> =>
  refuse('BAD_ENTRY', `entry ${seq}: ${problem}`.slice(0, 500));
