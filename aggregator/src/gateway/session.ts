/**
 * One socket of one site, from the challenge to the close: what may be said when, and what each message leads to. Joining
 * (who the site is, whether another lives) is join.ts, storing is site-ingest.ts, what the site is told is offer.ts; time is
 * kept by the gateway's one sweep, so an idle session holds no timer and no closure.
 */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Outcome } from '@rollcall/shared/domain/problem.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import type { Append } from '@rollcall/shared/protocol/append.ts';
import { type ByeCode, byeCodes } from '@rollcall/shared/protocol/bye.ts';
import { decodeToAggregator, encode } from '@rollcall/shared/protocol/codec.ts';
import type { Hello } from '@rollcall/shared/protocol/hello.ts';
import { unacknowledgedEntriesMax } from '@rollcall/shared/protocol/limits.ts';
import type { ToAggregator, ToSite } from '@rollcall/shared/protocol/messages.ts';
import type { RejectCode } from '@rollcall/shared/protocol/reject.ts';
import type { Status } from '@rollcall/shared/protocol/status.ts';
import type { Welcome } from '@rollcall/shared/protocol/welcome.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { SiteIngestState } from '../core/ingest-plan.ts';
import { type GatewayLimits, helloBytesMax } from './limits.ts';
import { MessageCredit } from './message-credit.ts';
import type { AppendOutcome, IngestingSite } from './site-ingest.ts';
import type { SiteSocket, SocketListener } from './site-socket.ts';

/** What a session asks of the gateway it belongs to; one object for all sessions. */
export type SessionHost = {
  readonly limits: GatewayLimits;
  readonly logger: Logger;
  /** Steady milliseconds as of the last sweep: exact enough for limits that are seconds. */
  readonly sweptMs: number;
  now(): Instant;
  retryAfterMs(code: ByeCode): number | null;
  newNonce(): string;
  takeBacklog(characters: number): boolean;
  releaseBacklog(characters: number): void;
  /** Looks at the hello and lets the session in by `open`, or ends it. */
  join(session: Session, hello: Hello, nonce: string): Promise<void>;
  append(site: IngestingSite, entries: readonly LedgerEntry[]): Promise<AppendOutcome>;
  /** The state of ingest of a site whose session rested. */
  readState(site: OpenSite): Promise<Outcome<{ state: SiteIngestState }, 'KEY_REPLACED'>>;
  /** The site's ledger is not the one held, or breaks a rule: flags it. */
  refuseLedger(siteId: string, code: 'FORK' | 'ENTRY_REFUSED', message: string): Promise<void>;
  /** The session is over; the site's place is free. */
  left(session: Session): void;
  /** Its socket is closed, too. */
  closed(session: Session): void;
};

/** What a session knows of its site once the signature was checked. */
export type OpenSite = Omit<IngestingSite, 'state'> & {
  siteId: string;
  /** Null in a session at rest, which then takes little memory: read again when the site appends. */
  state: SiteIngestState | null;
  instanceId: string;
  /** Null once it was recorded with a contact. */
  software: string | null;
};

type WaitingAppend = { entries: readonly LedgerEntry[]; characters: number };

/** Pings without an answer after which a site counts as gone. */
const missedPingsMax = 2;

export class Session implements SocketListener {
  /** What the limits of admission count it by. */
  readonly address: string;
  readonly #host: SessionHost;
  readonly #socket: SiteSocket;
  #phase: 'challenged' | 'joining' | 'open' | 'ended' = 'challenged';
  #nonce: string | null;
  #site: OpenSite | null = null;
  #status: Status | undefined;
  /** Set while appends wait; null in a session at rest. */
  #appends: WaitingAppend[] | null = null;
  #entriesWaiting = 0;
  #toldOfUnknownKind = false;
  #alive: { echo: string; resolve(alive: boolean): void } | null = null;
  #settingsSent = '';
  readonly #credit: MessageCredit;
  #missedPings = 0;
  #heardMs: number;
  #deadlineMs: number;
  /** Set when something changed before the welcome was out: the site is told again right after it. */
  changedWhileJoining = false;
  /** When the sweep is to renew leases and look for commands; set by offers.ts. */
  offerDueMs = Number.POSITIVE_INFINITY;
  #contactDueMs = 0;
  #contactMs = Number.NEGATIVE_INFINITY;

