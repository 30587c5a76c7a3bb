/**
 * Runs core/sync.ts over a real socket: carries out its effects, feeds it what happens, and hands the site what came, in
 * order and verified. Owns the socket and the timer; deciding is core's, keeping is the store's.
 */
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { PublicKey, Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { verifyLease } from '@rollcall/shared/node/lease-token.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { byeCodes } from '@rollcall/shared/protocol/bye.ts';
import { decodeToSite, encode } from '@rollcall/shared/protocol/codec.ts';
import type { WireHead } from '@rollcall/shared/protocol/hello.ts';
import { appendBytesMax } from '@rollcall/shared/protocol/limits.ts';
import type { Status } from '@rollcall/shared/protocol/status.ts';
import type { SiteEvent } from '../core/site.ts';
import { stepSync } from '../core/sync.ts';
import { initialSync, type SyncEffect, type SyncEvent, syncWakeMs } from '../core/sync-state.ts';
import { openSiteSocket, type SiteSocket, socketUrl } from './site-socket.ts';

/** Messages for the site that wait for the disk; past this many the connection is ended rather than memory filled. */
export const deliveriesWaitingMax = 1_000;
/** Steady clocks count coarsely on some machines: a timer that rings a little early is not asked again at once. */
const timerSlackMs = 5;

/** What the uplink needs of the site. */
export type UplinkSite = {
  siteId: string;
  /** The ledger's head as committed to disk. */
  head(): WireHead;
  entriesAfter(seq: number, limits: { entriesMax: number; bytesMax: number }): LedgerEntry[];
  /** True while a key waits for contact. */
  isUrgent(): boolean;
  /** The latest picture, as it is asked for. */
  status(): Status;
  /** Takes an event; resolves when its changes are on disk. */
  take(event: SiteEvent): Promise<unknown>;
};

export type UplinkConfig = {
  aggregatorUrl: string;
  aggregatorPublicKeys: readonly PublicKey[];
  software: string;
  /** Chance drawn at the start of the program (protocol/hello.ts). */
  instanceId: string;
};
export type UplinkDeps = { clock: Clock; chance: Chance; logger: Logger; signer: Signer };

export type Uplink = {
  start(): void;
  /** Entries were committed, or how urgent contact is may have changed. */
  committed(): void;
  countsChanged(): void;
  /** The site lost what it was told and not on disk: ends the connection, and tries again after the back-off. */
  lostPlace(): void;
  /** Says goodbye; resolves when the socket is closed and all that came is taken. */
  stop(): Promise<void>;
};

type Delivery = Extract<
  SyncEffect,
  { kind: 'deliver' | 'deliver-refusal' | 'deliver-unacknowledged' | 'deliver-disconnected' }
>;

export function createUplink(
  config: UplinkConfig,
  site: UplinkSite,
  { clock, chance, logger, signer }: UplinkDeps,
): Uplink {
  const url = socketUrl(config.aggregatorUrl);
  const self = { siteId: site.siteId, instanceId: config.instanceId, software: config.software, signer };
  let state = initialSync;
  let socket: SiteSocket | null = null;
  let closing: Promise<void> = Promise.resolve();
  let cancelTimer = (): void => undefined;
  let deliveries: Promise<void> = Promise.resolve();
  let waiting = 0;
  let isFeeding = false;
  const pending: SyncEvent[] = [];

  function feed(event: SyncEvent): void {
    pending.push(event);
    // Effects answer with events of their own (`appended`); they are taken in turn, not inside one another.
    if (isFeeding) return;
    isFeeding = true;
    try {
      takePending();
    } finally {
      isFeeding = false;
    }
    setTimer();
  }

  function takePending(): void {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const context = { nowMs: clock.steadyMs(), head: site.head(), urgent: site.isUrgent(), chance, self };
      const before = state.phase;
      const [stepped, effects] = stepSync(state, next, context);
      state = stepped;
      if (before !== stepped.phase) logger.debug({ from: before, to: stepped.phase }, 'uplink');
      for (const effect of effects) carryOut(effect);
    }
  }

  function setTimer(): void {
    cancelTimer();
    const wakeMs = syncWakeMs(state);
    cancelTimer =
      wakeMs === Number.POSITIVE_INFINITY
        ? () => undefined
        : clock.after(Math.max(timerSlackMs, wakeMs - clock.steadyMs()), () => feed({ kind: 'time' }));
  }

  function carryOut(effect: SyncEffect): void {
    switch (effect.kind) {
      case 'open':
        return open();
      case 'close':
        return close(effect);
      case 'send':
        return socket?.send(encode(effect.message));
      case 'append':
        return append(effect.afterSeq, effect.entriesMax);
      case 'ping':
        return socket?.ping();
      case 'send-status':
        return socket?.send(encode(site.status()));
      case 'deliver':
      case 'deliver-refusal':
      case 'deliver-unacknowledged':
      case 'deliver-disconnected':
        return deliver(effect);
    }
  }

  function append(afterSeq: number, entriesMax: number): void {
    const entries = site.entriesAfter(afterSeq, { entriesMax, bytesMax: appendBytesMax });
    const last = entries.at(-1);
    if (last === undefined || socket === null) return;
    socket.send(encode({ kind: 'append', entries }));
    feed({ kind: 'appended', throughSeq: last.seq });
  }

  function open(): void {
    const opened = openSiteSocket(url, clock, {
      opened: () => feed({ kind: 'opened' }),
      alive: () => feed({ kind: 'alive' }),
      closed({ why, retryAfterMs }) {
        if (socket !== opened) return;
        socket = null;
        logger.info({ why }, 'no connection to the aggregator');
        feed({ kind: 'closed', retryAfterMs });
      },
      frame: (text) => takeFrame(text),
    });
    socket = opened;
  }

  function takeFrame(text: string | null): void {
    if (text === null) return feed({ kind: 'bad-frame', code: 'NOT_JSON' });
    const decoded = decodeToSite(text);
    if (decoded.ok) return feed({ kind: 'message', message: decoded.message });
    logger.warn({ code: decoded.code, problem: decoded.message }, 'a frame from the aggregator was not understood');
    // A newer aggregator's message: not for us, and no reason to part.
    if (decoded.code !== 'UNKNOWN_KIND') feed({ kind: 'bad-frame', code: decoded.code });
  }

  function close({ code, message }: { code: keyof typeof byeCodes; message: string }): void {
    if (socket === null) return;
    logger.info({ code, why: message }, 'the connection to the aggregator ends');
    const bye = encode({ kind: 'bye', code, retryAfterMs: null, message: message.slice(0, 500) });
    closing = socket.end(byeCodes[code].close, bye);
    socket = null;
  }

  /** One after the other: a lease's check takes a moment, and what came later must not overtake it. */
  function deliver(delivery: Delivery): void {
    if (waiting >= deliveriesWaitingMax && delivery.kind === 'deliver') {
      logger.error({ waiting }, 'the aggregator sends faster than the disk takes it');
      feed({ kind: 'lost-place', code: 'BACKLOG_FULL', message: 'more is sent than the site can write down' });
      return;
    }
    const connection = socket;
    // Frames are handed on in the turn in which they are read; from here on they wait for the disk.
    const heardSteadyMs = clock.steadyMs();
    waiting++;
    deliveries = deliveries
      .then(() => hand(delivery, heardSteadyMs))
      .then(() => {
        const isWelcome = delivery.kind === 'deliver' && delivery.message.kind === 'welcome';
        if (isWelcome && socket === connection) feed({ kind: 'welcome-taken' });
      })
      .catch((error: unknown) => {
        // A failed commit throws the state away and ends the connection (`lostPlace`), which the queue has told already.
        if (delivery.kind === 'deliver' && socket !== connection) return;
        logger.error({ err: error }, 'the site could not take a message of the aggregator');
        // Not taken means not on disk: only a new welcome says everything again.
        if (delivery.kind === 'deliver') lostPlace();
      })
      .finally(() => {
        waiting--;
      });
  }

  function lostPlace(): void {
    feed({ kind: 'lost-place', code: 'STORE_UNAVAILABLE', message: 'the site could not write down what it was told' });
  }

  async function hand(delivery: Delivery, heardSteadyMs: number): Promise<void> {
    const event = await eventOf(delivery, heardSteadyMs);
    if (event !== null) await site.take(event);
  }

  async function eventOf(delivery: Delivery, heardSteadyMs: number): Promise<SiteEvent | null> {
    if (delivery.kind === 'deliver-disconnected') return { kind: 'disconnected', aliveAgoMs: delivery.aliveAgoMs };
    if (delivery.kind === 'deliver-unacknowledged') return { kind: 'unacknowledged' };
    if (delivery.kind === 'deliver-refusal') {
      logger.error({ code: delivery.code, why: delivery.message }, 'the aggregator refuses this site');
      return { kind: 'refused', code: delivery.code, message: delivery.message };
    }
    const { message } = delivery;
    switch (message.kind) {
      case 'welcome': {
        const { serverTime, acked, settings, commands } = message;
        const leases: Lease[] = [];
        for (const token of message.leases) leases.push(...(await verified(token)));
        return {
          kind: 'welcomed',
          serverTime,
          heardSteadyMs,
          acknowledgedSeq: acked.seq,
          leases,
          settings,
          commands,
        };
      }
      case 'ack':
        return { kind: 'acknowledged', seq: message.seq, serverTime: message.serverTime, heardSteadyMs };
      case 'lease': {
        const [lease] = await verified(message.lease);
        return lease === undefined ? null : { kind: 'lease', lease };
      }
      case 'settings':
        return { kind: 'settings', settings: message.settings };
      case 'command':
        return { kind: 'command', command: message.command };
      case 'notice':
        logger.warn({ code: message.code, why: message.message }, 'notice of the aggregator');
        return { kind: 'notice', code: message.code, message: message.message };
    }
  }

  /** The lease, or nothing where it is not this aggregator's or not for this site. */
  async function verified(token: string): Promise<Lease[]> {
    const checked = await verifyLease(token, config.aggregatorPublicKeys);
    if (checked.ok && checked.lease.siteId === site.siteId) return [checked.lease];
    logger.error({ code: checked.ok ? 'LEASE_OF_OTHER_SITE' : checked.code }, 'a lease was not accepted');
    return [];
  }

  return {
    start: () => feed({ kind: 'start' }),
    committed() {
      feed({ kind: 'committed' });
      feed({ kind: 'time' });
    },
    countsChanged: () => feed({ kind: 'counts-changed' }),
    lostPlace,
    async stop() {
      feed({ kind: 'stop' });
      await closing;
      await deliveries;
    },
  };
}
