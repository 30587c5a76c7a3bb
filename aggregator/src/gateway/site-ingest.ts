/**
 * Takes one append of a site through: what is held already, the plan, the commit, the second look when the site's head moved
 * meanwhile. Owns the order of these steps; deciding is core/ingest.ts, answering the site is session.ts.
 */
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Outcome, RollcallError, refuse } from '@rollcall/shared/domain/problem.ts';
import type { Digest, PublicKey, Verifier } from '@rollcall/shared/ledger/crypto.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import type { RejectCode } from '@rollcall/shared/protocol/reject.ts';
import { fork, freshState, planIngest, replayCheck } from '../core/ingest.ts';
import type { SiteIngestState } from '../core/ingest-plan.ts';
import type { SiteSession, Store } from '../store/store.ts';
import type { GroupCommit } from './group-commit.ts';
import type { MonthRecounts } from './month-recounts.ts';

/** A site as its session knows it. */
export type IngestingSite = { state: SiteIngestState; publicKey: PublicKey; enrolledAt: Instant; ledgerSeq: number };

/** `state`: where the site stands after it, whatever came of the append. */
export type AppendOutcome =
  | { ok: true; state: SiteIngestState; progressed: boolean }
  | { ok: false; code: RejectCode | 'KEY_REPLACED'; message: string; state: SiteIngestState };

/** The site was enrolled with another key since this one was proved: its sender is nobody now. */
export const keyReplaced = refuse('KEY_REPLACED', 'the site was enrolled again with another key');

export type SiteIngestParts = {
  store: Pick<Store, 'ingest' | 'sites'>;
  groupCommit: Pick<GroupCommit, 'submit'>;
  recounts: MonthRecounts;
  clock: Clock;
  digest: Digest;
  verifier: Verifier;
};

/** Ingest's state of a site as the store gives it; one of which nothing came yet begins empty. */
export const stateOf = ({ site, state }: SiteSession, publicKey: PublicKey): SiteIngestState =>
  state ?? freshState({ siteId: site.id, publicKey, timeZone: site.timeZone });

/** @throws RollcallError when the store cannot be asked; whether the append was kept shows at the next welcome. */
export async function appendEntries(
  parts: SiteIngestParts,
  site: IngestingSite,
  entries: readonly LedgerEntry[],
): Promise<AppendOutcome> {
  let { state } = site;
  for (let attempt = 1; ; attempt++) {
    const outcome = await tryAppend(parts, { ...site, state }, entries);
    if (outcome !== 'CONFLICT') return outcome;
    const read = await readState(parts, state.siteId, site.publicKey);
    if (!read.ok) return { ...read, state };
    state = read.state;
    if (attempt === 2) return { ok: false, code: 'GAP', message: 'another connection writes this ledger too', state };
  }
}

async function tryAppend(
  parts: SiteIngestParts,
  site: IngestingSite,
  entries: readonly LedgerEntry[],
): Promise<AppendOutcome | 'CONFLICT'> {
  const { store, digest, verifier, clock, recounts } = parts;
  const { state } = site;
  const replay = replayCheck(state.head, entries, digest);
  if (!replay.ok) return { ...replay, state };
  if (replay.check !== null && (await store.ingest.entryHash(state.siteId, replay.check.seq)) !== replay.check.hash)
    return { ...fork(replay.check.seq), state };
  const fresh = replay.held === 0 ? entries : entries.slice(replay.held);
  if (fresh.length === 0) return { ok: true, state, progressed: false };
  const planning = planIngest(state, fresh, {
    digest,
    verifier,
    receivedAt: clock.now(),
    enrolledPublicKey: site.publicKey,
    enrolledAt: site.enrolledAt,
    ledgerSeq: site.ledgerSeq,
  });
  let step = planning.next();
  while (step.done !== true)
    step = await recounts.recount(store.ingest, state, step.value, (held) => planning.next(held));
  const planned = step.value;
  if (!planned.ok) return { ...planned, state };
  const applied = await parts.groupCommit.submit(planned.plan);
  if (applied.ok) return { ok: true, state: planned.plan.next, progressed: true };
  switch (applied.code) {
    case 'CONFLICT':
      return 'CONFLICT';
    case 'KEY_REPLACED':
      return { ...keyReplaced, state };
    case 'CONTRADICTION':
      return {
        ok: false,
        code: 'BAD_ENTRY',
        message: `entries ${fresh[0]?.seq} to ${fresh.at(-1)?.seq}: an agent is deployed twice, or removed where it was not deployed`,
        state,
      };
    case 'BACKLOG_FULL':
      return { ok: false, code: 'BACKLOG_FULL', message: 'too much waits to be stored', state };
  }
}

/** Where a site's ledger stands in the store now, told to the key it is enrolled with. @throws RollcallError when the store cannot be asked. */
export async function readState(
  { store }: Pick<SiteIngestParts, 'store'>,
  siteId: string,
  publicKey: PublicKey,
): Promise<Outcome<{ state: SiteIngestState }, 'KEY_REPLACED'>> {
  const session = await store.sites.session(siteId);
  if (session === undefined)
    throw new RollcallError('SITE_GONE', `the site ${siteId} is no longer in the store`, { retryable: false });
  return session.publicKey === publicKey ? { ok: true, state: stateOf(session, publicKey) } : keyReplaced;
}
