/**
 * The aggregator's door for sites: puts admission, sessions, ingest, leases and enrolment together, and keeps time for all
 * sessions by one sweep. Answers the HTTP API as GatewayPort. Listening is the server's: it passes its upgrades on.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Cancel, Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { pause } from '@rollcall/shared/node/clock.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import type { LeaseSigner } from '@rollcall/shared/node/lease-token.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { ByeCode } from '@rollcall/shared/protocol/bye.ts';
import type { EnrolRequest } from '@rollcall/shared/protocol/enrol.ts';
import type { Hello } from '@rollcall/shared/protocol/hello.ts';
import { frameBytesMax } from '@rollcall/shared/protocol/limits.ts';
import type { Status } from '@rollcall/shared/protocol/status.ts';
import { protocolVersion, protocolVersionMin, subprotocol } from '@rollcall/shared/protocol/version.ts';
import { type Server as SocketServer, WebSocketServer } from 'ws';
import { renewalIntervalMs } from '../core/leases.ts';
import type { Store } from '../store/store.ts';
import { Admission, answerRefusal } from './admission.ts';
import { type EnrolAnswer, EnrolmentDesk } from './enrolment-desk.ts';
import type { GatewayPort } from './gateway-port.ts';
import { Backlog, GroupCommit } from './group-commit.ts';
import { flagRefusal, type JoinParts, join } from './join.ts';
import { type GatewayLimits, gatewayLimits } from './limits.ts';
import { MonthRecounts } from './month-recounts.ts';
import { Offers } from './offers.ts';
import { Records } from './records.ts';
import { Registry } from './registry.ts';
import { retryAfterMs } from './retry-hint.ts';
import { type OpenSite, Session, type SessionHost } from './session.ts';
import {
  type AppendOutcome,
  appendEntries,
  type IngestingSite,
  readState,
  type SiteIngestParts,
} from './site-ingest.ts';
import { SiteSocket } from './site-socket.ts';

export type GatewayOptions = {
  store: Store;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  leaseSigner: LeaseSigner;
  /** The keys that check leases, newest first: told to a site when it enrols. */
  aggregatorPublicKeys: readonly PublicKey[];
  leaseMs: number;
  /** Proxies of ours in front, each of which adds the address it saw to X-Forwarded-For; 0 (the default): it is not read. */
  trustedProxies?: number;
  limits?: Partial<GatewayLimits>;
};

export type Gateway = GatewayPort & {
  /** The server's upgrades, all of them: foreign paths are answered 404. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** POST /site/v1/enrol, its body already read by `EnrolRequest`. */
  enrol(request: EnrolRequest, remoteAddress: string): Promise<EnrolAnswer>;
  /** Says goodbye to all sites and waits until what they sent is stored or refused. */
  stop(): Promise<void>;
};

/** Bytes of chance in the nonce of a challenge. */
const nonceBytes = 32;

/** Time closed sockets have to close at their end, too, when the gateway stops. */
const stopMs = 1_000;

const ignoreError = (): void => undefined;

export function createGateway(options: GatewayOptions): Gateway {
  return new SiteGateway(options);
}

class SiteGateway implements Gateway, SessionHost {
  readonly limits: GatewayLimits;
  readonly logger: Logger;
  sweptMs: number;
  readonly #options: GatewayOptions;
  readonly #sockets: SocketServer<typeof SiteSocket>;
  readonly #admission: Admission;
  readonly #backlog: Backlog;
  readonly #groupCommit: GroupCommit;
  readonly #records: Records;
  readonly #registry: Registry;
  readonly #offers: Offers;
  readonly #desk: EnrolmentDesk;
  readonly #joinParts: JoinParts;
  readonly #ingestParts: SiteIngestParts;
  /** Sessions, over or not, whose sockets are not closed yet. */
  readonly #sessions = new Set<Session>();
  readonly #sweepMs: number;
  #cancelSweep: Cancel;
  #stopped = false;
  #lastClosed: () => void = () => undefined;

