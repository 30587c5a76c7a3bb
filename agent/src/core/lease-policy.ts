/**
 * What a key may do while its lease lasts and runs out: the stages, when the next begins, and what a renewal lifts.
 * Verifying a lease's signature is the uplink's; the portal's wish to deactivate is `commands.ts`.
 */
import { instantFromMs } from '@rollcall/shared/domain/instant.ts';
import { type Lease, type LeaseStage, leaseStages } from '@rollcall/shared/domain/lease.ts';
import type { KeyState } from '@rollcall/shared/domain/product-key.ts';
import type { Product } from '@rollcall/shared/domain/product.ts';
import type { Work } from './plan.ts';
import { leaseTimeMs } from './site-clock.ts';
import { nowOf, type SiteKey, type SiteState } from './site-state.ts';

const stageReasons = {
  warning: 'no contact for a quarter of the lease',
  restricted: 'no contact for half of the lease',
  'disabled-offline': 'the lease ran out without contact',
} as const;

type LateStage = keyof typeof stageReasons;
const stageAfter: Record<KeyState, LateStage | null> = {
  active: 'warning',
  warning: 'restricted',
  restricted: 'disabled-offline',
  'disabled-offline': null,
  deactivated: null,
};

/** The worse the state, the higher. */
const rank = (state: KeyState): number => (state === 'deactivated' ? leaseStages.length : leaseStages.indexOf(state));

export type StageDue = { key: SiteKey; stage: LateStage; dueMs: number };

/** The next stage of any key to begin, whether it has or not; null where all keys are at their last. */
export function nextStage(state: SiteState): StageDue | null {
  let next: StageDue | null = null;
  for (const key of state.keys.values()) {
    const stage = stageAfter[key.state];
    const starts = state.stageStarts.get(key.keyId);
    if (stage === null || starts === undefined) continue;
    const dueMs = starts[stage];
    if (next === null || dueMs < next.dueMs || (dueMs === next.dueMs && key.keyId < next.key.keyId))
      next = { key, stage, dueMs };
  }
  return next;
}

/** Begins a stage; dated when it began, or now where only a clock set forward says that it has. */
export function beginStage(work: Work, { key, stage, dueMs }: StageDue): void {
  const began = instantFromMs(dueMs);
  const now = nowOf(work.state);
  work.append(began < now ? began : now, 'key-state', { keyId: key.keyId, state: stage, reason: stageReasons[stage] });
}

/** Takes back stages that only a wrong clock had begun. */
export function relaxStages(work: Work): void {
  for (const key of work.state.keys.values()) {
    if (key.state === 'deactivated' || key.state === 'active') continue;
    const stage = stageNow(work.state, key.keyId);
    if (rank(stage) < rank(key.state))
      work.append(nowOf(work.state), 'key-state', { keyId: key.keyId, state: stage, reason: 'the clock agrees again' });
  }
}

/** Takes a verified lease; an older one than is held, and one for another site, changes nothing. */
export function acceptLease(work: Work, lease: Lease): null {
  const { state } = work;
  const held = state.soft.leases.get(lease.keyId);
  if (lease.siteId !== state.identity.siteId || (held !== undefined && held.issuedAt >= lease.issuedAt)) return null;
  work.change({ kind: 'lease', lease });
  const now = nowOf(state);
  const { keyId, product, keyHint } = lease;
  const known = state.keys.get(keyId);
  if (known === undefined) work.append(now, 'key-added', { keyId, product, keyHint });
  const stage = stageNow(state, keyId);
  if (known === undefined) work.append(now, 'key-state', { keyId, state: stage, reason: 'lease granted' });
  else if (known.state !== 'deactivated' && known.state !== stage)
    work.append(now, 'key-state', {
      keyId,
      state: stage,
      reason: rank(stage) < rank(known.state) ? 'lease renewed' : stageReason(stage),
    });
  return null;
}

/** The stage of a key's lease now (`leaseTimeMs`); that of a lease that ran out where there is none. */
export function stageNow(state: SiteState, keyId: string): LeaseStage {
  const starts = state.stageStarts.get(keyId);
  if (starts === undefined) return 'disabled-offline';
  const nowMs = leaseTimeMs(state.clock, state.connected);
  let current: LeaseStage = 'active';
  for (const stage of leaseStages) if (stage !== 'active' && nowMs >= starts[stage]) current = stage;
  return current;
}

/** The key that serves a product: the one in the best state, of several the one with the newest lease. */
export function keyFor(state: SiteState, product: Product): SiteKey | null {
  let best: SiteKey | null = null;
  for (const key of state.keys.values()) {
    if (key.product === product && (best === null || isBetter(state, key, best))) best = key;
  }
  return best;
}

/** True while some key is past the stage `active` for want of contact: contact is then worth hurrying for. */
export const isContactUrgent = (state: SiteState): boolean =>
  [...state.keys.values()].some((key) => key.state !== 'active' && key.state !== 'deactivated');

function isBetter(state: SiteState, key: SiteKey, than: SiteKey): boolean {
  if (key.state !== than.state) return rank(key.state) < rank(than.state);
  const [issuedAt, thanIssuedAt] = [
    state.soft.leases.get(key.keyId)?.issuedAt ?? '',
    state.soft.leases.get(than.keyId)?.issuedAt ?? '',
  ];
  return issuedAt === thanIssuedAt ? key.keyId < than.keyId : issuedAt > thanIssuedAt;
}

const stageReason = (stage: LeaseStage): string => (stage === 'active' ? 'lease renewed' : stageReasons[stage]);
