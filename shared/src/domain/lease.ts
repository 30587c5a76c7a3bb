/** Leases: the aggregator's signed statement that a key may be used until a time, and the stages of its running out. */
import { z } from 'zod';
import { ProductKeyId, SiteId } from './id.ts';
import { Instant, instantFromMs, msOfInstant } from './instant.ts';
import { Product } from './product.ts';
import type { KeyState } from './product-key.ts';

export const Lease = z.object({
  siteId: SiteId,
  keyId: ProductKeyId,
  product: Product,
  /** SHA-256, in hexadecimal, of the key's text: lets a standalone agent's typed key be recognised. */
  keyTextHash: z.string().regex(/^[0-9a-f]{64}$/),
  keyHint: z.string().length(5),
  issuedAt: Instant,
  until: Instant,
});
export type Lease = z.infer<typeof Lease>;

/** Stages of a lease by the part of it that has passed without contact (architecture, "Offline policy of a key"). */
export type LeaseStage = Exclude<KeyState, 'deactivated'>;
export const leaseStages = [
  'active',
  'warning',
  'restricted',
  'disabled-offline',
] as const satisfies readonly LeaseStage[];

/** Quarters of the lease at whose end each stage begins. */
const stageQuarter = { active: 0, warning: 1, restricted: 2, 'disabled-offline': 4 } as const satisfies Record<
  LeaseStage,
  number
>;

/** The instant at which `stage` begins: issue plus a quarter, a half, or the whole of the lease, rounded up to 1 ms. */
export function stageBeginsAt(lease: Pick<Lease, 'issuedAt' | 'until'>, stage: LeaseStage): Instant {
  const issuedMs = msOfInstant(lease.issuedAt);
  const lengthMs = msOfInstant(lease.until) - issuedMs;
  return instantFromMs(issuedMs + Math.ceil((lengthMs * stageQuarter[stage]) / 4));
}

/** The stage of a lease at `now`: the last one that has begun. */
export function leaseStageAt(lease: Pick<Lease, 'issuedAt' | 'until'>, now: Instant): LeaseStage {
  let current: LeaseStage = 'active';
  for (const stage of leaseStages) if (now >= stageBeginsAt(lease, stage)) current = stage;
  return current;
}

/** What a key in a state allows. Restoring data is never blocked (architecture, "Offline policy of a key"). */
export function allowedIn(state: KeyState): { backup: boolean; deploy: boolean; restore: true } {
  return {
    backup: state === 'active' || state === 'warning' || state === 'restricted',
    deploy: state === 'active' || state === 'warning',
    restore: true,
  };
}
