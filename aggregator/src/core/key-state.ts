/** The state the portal shows of a product key: one pure rule over the stored facts and the time. The facts are the store's. */
import type { ProductKey } from '@rollcall/shared/api/product-key.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { leaseStageAt } from '@rollcall/shared/domain/lease.ts';
import type { PortalKeyState } from '@rollcall/shared/domain/product-key.ts';

/** A key as it is stored: everything but what depends on the time of asking. */
export type StoredKey = Omit<ProductKey, 'portalState'>;

/**
 * What the portal wants comes first, until the site has said that it is so; then the worse of what the site said and what
 * its lease says. `critical`: call-home is overdue, a quarter of the lease has passed without one (domain text, section 3).
 */
export function portalKeyState(key: StoredKey, now: Instant): PortalKeyState {
  const { wish, siteState, leaseIssuedAt, leaseUntil } = key;
  const neverUsed = siteState === null && leaseIssuedAt === null;
  // A key that no site ever had in use has nobody who would have to confirm it.
  if (wish === 'deactivated')
    return siteState === 'deactivated' || neverUsed ? 'deactivated' : 'deactivation-requested';
  if (siteState === 'deactivated') return 'reactivation-requested';
  if (neverUsed) return 'never-used';
  const leaseStage =
    leaseIssuedAt === null || leaseUntil === null
      ? 'active'
      : leaseStageAt({ issuedAt: leaseIssuedAt, until: leaseUntil }, now);
  if (leaseStage === 'disabled-offline' || siteState === 'disabled-offline') return 'disabled-offline';
  return leaseStage === 'active' && (siteState === 'active' || siteState === null) ? 'ok' : 'critical';
}

/** The key as the API answers it at `now`. */
export const keyView = (key: StoredKey, now: Instant): ProductKey => ({
  ...key,
  portalState: portalKeyState(key, now),
});
