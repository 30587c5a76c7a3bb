/** Enrolment in the ledger: the first entry of a site's life, and the entry of a fresh key pair later in it. Getting enrolled is the CLI's. */
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { chainDrafts, emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { Digest } from '@rollcall/shared/ledger/crypto.ts';
import type { EntryBody, EntryDraft } from '@rollcall/shared/ledger/entry.ts';
import { nextDueMs } from './due.ts';
import type { Plan } from './plan.ts';
import type { SiteState, SoftChange } from './site-state.ts';

export type EnrolmentBody = EntryBody<'site-enrolled'>;

/** The plan of a new ledger. `at`: where the site's life, and its first month, begins. */
export function firstEnrolment(body: EnrolmentBody, at: Instant, digest: Digest): Plan {
  const { entries } = chainDrafts(emptyHead, [{ at, kind: 'site-enrolled', body }], digest);
  return { expectedHead: { seq: emptyHead.seq, hash: emptyHead.hash }, entries, softChanges: [] };
}

/**
 * The plan of a fresh key pair. Its entry is dated no later than what falls due next: what is due is then written after it,
 * signed by the new key, and dated when it fell due. The zone stays the ledger's, since its months are cut by it.
 */
export function renewedEnrolment(state: SiteState, body: EnrolmentBody, at: Instant, digest: Digest): Plan {
  const { head, soft, identity } = state;
  const dueMs = nextDueMs(state);
  const dated = dueMs < msOfInstant(at) ? instantFromMs(dueMs) : at;
  const draft: EntryDraft = {
    at: dated < head.at ? head.at : dated,
    kind: 'site-enrolled',
    body: { ...body, timeZone: identity.timeZone },
  };
  const softChanges: SoftChange[] = [];
  if (soft.refusal !== null) softChanges.push({ kind: 'refusal', refusal: null });
  if (soft.notice !== null) softChanges.push({ kind: 'notice', notice: null });
  const { entries } = chainDrafts(head, [draft], digest);
  return { expectedHead: { seq: head.seq, hash: head.hash }, entries, softChanges };
}
