/**
 * Contact with the aggregator as the site sees it: lost, restored, and what it brings. Owns the entries about it; the
 * protocol is `sync.ts`, leases and commands are in the files of their names.
 */
import { type Instant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import type { SiteCommand } from '@rollcall/shared/protocol/command.ts';
import { applyCommand } from './commands.ts';
import { acceptLease } from './lease-policy.ts';
import type { Work } from './plan.ts';
import { instantOf } from './site-clock.ts';
import { lastContactAt, nowOf, type SiteState } from './site-state.ts';

/** Silence after which contact counts as lost. */
export const contactLostAfterMs = 5 * 60_000;

export type Welcomed = {
  serverTime: Instant;
  /** Steady time at which the frame was read: what it told is as old as that. */
  heardSteadyMs: number;
  acknowledgedSeq: number;
  leases: readonly Lease[];
  settings: SiteSettings;
  commands: readonly SiteCommand[];
};

/** When contact will count as lost, in milliseconds; infinity while it lasts and once it is. */
export const contactLostMs = (state: SiteState): number =>
  state.connected || state.contactLostSince !== null
    ? Number.POSITIVE_INFINITY
    : msOfInstant(lastContactAt(state)) + contactLostAfterMs;

/** Writes down that contact is lost, dated when it became so. */
export function loseContact(work: Work): void {
  work.append(instantOf(contactLostMs(work.state)), 'contact-lost', { since: lastContactAt(work.state) });
}

/** The aggregator let the site in, and told it everything it should know. Leases come before the commands that may need them. */
export function welcomed(work: Work, { acknowledgedSeq, leases, settings, commands }: Welcomed): null {
  const { state } = work;
  const now = nowOf(state);
  state.connected = true;
  if (acknowledgedSeq > state.soft.acknowledgedSeq || acknowledgedSeq >= state.head.seq)
    state.unacknowledgedSince = null;
  work.change({ kind: 'contact', lastContactAt: now });
  // What the aggregator holds may also be less than before: it was restored from a backup, and gets the rest again.
  if (acknowledgedSeq !== state.soft.acknowledgedSeq && acknowledgedSeq <= state.head.seq)
    work.change({ kind: 'acknowledged', seq: acknowledgedSeq });
  if (state.soft.refusal !== null) work.change({ kind: 'refusal', refusal: null });
  // What still holds is said again right after the welcome; what an operator has seen to is not.
  if (state.soft.notice !== null) work.change({ kind: 'notice', notice: null });
  if (state.contactLostSince !== null) work.append(now, 'contact-restored', { lostSince: state.contactLostSince });
  takeSettings(work, { settings });
  for (const lease of leases) acceptLease(work, lease);
  for (const command of commands) applyCommand(work, command);
  return null;
}

/** The aggregator holds everything up to `seq`. */
export function acknowledged(work: Work, { seq }: { seq: number }): null {
  const { state } = work;
  if (seq > state.soft.acknowledgedSeq && seq <= state.head.seq) {
    state.unacknowledgedSince = null;
    work.change({ kind: 'acknowledged', seq });
  }
  return null;
}

/** The aggregator takes entries and acknowledges none: shown until it holds more than it did. */
export function noteUnacknowledged({ state }: Work): null {
  state.unacknowledgedSince ??= nowOf(state);
  return null;
}

export function takeSettings(work: Work, { settings }: { settings: SiteSettings }): null {
  const { state } = work;
  if (settings.staleAfterDays !== state.settings.staleAfterDays)
    work.append(nowOf(state), 'settings-changed', { settings });
  return null;
}

export function noteNotice(work: Work, { code, message }: { code: string; message: string }): null {
  work.change({ kind: 'notice', notice: { code, message, at: nowOf(work.state) } });
  return null;
}

/** Keeps the aggregator's refusal for the operator to see; the same one again keeps the time of the first. */
export function noteRefusal(work: Work, { code, message }: { code: string; message: string }): null {
  if (work.state.soft.refusal?.code !== code)
    work.change({ kind: 'refusal', refusal: { code, message, at: nowOf(work.state) } });
  return null;
}

/** The connection is gone; the aggregator was last heard of `aliveAgoMs` ago. */
export function disconnected(work: Work, { aliveAgoMs }: { aliveAgoMs: number }): null {
  const { state } = work;
  if (!state.connected) return null;
  const aliveAt = instantOf(msOfInstant(nowOf(state)) - aliveAgoMs);
  state.connected = false;
  work.change({ kind: 'contact', lastContactAt: aliveAt });
  return null;
}
