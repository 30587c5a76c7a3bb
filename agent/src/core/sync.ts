/**
 * The site's side of the wire protocol as a machine: (state, event) → [state, effects]. Owns when to connect, what to answer,
 * how far to send ahead, and when to give up; sockets, frames and reading the ledger are the uplink's, what a message means
 * to the site is `contact.ts`; state, events and effects are `sync-state.ts`. Times are of the steady clock, in milliseconds.
 */
import { byeCodes, type ByeCode, type Bye, isByeCode } from '@rollcall/shared/protocol/bye.ts';
import type { Challenge } from '@rollcall/shared/protocol/challenge.ts';
import type { DecodeCode } from '@rollcall/shared/protocol/codec.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { appendEntriesMax, handshakeTimeoutMs, unacknowledgedEntriesMax } from '@rollcall/shared/protocol/limits.ts';
import type { ToSite } from '@rollcall/shared/protocol/messages.ts';
import type { Reject } from '@rollcall/shared/protocol/reject.ts';
import { protocolVersion } from '@rollcall/shared/protocol/version.ts';
import type { Welcome } from '@rollcall/shared/protocol/welcome.ts';
import { backoffBaseMs, backoffCapMs, backoffMs, fraction } from './backoff.ts';
import {
  heartbeatLostMs,
  initialSync,
  type SyncContext,
  type SyncEffect,
  type SyncEvent,
  type SyncState,
  type SyncStep,
} from './sync-state.ts';

/**
 * Longest time from one try to the next, and longest try, while a key is past `active` for want of contact: contact that
 * returns must be used within 5 s (a client that cannot back up waits for it), and a second is left for the handshake. A
 * fleet that tries so often has been cut off for a quarter of its leases, not for a moment.
 */
export const urgentRetryMs = 4_000;
/** Until a refused site tries again: an operator may have cleared the reason. */
export const refusedRetryMs = 15 * 60_000;
/** The longest wait the aggregator can ask for; more would be a mistake of its. */
export const retryAfterMaxMs = 60 * 60_000;
export const statusIntervalMs = 60_000;
/** From a change of counts to the status that tells it: changes in between share it. */
export const statusSoonMs = 1_000;
/** Appends in flight; bounds what a slow socket buffers, whatever the size of entries. */
export const unacknowledgedAppendsMax = 16;
/** A connection that lasted so long after its welcome was taken was a good one: the next failure starts the back-off anew. */
const goodConnectionMs = 10_000;
/**
 * Longest time without an acknowledgement while entries are in flight: twice what an aggregator gives its store for a commit. One
 * that answers pings and never acknowledges would otherwise stall the ledger unseen.
 */
export const acknowledgeTimeoutMs = 60_000;
/** One step of the machine. */
export function stepSync(state: SyncState, event: SyncEvent, context: SyncContext): SyncStep {
  switch (event.kind) {
    case 'start':
      return state.phase === 'stopped' ? connect(state, context) : [state, []];
    case 'stop': {
      if (state.phase === 'stopped') return [state, []];
      const [, effects] =
        state.phase === 'waiting' ? [state, []] : drop(state, context, 'GOING_AWAY', 'the Site Manager stops');
      return [{ ...initialSync, refusal: state.refusal }, effects];
    }
    case 'time':
      return passTime(state, context);
    case 'opened':
      return state.phase === 'connecting'
        ? [{ ...state, phase: 'opened', deadlineMs: context.nowMs + handshakeTimeoutMs }, []]
        : [state, []];
    case 'message':
      return receive({ ...state, aliveAtMs: context.nowMs }, event.message, context);
    case 'bad-frame':
      return isOpen(state)
        ? retry(drop(state, context, badFrameBye(event.code), event.code), context, null)
        : [state, []];
    case 'alive':
      return [{ ...state, aliveAtMs: context.nowMs }, []];
    case 'closed':
      return state.phase === 'connecting' || isOpen(state)
        ? retry(leave(state, context), context, event.retryAfterMs)
        : [state, []];
    case 'committed':
      return sendAhead(state, context);
    case 'appended': {
      if (state.phase !== 'live' || event.throughSeq <= state.sentSeq) return [state, []];
      const inFlight = [...state.inFlight, event.throughSeq];
      const ackDueMs = Math.min(state.ackDueMs, context.nowMs + acknowledgeTimeoutMs);
      return sendAhead({ ...state, sentSeq: event.throughSeq, inFlight, ackDueMs }, context);
    }
    case 'counts-changed':
      return state.phase === 'live'
        ? [{ ...state, statusDueMs: Math.min(state.statusDueMs, context.nowMs + statusSoonMs) }, []]
        : [state, []];
    case 'welcome-taken':
      return state.phase === 'live' ? [{ ...state, takenAtMs: state.takenAtMs ?? context.nowMs }, []] : [state, []];
    case 'lost-place':
      return isOpen(state) ? retry(drop(state, context, event.code, event.message), context, null) : [state, []];
  }
}

