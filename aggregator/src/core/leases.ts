/** Which keys of a site get a lease, and when the next one is due. Signing and sending is the gateway's. */
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { Digest } from '@rollcall/shared/ledger/crypto.ts';
import type { StoredKey } from './key-state.ts';

/** Two weeks: long enough for a holiday without network; the operator may set another. */
export const leaseMsDefault = 14 * 24 * 3_600_000;

/** While a site is connected its leases are renewed before this part of their length has passed, and at least every hour. */
const renewalsPerLease = 24;
const renewalMsMax = 3_600_000;

/** Longest time between two leases of a connected site. */
export const renewalIntervalMs = (leaseMs: number): number =>
  Math.min(Math.floor(leaseMs / renewalsPerLease), renewalMsMax);

/**
 * The leases of a site at `now`: one for each key the portal wants active, none at a closed site. A key that is to be
 * deactivated gets none; the command does the rest.
 */
export function leasesDue(
  site: { siteId: string; closedAt: Instant | null },
  keys: readonly { key: StoredKey; keyText: string }[],
  now: Instant,
  leaseMs: number,
  digest: Digest,
): Lease[] {
  if (site.closedAt !== null) return [];
  const until = instantFromMs(msOfInstant(now) + leaseMs);
  return keys
    .filter(({ key }) => key.wish === 'active')
    .map(({ key, keyText }) => ({
      siteId: site.siteId,
      keyId: key.id,
      product: key.product,
      keyTextHash: digest.sha256(keyText),
      keyHint: key.keyHint,
      issuedAt: now,
      until,
    }));
}
