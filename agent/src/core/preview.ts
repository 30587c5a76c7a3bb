/**
 * How a site would find itself if its service started now and took the machine's clock at its word: for looking at a site whose
 * service does not run. Owns that nothing of it can be kept: what falls due is decided as ever and never committed.
 */
import type { Digest } from '@rollcall/shared/ledger/crypto.ts';
import { believeClock, type Reading } from './site-clock.ts';
import { decide } from './site.ts';
import type { SiteState } from './site-state.ts';

/** Brings a state that was just read from disk forward to the reading. It is good for showing and for nothing else afterwards. */
export function previewStart(state: SiteState, reading: Reading, digest: Digest): void {
  state.clock = believeClock(state.clock, reading);
  // Months that are over are sealed in memory only: whoever looks need not be able to sign.
  const signer = { publicKey: state.identity.publicKey, sign: () => '' };
  decide(state, { kind: 'tick' }, reading, { digest, signer, history: () => [] });
}