const isOpen = (state: SyncState): boolean =>
  state.phase === 'opened' || state.phase === 'greeted' || state.phase === 'live';

const badFrameBye = (code: DecodeCode): ByeCode => (code === 'FRAME_TOO_LARGE' ? 'FRAME_TOO_LARGE' : 'BAD_FRAME');

function connect(state: SyncState, context: SyncContext): SyncStep {
  const deadlineMs = context.nowMs + (context.urgent ? urgentRetryMs : handshakeTimeoutMs);
  return [
    {
      ...state,
      phase: 'connecting',
      attemptStartedMs: context.nowMs,
      deadlineMs,
      takenAtMs: null,
      inFlight: [],
      ackDueMs: Number.POSITIVE_INFINITY,
      resyncFrom: null,
      pausedUntilMs: null,
    },
    [{ kind: 'open' }],
  ];
}

function passTime(state: SyncState, context: SyncContext): SyncStep {
  const { nowMs } = context;
  switch (state.phase) {
    case 'stopped':
      return [state, []];
    case 'waiting':
      if (nowMs >= state.deadlineMs) return connect(state, context);
      // The key went past `active` during a long wait: contact may be back already.
      if (context.urgent && state.refusal === null && !state.waitAsked && state.deadlineMs > nowMs + urgentRetryMs)
        return [{ ...state, deadlineMs: nowMs + Math.floor(fraction(context.chance) * urgentRetryMs) }, []];
      return [state, []];
    case 'connecting':
    case 'opened':
    case 'greeted':
      if (nowMs < state.deadlineMs) return [state, []];
      return retry(drop(state, context, 'HANDSHAKE_TIMEOUT', `no ${awaited[state.phase]} in time`), context, null);
    case 'live':
      return keepAlive(state, context);
  }
}

const awaited = { connecting: 'connection', opened: 'challenge', greeted: 'welcome' } as const;

function keepAlive(state: SyncState, context: SyncContext): SyncStep {
  const { nowMs } = context;
  if (nowMs >= heartbeatLostMs(state))
    return retry(drop(state, context, 'HEARTBEAT_LOST', 'no sign of life from the aggregator'), context, null);
  if (state.pausedUntilMs !== null && nowMs >= state.pausedUntilMs)
    return retry(
      drop(state, context, 'BACKLOG_FULL', 'the aggregator had no room and did not say when'),
      context,
      null,
    );
  if (nowMs >= state.ackDueMs) {
    const why = `nothing of the entries after ${state.acknowledgedSeq} was acknowledged in time`;
    const [left, ended] = drop(state, context, 'STORE_UNAVAILABLE', why);
    return retry([left, [...ended, { kind: 'deliver-unacknowledged' }]], context, null);
  }
  const effects: SyncEffect[] = [];
  let next = state;
  if (nowMs >= state.pingDueMs) {
    effects.push({ kind: 'ping' });
    next = { ...next, pingDueMs: nowMs + state.heartbeatIntervalMs };
  }
  if (nowMs >= state.statusDueMs) {
    effects.push({ kind: 'send-status' });
    next = { ...next, statusDueMs: nowMs + statusIntervalMs };
  }
  return [next, effects];
}