  constructor(socket: SiteSocket, host: SessionHost, address: string) {
    this.address = address;
    this.#socket = socket;
    this.#host = host;
    this.#nonce = host.newNonce();
    this.#credit = new MessageCredit(host.limits, host.sweptMs);
    this.#heardMs = host.sweptMs;
    this.#deadlineMs = host.sweptMs + host.limits.handshakeTimeoutMs;
    socket.listen(this);
  }

  get site(): OpenSite | null {
    return this.#site;
  }

  get status(): Status | undefined {
    return this.#status;
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  get hasEnded(): boolean {
    return this.#phase === 'ended';
  }

  /** Steady milliseconds of the last sign of life. */
  get heardMs(): number {
    return this.#heardMs;
  }

  challenge(protocolMin: number, protocolMax: number): void {
    if (this.#nonce !== null)
      this.send({ kind: 'challenge', nonce: this.#nonce, serverTime: this.#host.now(), protocolMin, protocolMax });
  }

  /** Names the site whose signature was right. */
  identify(site: OpenSite): void {
    this.#site = site;
  }

  /** Lets the site in; the welcome goes out before anything else does. */
  open(welcome: Welcome): void {
    if (this.#phase !== 'joining' || this.#site === null) return;
    this.#phase = 'open';
    this.#settingsSent = JSON.stringify(welcome.settings);
    this.#deadlineMs = this.#host.sweptMs + this.#host.limits.heartbeatIntervalMs;
    this.send(welcome);
  }

  /** Sends unless the session is over. A site that does not read is cut off: there is no room to tell it why. */
  send(message: ToSite): void {
    if (this.#phase === 'ended') return;
    this.#socket.send(encode(message));
    if (this.#socket.bufferedAmount <= this.#host.limits.sendBufferBytesMax) return;
    this.#host.logger.warn(
      { siteId: this.#site?.siteId, bytes: this.#socket.bufferedAmount },
      'a site does not read what it is sent',
    );
    this.#leave();
    this.#socket.terminate();
  }

  /** Sends the settings where they are not those the site has. */
  tellSettings(settings: SiteSettings): void {
    const text = JSON.stringify(settings);
    if (text === this.#settingsSent) return;
    this.#settingsSent = text;
    this.send({ kind: 'settings', settings });
  }

  /** Tells the site's operator something, once the site is let in. */
  notify(code: string, message: string): void {
    if (this.#phase === 'open') this.send({ kind: 'notice', code, message });
  }

  /** Says why and closes. Whatever still waits is dropped; the site sends it again. */
  end(code: ByeCode, message: string = byeCodes[code].says): void {
    if (this.#phase === 'ended') return;
    this.#host.logger.info({ siteId: this.#site?.siteId, code, why: message }, 'a socket of a site is closed');
    this.send({ kind: 'bye', code, retryAfterMs: this.#host.retryAfterMs(code), message: message.slice(0, 500) });
    this.#leave();
    this.#socket.close(byeCodes[code].close, code);
  }

  /** Drops a connection that did not end in time. */
  terminate(): void {
    this.#leave();
    this.#socket.terminate();
  }

  /** Asks the other side for a sign of life; false when the socket ends or `aliveCheckOver` is called before one comes. */
  checkAlive(echo: string): Promise<boolean> {
    if (this.#phase === 'ended') return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#alive = { echo, resolve };
      this.#socket.ping(echo);
    });
  }

  /** Ends it for a newer connection of the same program. True when this one still answers a ping sent right before the goodbye. */
  endReplaced(echo: string): Promise<boolean> {
    if (this.#phase === 'ended') return Promise.resolve(false);
    this.#socket.ping(echo);
    this.end('REPLACED');
    return new Promise((resolve) => {
      this.#alive = { echo, resolve };
    });
  }

  aliveCheckOver(): void {
    this.#answerAlive(false);
  }

  /** What time brings: called for every session at each sweep. Says whether its contact is to be recorded, and an offer is due. */
  sweep(nowMs: number): { contact: boolean; offer: boolean } {
    const nothing = { contact: false, offer: false };
    if (this.#phase === 'challenged' || this.#phase === 'joining') {
      if (nowMs >= this.#deadlineMs) this.end('HANDSHAKE_TIMEOUT');
      return nothing;
    }
    if (this.#phase !== 'open') return nothing;
    if (nowMs >= this.#deadlineMs) {
      if (this.#missedPings >= missedPingsMax) {
        this.end('HEARTBEAT_LOST');
        return nothing;
      }
      this.#missedPings += 1;
      this.#deadlineMs = nowMs + this.#host.limits.heartbeatIntervalMs;
      this.#socket.ping();
    }
    const contact = nowMs >= this.#contactDueMs && this.#heardMs > this.#contactMs;
    if (contact) {
      this.#contactMs = this.#heardMs;
      this.#contactDueMs = nowMs + this.#host.limits.contactIntervalMs;
      if (this.#site !== null && this.#appends === null) this.#site.state = null;
    }
    return { contact, offer: nowMs >= this.offerDueMs };
  }

  onFrame(data: Buffer, isBinary: boolean): void {
    if (this.#phase === 'ended') return;
    this.#heard();
    if (isBinary) return this.end('BAD_FRAME', 'a frame must be text');
    if (this.#phase !== 'open' && data.length > helloBytesMax)
      return this.end('FRAME_TOO_LARGE', 'a hello is shorter than this');
    if (!this.#pay(data.length)) return this.end('RATE_LIMITED');
    const decoded = decodeToAggregator(data.toString('utf8'));
    if (decoded.ok) return this.#take(decoded.message, data.length);
    switch (decoded.code) {
      case 'UNKNOWN_KIND':
        if (!this.#toldOfUnknownKind)
          this.#host.logger.info(
            { siteId: this.#site?.siteId },
            'a site sends messages of a kind unknown here: skipped',
          );
        this.#toldOfUnknownKind = true;
        return undefined;
      case 'FRAME_TOO_LARGE':
        return this.end('FRAME_TOO_LARGE', decoded.message);
      case 'NOT_JSON':
      case 'NOT_A_MESSAGE':
        return this.end('BAD_FRAME', decoded.message);
    }
  }

  onPong(echo: Buffer): void {
    // Also after the goodbye, for one that was replaced.
    if (this.#alive !== null && echo.toString('latin1') === this.#alive.echo) this.#answerAlive(true);
    if (this.#phase === 'ended') return;
    this.#heard();
    if (!this.#pay(0)) this.end('RATE_LIMITED');
  }

  onBrokenFrame(code: ByeCode): void {
    this.end(code);
  }

  onClose(): void {
    this.#leave();
    this.#answerAlive(false);
    this.#host.closed(this);
  }

  #take(message: ToAggregator, characters: number): void {
    switch (message.kind) {
      case 'hello':
        return this.#hello(message);
      case 'append':
        if (this.#phase !== 'open') return this.#unexpected(message.kind);
        // Paid for afterwards, and only where it led to nothing: how much may be sent ahead is limited otherwise.
        this.#credit.giveBack(characters);
        return this.#append(message, characters);
      case 'status':
        if (this.#phase !== 'open') return this.#unexpected(message.kind);
        this.#status = message;
        return undefined;
      case 'bye':
        this.#leave();
        return this.#socket.close(1000);
    }
  }

  #unexpected(kind: string): void {
    this.end('UNEXPECTED_MESSAGE', `a ${kind} has no place at this point`);
  }

  #hello(hello: Hello): void {
    const nonce = this.#nonce;
    if (this.#phase !== 'challenged' || nonce === null) return this.#unexpected('hello');
    this.#nonce = null;
    this.#phase = 'joining';
    this.#deadlineMs = this.#host.sweptMs + this.#host.limits.handshakeTimeoutMs;
    this.#host.join(this, hello, nonce).catch((error: unknown) => this.#storeFailed(error));
  }

  #append({ entries }: Append, characters: number): void {
    const site = this.#site;
    if (site === null) return;
    const fits = this.#entriesWaiting + entries.length <= unacknowledgedEntriesMax;
    if (!fits || !this.#host.takeBacklog(characters)) {
      // A session at rest would first have to ask the store where the site stands; the bye alone says what to do.
      return site.state === null
        ? this.end('BACKLOG_FULL')
        : this.#refuse('BACKLOG_FULL', byeCodes.BACKLOG_FULL.says, site.state);
    }
    this.#entriesWaiting += entries.length;
    const waiting = { entries, characters };
    if (this.#appends !== null) this.#appends.push(waiting);
    else {
      this.#appends = [waiting];
      this.#work(site).catch((error: unknown) => this.#storeFailed(error));
    }
  }

  /** Takes the appends through one after the other: each is planned on the state the one before led to. */
  async #work(site: OpenSite): Promise<void> {
    try {
      for (let next = this.#appends?.[0]; next !== undefined && this.#phase === 'open'; next = this.#appends?.[0]) {
        const read = site.state === null ? await this.#host.readState(site) : { ok: true as const, state: site.state };
        if (!read.ok) return this.end('SIGNATURE_WRONG', read.message);
        const outcome = await this.#host.append({ ...site, state: read.state }, next.entries);
        site.state = outcome.state;
        this.#appends?.shift();
        this.#entriesWaiting -= next.entries.length;
        this.#host.releaseBacklog(next.characters);
        this.#answer(outcome, next);
      }
    } finally {
      for (const { characters } of this.#appends ?? []) this.#host.releaseBacklog(characters);
      this.#appends = null;
      this.#entriesWaiting = 0;
    }
  }

  #answer(outcome: AppendOutcome, { characters }: WaitingAppend): void {
    const paid = (outcome.ok && outcome.progressed) || this.#pay(characters);
    if (!outcome.ok) this.#refuse(outcome.code, outcome.message, outcome.state);
    else this.send({ kind: 'ack', seq: outcome.state.head.seq, serverTime: this.#host.now() });
    if (!paid) this.end('RATE_LIMITED');
  }

  #refuse(code: RejectCode | 'KEY_REPLACED', message: string, state: SiteIngestState): void {
    if (code === 'KEY_REPLACED') return this.end('SIGNATURE_WRONG', message);
    const { seq, hash } = state.head;
    this.send({ kind: 'reject', code, expected: { seq, hash }, message: message.slice(0, 500) });
    switch (code) {
      case 'GAP':
        return;
      case 'FORK':
        return this.#refuseLedger(state.siteId, 'FORK', message);
      case 'BACKLOG_FULL':
        return this.end('BACKLOG_FULL');
      case 'TIME_BACKWARDS':
      case 'BAD_ENTRY':
      case 'ENTRY_TOO_LONG':
        return this.#refuseLedger(state.siteId, 'ENTRY_REFUSED', message);
    }
  }

  #refuseLedger(siteId: string, code: 'FORK' | 'ENTRY_REFUSED', message: string): void {
    this.end(code, message);
    this.#host.refuseLedger(siteId, code, message).catch((error: unknown) => this.#storeFailed(error));
  }

  #storeFailed(error: unknown): void {
    this.#host.logger.error({ siteId: this.#site?.siteId, err: error }, 'a site could not be served');
    this.end('STORE_UNAVAILABLE');
  }

  #heard(): void {
    this.#heardMs = this.#host.sweptMs;
    this.#missedPings = 0;
  }

  #pay(characters: number): boolean {
    return this.#credit.pay(characters, this.#host.sweptMs);
  }

  #answerAlive(alive: boolean): void {
    const waiting = this.#alive;
    this.#alive = null;
    waiting?.resolve(alive);
  }

  #leave(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#answerAlive(false);
    this.#host.left(this);
  }
}
