/**
 * What the machine of core/sync.ts knows, hears and asks for: its state, events and effects, and when it wants to be woken. How
 * one leads to the other is sync.ts.
 */
import type { Chance } from '@rollcall/shared/domain/clock.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { Bye, ByeCode } from '@rollcall/shared/protocol/bye.ts';
import type { Challenge } from '@rollcall/shared/protocol/challenge.ts';
import type { DecodeCode } from '@rollcall/shared/protocol/codec.ts';
import type { WireHead } from '@rollcall/shared/protocol/hello.ts';
import { heartbeatIntervalMs } from '@rollcall/shared/protocol/limits.ts';
import type { ToAggregator, ToSite } from '@rollcall/shared/protocol/messages.ts';
import type { Reject } from '@rollcall/shared/protocol/reject.ts';

/** Heartbeat intervals without any sign after which the other side is given up. */
const heartbeatsMissedMax = 2;

export type SyncState = {
  readonly phase: 'stopped' | 'waiting' | 'connecting' | 'opened' | 'greeted' | 'live';
  /** When the phase must have moved on: the next try while waiting, the timeout of a step of the handshake. */
  readonly deadlineMs: number;
  readonly failures: number;
  /** The aggregator asked for the wait: it has its reasons, and no hurry of this side shortens it. */
  readonly waitAsked: boolean;
  readonly attemptStartedMs: number;
  /** The refusal in force; the wait after one is not shortened. */
  readonly refusal: string | null;
  /** Since when the welcome of this connection is on the site's disk; null until then. Only then is it a good connection. */
  readonly takenAtMs: number | null;
  readonly aliveAtMs: number;
  readonly heartbeatIntervalMs: number;
  readonly pingDueMs: number;
  readonly statusDueMs: number;
  readonly acknowledgedSeq: number;
  readonly sentSeq: number;
  /** Last numbers of the appends in flight, in order. */
  readonly inFlight: readonly number[];
  /** While entries are in flight: when the next acknowledgement must be here; infinity otherwise. */
  readonly ackDueMs: number;
  /** The number from which a gap is being filled: further rejects of what was in flight say nothing new. */
  readonly resyncFrom: number | null;
  /** Set while the aggregator has no room: nothing is sent, and the connection ends at this time at the latest. */
  readonly pausedUntilMs: number | null;
};

export type SyncEvent =
  | { kind: 'start' }
  | { kind: 'stop' }
  /** A deadline (`syncWakeMs`) may have come, or urgency may have changed. */
  | { kind: 'time' }
  | { kind: 'opened' }
  | { kind: 'message'; message: ToSite }
  | { kind: 'bad-frame'; code: DecodeCode }
  /** A sign of life below the protocol: a ping or a pong. */
  | { kind: 'alive' }
  /** The socket closed, or never opened; `retryAfterMs` as an HTTP refusal told it. */
  | { kind: 'closed'; retryAfterMs: number | null }
  /** Entries were committed to the ledger. */
  | { kind: 'committed' }
  /** An `append` effect was carried out up to this number. */
  | { kind: 'appended'; throughSeq: number }
  | { kind: 'counts-changed' }
  /** The welcome of this connection is on the site's disk. */
  | { kind: 'welcome-taken' }
  /** The site lost what this connection told it, or cannot take more of it: only a new welcome says everything again. */
  | { kind: 'lost-place'; code: 'STORE_UNAVAILABLE' | 'BACKLOG_FULL'; message: string };

export type SyncEffect =
  | { kind: 'open' }
  /** Say goodbye where the socket is open, close it, and hear nothing more of it. */
  | { kind: 'close'; code: ByeCode; message: string }
  | { kind: 'send'; message: ToAggregator }
  /** Read committed entries after a number, send them in one frame, and report `appended`. */
  | { kind: 'append'; afterSeq: number; entriesMax: number }
  | { kind: 'ping' }
  | { kind: 'send-status' }
  /**
   * For the site: a message, a refusal, entries that nobody acknowledged, the end of contact. In this order, each after the one
   * before was taken.
   */
  | { kind: 'deliver'; message: Exclude<ToSite, Challenge | Bye | Reject> }
  | { kind: 'deliver-refusal'; code: string; message: string }
  | { kind: 'deliver-unacknowledged' }
  | { kind: 'deliver-disconnected'; aliveAgoMs: number };

export type SyncContext = {
  nowMs: number;
  /** The head of the ledger as committed to disk. */
  head: WireHead;
  /** True while a key waits for contact (`isContactUrgent`). */
  urgent: boolean;
  chance: Chance;
  self: { siteId: string; instanceId: string; software: string; signer: Signer };
};

export type SyncStep = [SyncState, SyncEffect[]];

export const initialSync: SyncState = {
  phase: 'stopped',
  deadlineMs: Number.POSITIVE_INFINITY,
  failures: 0,
  waitAsked: false,
  attemptStartedMs: 0,
  refusal: null,
  takenAtMs: null,
  aliveAtMs: 0,
  heartbeatIntervalMs,
  pingDueMs: Number.POSITIVE_INFINITY,
  statusDueMs: Number.POSITIVE_INFINITY,
  acknowledgedSeq: 0,
  sentSeq: 0,
  inFlight: [],
  ackDueMs: Number.POSITIVE_INFINITY,
  resyncFrom: null,
  pausedUntilMs: null,
};

/** The steady time at which the machine wants a `time` event; infinity where it waits for nothing. */
export function syncWakeMs(state: SyncState): number {
  if (state.phase === 'stopped') return Number.POSITIVE_INFINITY;
  if (state.phase !== 'live') return state.deadlineMs;
  return Math.min(
    heartbeatLostMs(state),
    state.pingDueMs,
    state.statusDueMs,
    state.ackDueMs,
    state.pausedUntilMs ?? Number.POSITIVE_INFINITY,
  );
}

/** When the other side is given up unless it shows a sign of life before. */
export const heartbeatLostMs = (state: SyncState): number =>
  state.aliveAtMs + heartbeatsMissedMax * state.heartbeatIntervalMs;