function receive(state: SyncState, message: ToSite, context: SyncContext): SyncStep {
  if (!isOpen(state)) return [state, []];
  if (message.kind === 'bye') return takeBye(state, message, context);
  // The machine slept over it: a welcome from before would tell a time that has passed.
  if (state.phase !== 'live' && context.nowMs >= state.deadlineMs) return passTime(state, context);
  if (state.phase === 'opened' && message.kind === 'challenge') return answerChallenge(state, message, context);
  if (state.phase === 'greeted' && message.kind === 'welcome') return goLive(state, message, context);
  if (state.phase === 'greeted' && message.kind === 'notice') return [state, [{ kind: 'deliver', message }]];
  if (state.phase === 'live') {
    switch (message.kind) {
      case 'ack':
        return takeAck(state, message, context);
      case 'reject':
        return takeReject(state, message, context);
      case 'lease':
      case 'settings':
      case 'command':
      case 'notice':
        return [state, [{ kind: 'deliver', message }]];
      case 'challenge':
      case 'welcome':
        break;
    }
  }
  return retry(drop(state, context, 'UNEXPECTED_MESSAGE', `a ${message.kind} has no place here`), context, null);
}

function answerChallenge(state: SyncState, challenge: Challenge, context: SyncContext): SyncStep {
  if (challenge.protocolMin > protocolVersion) return refuseBy(state, context, 'PROTOCOL_TOO_OLD');
  // A newer site than its aggregator: it will be updated, so go on trying.
  if (challenge.protocolMax < protocolVersion)
    return retry(drop(state, context, 'PROTOCOL_TOO_NEW', byeCodes.PROTOCOL_TOO_NEW.says), context, refusedRetryMs);
  const { signer, ...self } = context.self;
  const hello = { ...self, head: { seq: context.head.seq, hash: context.head.hash }, protocol: protocolVersion };
  const signature = signer.sign(helloText(hello, challenge.nonce));
  return [
    { ...state, phase: 'greeted', deadlineMs: context.nowMs + handshakeTimeoutMs },
    [{ kind: 'send', message: { kind: 'hello', ...hello, signature } }],
  ];
}

function goLive(state: SyncState, welcome: Welcome, context: SyncContext): SyncStep {
  const { acked } = welcome;
  const { head, nowMs } = context;
  // The aggregator finds these itself; a site that is told of more than it has must not go on whatever the reason.
  if (acked.seq > head.seq) return refuseBy(state, context, 'LEDGER_BEHIND');
  if (acked.seq === head.seq && acked.hash !== head.hash) return refuseBy(state, context, 'FORK');
  const live: SyncState = {
    ...state,
    phase: 'live',
    deadlineMs: Number.POSITIVE_INFINITY,
    refusal: null,
    heartbeatIntervalMs: welcome.heartbeatIntervalMs,
    pingDueMs: nowMs + welcome.heartbeatIntervalMs,
    statusDueMs: nowMs,
    acknowledgedSeq: acked.seq,
    sentSeq: acked.seq,
  };
  const [next, effects] = sendAhead(live, context);
  return [next, [{ kind: 'deliver', message: welcome }, ...effects]];
}

/** Sends on while there is something, and room for it in flight. One append at a time; `appended` asks for the next. */
function sendAhead(state: SyncState, context: SyncContext): SyncStep {
  const room = unacknowledgedEntriesMax - (state.sentSeq - state.acknowledgedSeq);
  if (
    state.phase !== 'live' ||
    state.pausedUntilMs !== null ||
    room <= 0 ||
    state.inFlight.length >= unacknowledgedAppendsMax
  )
    return [state, []];
  const waiting = context.head.seq - state.sentSeq;
  if (waiting <= 0) return [state, []];
  return [state, [{ kind: 'append', afterSeq: state.sentSeq, entriesMax: Math.min(room, waiting, appendEntriesMax) }]];
}

function takeAck(state: SyncState, ack: ToSite & { kind: 'ack' }, context: SyncContext): SyncStep {
  if (ack.seq > state.sentSeq)
    return retry(
      drop(state, context, 'UNEXPECTED_MESSAGE', `entry ${ack.seq} was acknowledged before it was sent`),
      context,
      null,
    );
  const isNew = ack.seq > state.acknowledgedSeq;
  const inFlight = state.inFlight.filter((seq) => seq > ack.seq);
  const next: SyncState = isNew
    ? {
        ...state,
        acknowledgedSeq: ack.seq,
        inFlight,
        ackDueMs: inFlight.length > 0 ? context.nowMs + acknowledgeTimeoutMs : Number.POSITIVE_INFINITY,
        // A site that cannot write down what it is told would otherwise come back at once, over and over.
        failures: state.takenAtMs === null ? state.failures : 0,
        resyncFrom: null,
      }
    : state;
  const [sending, effects] = isNew ? sendAhead(next, context) : [next, []];
  return [sending, [{ kind: 'deliver', message: ack }, ...effects]];
}

