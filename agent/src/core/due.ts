/**
 * What fell due: brings a site forward to now, entry by entry in the order in which things happened, each dated the instant it
 * fell due. So a machine that slept writes the same ledger when it wakes as one that was up. Each rule is in its own file.
 */
import { msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { contactLostMs, loseContact } from './contact.ts';
import { beginStage, nextStage, relaxStages } from './lease-policy.ts';
import { sealMonth } from './month-sealing.ts';
import type { Work } from './plan.ts';
import { removeStale, staleAgents, staleNotBeforeMs } from './roll.ts';
import { believedInMs, instantOf, leaseTimeMs, type Reading, readClock } from './site-clock.ts';
import { heartbeatEveryMs, nowOf, type SiteState } from './site-state.ts';

/**
 * Appends everything due by now. At one instant: loss of contact, key stages, the month's seal, stale removals; so a machine
 * removed as stale exactly at the month's end still counts in the month.
 */
export function advance(work: Work): void {
  const { state } = work;
  const nowMs = msOfInstant(nowOf(state));
  const stale = staleAgents(state, nowMs);
  let removed = 0;
  for (;;) {
    const contactMs = contactLostMs(state);
    const stage = nextStage(state);
    // A stage that only a clock set forward says has begun happens now, after all that did happen before.
    const stageMs =
      stage === null || stage.dueMs > leaseTimeMs(state.clock, state.connected)
        ? Number.POSITIVE_INFINITY
        : Math.min(stage.dueMs, nowMs);
    const sealMs = msOfInstant(state.openMonth.end);
    const staleDue = stale[removed];
    const staleMs = staleDue?.dueMs ?? Number.POSITIVE_INFINITY;
    const firstMs = Math.min(contactMs, stageMs, sealMs, staleMs);
    if (firstMs > nowMs) break;
    if (contactMs === firstMs) loseContact(work);
    else if (stage !== null && stageMs === firstMs) beginStage(work, stage);
    else if (sealMs === firstMs) sealMonth(work);
    else if (staleDue !== undefined) {
      removeStale(work, staleDue);
      removed++;
    }
  }
  relaxStages(work);
}

/** Writes down, once a minute, that the site is alive at this time. */
export function persistHeartbeat(work: Work): void {
  const { clock, soft, connected } = work.state;
  // Not `nowOf`: where the ledger lies ahead of true time, a restart must find the time and not the ledger's last stamp.
  const at = instantOf(clock.trustedMs);
  const sinceMs = soft.heartbeat === null ? Number.POSITIVE_INFINITY : msOfInstant(at) - msOfInstant(soft.heartbeat.at);
  const { wallOffsetMs, vouched } = clock;
  const isSame = soft.heartbeat?.wallOffsetMs === wallOffsetMs && soft.heartbeat.vouched === vouched;
  if (sinceMs >= 0 && sinceMs < heartbeatEveryMs && isSame) return;
  work.change({ kind: 'heartbeat', heartbeat: { at, wallOffsetMs, vouched } });
  if (connected) work.change({ kind: 'contact', lastContactAt: nowOf(work.state) });
}

/** The instant, in milliseconds, at which the next thing falls due or fell due already; stale limits perhaps a little early. */
export const nextDueMs = (state: SiteState): number =>
  Math.min(datedDueMs(state), nextStage(state)?.dueMs ?? Number.POSITIVE_INFINITY);

/** Of what falls due by the time entries are stamped with: everything but the stages of keys. */
const datedDueMs = (state: SiteState): number =>
  Math.min(contactLostMs(state), msOfInstant(state.openMonth.end), staleNotBeforeMs(state));

/** Milliseconds until the site should be woken by a `tick`; null where time alone brings nothing. */
export function wakeInMs(state: SiteState, reading: Reading): number | null {
  const { clock } = readClock(state.clock, reading);
  if (clock.unconfirmed !== null) return believedInMs(clock, reading.steadyMs);
  const nowMs = Math.max(clock.trustedMs, msOfInstant(state.head.at));
  const dueInMs = datedDueMs(state) - nowMs;
  // Stages go by the time of leases alone: a ledger whose head lies ahead of it does not begin them sooner.
  const stageInMs = (nextStage(state)?.dueMs ?? Number.POSITIVE_INFINITY) - leaseTimeMs(clock, state.connected);
  return Math.max(0, Math.ceil(Math.min(dueInMs, stageInMs)));
}