  constructor(options: GatewayOptions) {
    const { store, clock, chance, leaseMs, leaseSigner } = options;
    const logger = options.logger;
    const limits = { ...gatewayLimits, ...options.limits };
    const [digest, verifier] = [nodeDigest, nodeVerifier];
    this.#options = options;
    this.logger = logger;
    this.limits = limits;
    this.sweptMs = clock.steadyMs();
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: frameBytesMax,
      perMessageDeflate: false,
      handleProtocols: () => subprotocol,
      WebSocket: SiteSocket,
    });
    this.#admission = new Admission(limits, options.trustedProxies ?? 0);
    this.#backlog = new Backlog(limits.backlogCharactersMax);
    this.#groupCommit = new GroupCommit(store.ingest, clock, limits);
    this.#records = new Records(store, logger);
    this.#registry = new Registry(clock, chance, limits.aliveCheckMs);
    this.#offers = new Offers({
      store,
      clock,
      chance,
      digest,
      logger,
      leaseSigner,
      leaseMs,
      limits,
      records: this.#records,
      sweptMs: () => this.sweptMs,
    });
    this.#desk = new EnrolmentDesk({ ...options, ...limits, digest, verifier });
    this.#joinParts = {
      store,
      registry: this.#registry,
      offers: this.#offers,
      verifier,
      clock,
      chance,
      logger,
      limits,
    };
    this.#ingestParts = {
      store,
      groupCommit: this.#groupCommit,
      recounts: new MonthRecounts(),
      clock,
      digest,
      verifier,
    };
    const shortestMs = Math.min(
      limits.heartbeatIntervalMs,
      limits.handshakeTimeoutMs,
      limits.contactIntervalMs,
      limits.commandResendMs,
      renewalIntervalMs(leaseMs),
    );
    this.#sweepMs = Math.min(1_000, Math.max(10, Math.floor(shortestMs / 4)));
    this.#cancelSweep = clock.after(this.#sweepMs, () => this.#sweep());
  }

  isConnected(siteId: string): boolean {
    return this.#registry.of(siteId)?.isOpen ?? false;
  }

  connectedCount(): number {
    return this.#registry.openCount;
  }

  statusOf(siteId: string): Status | undefined {
    return this.#registry.of(siteId)?.status;
  }

  siteChanged(siteId: string): void {
    this.#registry.changes += 1;
    const session = this.#registry.of(siteId);
    if (session === undefined) return;
    if (session.isOpen) void this.#offers.refresh(session);
    else session.changedWhileJoining = true;
  }

  siteReset(siteId: string): void {
    this.#registry.changes += 1;
    this.#registry.of(siteId)?.end('GOING_AWAY', 'this site was changed at the aggregator: connect again');
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until ws takes over, a peer that goes away must not be an unheard error.
    socket.on('error', ignoreError);
    this.#upgrade(request, socket, head).catch((error: unknown) => {
      this.logger.error({ err: error }, 'a socket could not be opened');
      socket.destroy();
    });
  }

  enrol(request: EnrolRequest, remoteAddress: string): Promise<EnrolAnswer> {
    return this.#desk.enrol(request, remoteAddress, (siteId) => this.siteReset(siteId));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#admission.close();
    this.#cancelSweep();
    for (const session of this.#sessions) session.end('GOING_AWAY');
    await this.#atMost(this.limits.commitTimeoutMs, this.#groupCommit.drained());
    await this.#records.flush();
    await this.#socketsClosed();
  }

  now(): Instant {
    return this.#options.clock.now();
  }

  retryAfterMs(code: ByeCode): number | null {
    return retryAfterMs(code, this.#options.chance);
  }

  newNonce(): string {
    return Buffer.from(this.#options.chance(nonceBytes)).toString('base64url');
  }

  takeBacklog(characters: number): boolean {
    return this.#backlog.take(characters).ok;
  }

  releaseBacklog(characters: number): void {
    this.#backlog.release(characters);
  }

  join(session: Session, hello: Hello, nonce: string): Promise<void> {
    return join(this.#joinParts, session, hello, nonce);
  }

  append(site: IngestingSite, entries: readonly LedgerEntry[]): Promise<AppendOutcome> {
    return appendEntries(this.#ingestParts, site, entries);
  }

  readState({ siteId, publicKey }: OpenSite): ReturnType<SessionHost['readState']> {
    return readState(this.#ingestParts, siteId, publicKey);
  }

  refuseLedger(siteId: string, code: 'FORK' | 'ENTRY_REFUSED', message: string): Promise<void> {
    return flagRefusal(this.#joinParts, siteId, code, message);
  }

  left(session: Session): void {
    this.#registry.leave(session);
  }

  closed(session: Session): void {
    this.#sessions.delete(session);
    this.#admission.release(session.address);
    if (this.#sessions.size === 0) this.#lastClosed();
  }

  /** Nothing made here may outlive it: a closure kept by the socket would keep the request, and with it its headers and buffers. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const admitted = await this.#admission.admit(request);
    if (!admitted.ok) return answerRefusal(socket, admitted);
    const { address } = admitted;
    const before = this.#sessions.size;
    // Calls back at once, or not at all where ws itself finds the request wrong and answers it.
    if (!socket.destroyed)
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#connected(webSocket, address));
    if (this.#sessions.size === before) this.#admission.release(address);
    else socket.removeListener('error', ignoreError);
  }

  #connected(socket: SiteSocket, address: string): void {
    this.sweptMs = this.#options.clock.steadyMs();
    const session = new Session(socket, this, address);
    this.#sessions.add(session);
    if (this.#stopped) session.end('GOING_AWAY');
    else session.challenge(protocolVersionMin, protocolVersion);
  }

  #sweep(): void {
    const nowMs = this.#options.clock.steadyMs();
    const wallMs = msOfInstant(this.now());
    this.sweptMs = nowMs;
    for (const session of this.#sessions) {
      const due = session.sweep(nowMs);
      if (due.contact) this.#recordContact(session, wallMs - (nowMs - session.heardMs));
      if (due.offer) this.#offers.enqueue(session);
    }
    void this.#records.flush();
    // Set again only once the present turn is over: a clock that is wound forward by days then brings one sweep, not thousands.
    queueMicrotask(() => {
      if (!this.#stopped) this.#cancelSweep = this.#options.clock.after(this.#sweepMs, () => this.#sweep());
    });
  }

  #recordContact({ site }: Session, heardMs: number): void {
    if (site === null) return;
    this.#records.contact({ siteId: site.siteId, at: instantFromMs(Math.max(0, heardMs)), software: site.software });
    site.software = null;
  }

  /** Waits for the end of something, but not for ever. */
  async #atMost(ms: number, end: Promise<void>): Promise<void> {
    const ended = new AbortController();
    await Promise.race([end, pause(ms, ended.signal)]);
    ended.abort();
  }

  async #socketsClosed(): Promise<void> {
    if (this.#sessions.size > 0) {
      const closed = new Promise<void>((resolve) => {
        this.#lastClosed = resolve;
      });
      await this.#atMost(stopMs, closed);
    }
    for (const session of this.#sessions) session.terminate();
  }
}