function takeReject(state: SyncState, reject: Reject, context: SyncContext): SyncStep {
  const { expected } = reject;
  switch (reject.code) {
    case 'GAP': {
      if (expected.seq > context.head.seq) return refuseBy(state, context, 'LEDGER_BEHIND');
      if (state.resyncFrom === expected.seq) return [state, []];
      if (expected.seq > state.sentSeq)
        return retry(
          drop(state, context, 'UNEXPECTED_MESSAGE', `entry ${expected.seq} was expected before it was sent`),
          context,
          null,
        );
      return sendAhead(
        {
          ...state,
          acknowledgedSeq: expected.seq,
          sentSeq: expected.seq,
          inFlight: [],
          ackDueMs: Number.POSITIVE_INFINITY,
          resyncFrom: expected.seq,
        },
        context,
      );
    }
    case 'FORK':
      return refuseBy(state, context, 'FORK');
    case 'TIME_BACKWARDS':
    case 'BAD_ENTRY':
    case 'ENTRY_TOO_LONG':
      return refuseBy(state, context, 'ENTRY_REFUSED', `${reject.code} after entry ${expected.seq}: ${reject.message}`);
    case 'BACKLOG_FULL':
      return [{ ...state, pausedUntilMs: state.pausedUntilMs ?? context.nowMs + handshakeTimeoutMs }, []];
  }
}

function takeBye(state: SyncState, bye: Bye, context: SyncContext): SyncStep {
  const helps = isByeCode(bye.code) ? byeCodes[bye.code].retry : bye.retryAfterMs !== null;
  if (!helps) return refused(drop(state, context, 'GOING_AWAY', 'goodbye'), context, bye.code, bye.message);
  return retry(drop(state, context, 'GOING_AWAY', 'goodbye'), context, bye.retryAfterMs);
}

/** This side refuses to go on for a reason that the protocol has a code for. */
function refuseBy(
  state: SyncState,
  context: SyncContext,
  code: ByeCode,
  message: string = byeCodes[code].says,
): SyncStep {
  return refused(drop(state, context, code, message), context, code, message);
}

/** Leaves a connection that the other side ended. */
function leave(state: SyncState, context: SyncContext): SyncStep {
  return [
    state,
    state.phase === 'live'
      ? [{ kind: 'deliver-disconnected', aliveAgoMs: Math.max(0, context.nowMs - state.aliveAtMs) }]
      : [],
  ];
}

/** Ends a connection from this side. */
function drop(state: SyncState, context: SyncContext, code: ByeCode, message: string): SyncStep {
  const [next, effects] = leave(state, context);
  return [next, [{ kind: 'close', code, message }, ...effects]];
}

/** Waits for the next try: as long as the other side asked, else by the back-off. */
function retry([state, effects]: SyncStep, context: SyncContext, retryAfterMs: number | null): SyncStep {
  const { nowMs, chance, urgent } = context;
  const wasGood = state.phase === 'live' && state.takenAtMs !== null && nowMs - state.takenAtMs >= goodConnectionMs;
  const failures = (wasGood ? 0 : state.failures) + 1;
  let deadlineMs: number;
  if (retryAfterMs !== null) {
    deadlineMs = nowMs + Math.min(retryAfterMs, retryAfterMaxMs) + Math.floor(fraction(chance) * backoffBaseMs);
  } else if (urgent) {
    // Counted from the start of the last try: a try that hung until its timeout was wait enough.
    deadlineMs = Math.max(nowMs, state.attemptStartedMs + backoffMs(failures, urgentRetryMs, chance));
  } else {
    deadlineMs = nowMs + backoffMs(failures, backoffCapMs, chance);
  }
  const waitAsked = retryAfterMs !== null;
  return [{ ...state, phase: 'waiting', deadlineMs, failures, waitAsked, refusal: null, inFlight: [] }, effects];
}

function refused([state, effects]: SyncStep, context: SyncContext, code: string, message: string): SyncStep {
  const next: SyncState = {
    ...state,
    phase: 'waiting',
    deadlineMs: context.nowMs + refusedRetryMs,
    failures: state.failures + 1,
    waitAsked: false,
    refusal: code,
    inFlight: [],
  };
  return [next, [...effects, { kind: 'deliver-refusal', code, message }]];
}
