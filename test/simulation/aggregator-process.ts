/**
 * The aggregator's process: a shell around the product's ingest core and its real store that takes connections, commits in
 * groups, acknowledges, and dies between plan, commit and acknowledgement. What it remembers of sites is gone with it; the store
 * is not. The product's own shell (`aggregator/src/gateway`) does the same on sockets.
 */
import { leasesDue } from '@rollcall/aggregator/core/leases.ts';
import type { IngestPlan, IngestResult } from '@rollcall/aggregator/core/ingest-plan.ts';
import { MonthRecounts } from '@rollcall/aggregator/gateway/month-recounts.ts';
import { appendEntries, type IngestingSite, stateOf } from '@rollcall/aggregator/gateway/site-ingest.ts';
import type { KeyRecord, SiteSession, Store } from '@rollcall/aggregator/store/store.ts';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { instantFromMs } from '@rollcall/shared/domain/instant.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import type { ByeCode } from '@rollcall/shared/protocol/bye.ts';
import { type Hello, helloText } from '@rollcall/shared/protocol/hello.ts';
import { heartbeatIntervalMs, welcomeListMax } from '@rollcall/shared/protocol/limits.ts';
import type { ToAggregator } from '@rollcall/shared/protocol/messages.ts';
import { protocolVersion } from '@rollcall/shared/protocol/version.ts';
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { spreadMs } from './chance.ts';
import type { EventQueue } from './event-queue.ts';
import {
  type AggregatorCrashStep,
  aggregatorCrashOdds,
  dayMs,
  type FaultLog,
  hourMs,
  longAggregatorOutage,
} from './faults.ts';
import { leaseText } from './lease-text.ts';
import type { Connection } from './link.ts';
import type { Breach } from './site-record.ts';

/** Where a test plants a mistake; the product has no such places. */
export type AggregatorSeams = {
  /** Acknowledges before the commit. */
  acknowledgesEarly?: boolean;
  /** How often it dies before a commit, where a mistake shows only then. */
  diesPlannedOdds?: number;
  /** What the buggy program commits instead of, or beside, its plan. */
  plans?(plan: IngestPlan): IngestPlan[];
};

export type AggregatorParts = {
  queue: EventQueue;
  random: SeededRandom;
  faults: FaultLog;
  clock: Clock;
  /** The open store; `reopenStore` closes and opens it, as a restart does. */
  store(): Store;
  reopenStore(): Promise<void>;
  leaseMs: number;
  /** Whether hellos are verified: costs more than all the rest of a connection, and has tests of its own. */
  verifiesHellos: boolean;
  seams: AggregatorSeams;
};

type Session = {
  connection: Connection;
  nonce: string;
  phase: 'challenged' | 'open' | 'ended';
  instanceId: string;
  site: IngestingSite | null;
  /** Read when the session opened and when something changed: renewing a lease asks nobody. */
  keys: KeyRecord[];
  waiting: LedgerEntry[][];
};

class ProcessDied extends Error {
  readonly step: AggregatorCrashStep;

  constructor(step: AggregatorCrashStep) {
    super(step);
    this.step = step;
  }
}

/** Time in which frames of all sockets gather for one commit: now and then long enough for several sites. */
const collectMsMax = 40;
/** Time that an older connection has to show that it lives. */
const aliveCheckMs = 5_000;
/** Leases of a connected site are renewed before this part of their length has passed; the product renews more often. */
const renewalsPerLease = 5;
/** How often a command that was not answered goes out again on an open connection. */
const commandResendMs = hourMs;

export class AggregatorProcess {
  readonly parts: AggregatorParts;
  readonly breaches: Breach[] = [];
  /** The highest number that was ever acknowledged to each site. */
  readonly acknowledged = new Map<string, number>();
  readonly #bySite = new Map<string, Session>();
  #sessions = new Set<Session>();
  #isUp = true;
  #outUntilMs = 0;
  #isCommitPlanned = false;
  crashesOn = true;
  commits = 0;

  constructor(parts: AggregatorParts) {
    this.parts = parts;
  }

  get outUntilMs(): number {
    return this.#outUntilMs;
  }

  /** A site's connection comes in; false: nobody listens. */
  connect(connection: Connection): boolean {
    if (!this.#isUp) return false;
    const { random } = this.parts;
    const nonce = Buffer.from(random.bytes(32)).toString('base64url');
    const session: Session = {
      connection,
      nonce,
      phase: 'challenged',
      instanceId: '',
      site: null,
      keys: [],
      waiting: [],
    };
    this.#sessions.add(session);
    connection.accept({
      heard: (message) => (session.phase === 'ended' ? undefined : this.#hear(session, message)),
      closed: () => this.#leave(session),
    });
    connection.toSite({
      kind: 'challenge',
      nonce,
      serverTime: this.#now(),
      protocolMin: 1,
      protocolMax: protocolVersion,
    });
    return true;
  }

  /** Something in the portal concerns the site: told now where it is connected. */
  async siteChanged(siteId: string): Promise<void> {
    const session = this.#bySite.get(siteId);
    if (session !== undefined && session.phase === 'open') await this.#tell(session, siteId);
  }

  /** The process dies, and comes back after a while. What it held in memory is gone; what was acknowledged must be in the store. */
  async die(step: AggregatorCrashStep | null): Promise<void> {
    const { queue, random, faults } = this.parts;
    if (!this.#isUp) return;
    if (step !== null) faults.add(`aggregator-crash-${step}`);
    this.#isUp = false;
    for (const session of this.#sessions) {
      session.phase = 'ended';
      session.connection.closeByAggregator();
    }
    this.#sessions = new Set();
    this.#bySite.clear();
    const isLong = random.happens(longAggregatorOutage);
    if (isLong) faults.add('aggregator-long-outage');
    const outMs = isLong ? spreadMs(random, 2 * hourMs, 2 * dayMs) : spreadMs(random, 500, hourMs / 4);
    this.#outUntilMs = queue.nowMs + outMs;
    queue.after(outMs, () => this.#start());
  }

  /** What was acknowledged must be held, whatever happened since. */
  async checkAcknowledged(): Promise<void> {
    for (const [siteId, seq] of this.acknowledged) {
      const record = await this.parts.store().sites.session(siteId);
      const held = record?.state?.head.seq ?? 0;
      if (held < seq)
        this.#breach('acknowledged-is-kept', siteId, `entry ${seq} was acknowledged, and ${held} are held`);
    }
  }

  async #start(): Promise<void> {
    await this.parts.reopenStore();
    await this.checkAcknowledged();
    this.#isUp = true;
    this.#isCommitPlanned = false;
  }

  #now(): string {
    return instantFromMs(this.parts.queue.nowMs);
  }

  #breach(checker: Breach['checker'], siteId: string, what: string): void {
    this.breaches.push({ checker, siteId, what: `at ${this.#now()}: ${what}` });
  }

  #leave(session: Session): void {
    session.phase = 'ended';
    this.#sessions.delete(session);
    const siteId = session.site?.state.siteId;
    if (siteId !== undefined && this.#bySite.get(siteId) === session) this.#bySite.delete(siteId);
  }

  #end(session: Session, code: ByeCode, retryAfterMs: number | null = null): void {
    if (session.phase === 'ended') return;
    session.connection.toSite({ kind: 'bye', code, retryAfterMs, message: code });
    session.connection.closeByAggregator();
    this.#leave(session);
  }

  #hear(session: Session, message: ToAggregator): void | Promise<void> {
    switch (message.kind) {
      case 'hello':
        if (session.phase !== 'challenged' || session.instanceId !== '')
          return this.#end(session, 'UNEXPECTED_MESSAGE');
        session.instanceId = message.instanceId;
        return this.#join(session, message);
      case 'append':
        if (session.phase !== 'open') return this.#end(session, 'UNEXPECTED_MESSAGE');
        session.waiting.push(message.entries);
        if (this.parts.seams.acknowledgesEarly === true) this.#acknowledge(session, message.entries.at(-1)?.seq ?? 0);
        return this.#planCommit();
      case 'status':
        return undefined;
      case 'bye':
        return this.#leave(session);
    }
  }

  async #join(session: Session, hello: Hello): Promise<void> {
    const { siteId, head } = hello;
    const record = await this.parts.store().sites.session(siteId);
    if (record === undefined || record.publicKey === null || record.site.enrolledAt === null)
      return this.#end(session, 'SITE_UNKNOWN');
    const {
      publicKey,
      site: { enrolledAt },
    } = record;
    const { verifiesHellos } = this.parts;
    if (verifiesHellos && !nodeVerifier.verify(publicKey, helloText(hello, session.nonce), hello.signature))
      return this.#end(session, 'SIGNATURE_WRONG');
    session.site = { state: stateOf(record, publicKey), publicKey, enrolledAt, ledgerSeq: head.seq };
    const held = session.site.state.head;
    if (head.seq <= held.seq) {
      const heldThere =
        head.seq === held.seq
          ? held.hash
          : head.seq === 0
            ? emptyHead.hash
            : await this.parts.store().ingest.entryHash(siteId, head.seq);
      if (heldThere !== head.hash) return this.#end(session, 'FORK');
      if (head.seq < held.seq) return this.#end(session, 'LEDGER_BEHIND');
    }
    const older = this.#bySite.get(siteId);
    if (older === undefined || older === session) return this.#open(session, record);
    if (older.instanceId === hello.instanceId) {
      this.#end(older, 'REPLACED');
      return this.#joinAgain(session, hello);
    }
    // A process that died without a word leaves a socket behind that answers no more: told from a copy by a ping.
    if (older.connection.answers) {
      this.#breach('no-false-alarm', siteId, 'two machines of one site seem to live');
      return this.#end(session, 'CLONE_SUSPECTED');
    }
    this.parts.queue.after(aliveCheckMs, () => {
      this.#end(older, 'HEARTBEAT_LOST');
      return session.phase === 'ended' ? undefined : this.#joinAgain(session, hello);
    });
  }

  /** An older connection's last commit may have come after the site was read. */
  async #joinAgain(session: Session, hello: Hello): Promise<void> {
    const record = await this.parts.store().sites.session(hello.siteId);
    if (record === undefined || session.site === null) return;
    session.site.state = stateOf(record, session.site.publicKey);
    await this.#open(session, record);
  }

  async #open(session: Session, record: SiteSession): Promise<void> {
    if (session.site === null || session.phase !== 'challenged') return;
    const siteId = record.site.id;
    session.keys = await this.parts.store().keys.keysOfSite(siteId);
    session.phase = 'open';
    this.#bySite.set(siteId, session);
    const leases = this.#leases(session, siteId);
    const { seq, hash } = session.site.state.head;
    session.connection.toSite({
      kind: 'welcome',
      serverTime: this.#now(),
      acked: { seq, hash },
      leases,
      settings: record.site.settings,
      commands: await this.parts.store().keys.pendingCommands(siteId, welcomeListMax),
      heartbeatIntervalMs,
    });
    await this.parts.store().sites.recordContacts([{ siteId, at: this.#now(), software: null }]);
    this.#renewLater(session, siteId);
  }

  #leases({ keys }: Session, siteId: string): string[] {
    return leasesDue({ siteId, closedAt: null }, keys, this.#now(), this.parts.leaseMs, nodeDigest).map(leaseText);
  }

  #renewLater(session: Session, siteId: string): void {
    const { queue, random, leaseMs } = this.parts;
    queue.after((leaseMs / renewalsPerLease) * (0.5 + random.next() / 4), () => {
      if (session.phase !== 'open') return undefined;
      // The server's own heartbeat: a site that answers no more is given up.
      if (!session.connection.answers) return this.#end(session, 'HEARTBEAT_LOST');
      this.#renewLater(session, siteId);
      return this.#renew(session, siteId);
    });
  }

  #renew(session: Session, siteId: string): void {
    for (const lease of this.#leases(session, siteId)) session.connection.toSite({ kind: 'lease', lease });
  }

  async #tell(session: Session, siteId: string): Promise<void> {
    const record = await this.parts.store().sites.session(siteId);
    if (record === undefined) return;
    session.connection.toSite({ kind: 'settings', settings: record.site.settings });
    session.keys = await this.parts.store().keys.keysOfSite(siteId);
    this.#renew(session, siteId);
    const commands = await this.parts.store().keys.pendingCommands(siteId, welcomeListMax);
    for (const command of commands) session.connection.toSite({ kind: 'command', command });
    if (commands.length > 0)
      this.parts.queue.after(commandResendMs, () =>
        session.phase === 'open' ? this.#tell(session, siteId) : undefined,
      );
  }

  #planCommit(): void {
    if (this.#isCommitPlanned) return;
    this.#isCommitPlanned = true;
    this.parts.queue.after(this.parts.random.integer(1, collectMsMax), () => this.#commit());
  }

  async #commit(): Promise<void> {
    this.#isCommitPlanned = false;
    if (!this.#isUp) return;
    const ready = [...this.#sessions].filter(({ phase, waiting }) => phase === 'open' && waiting.length > 0);
    const group = new Group(this.parts, (step) => this.#crash(step));
    const done = await Promise.allSettled(ready.map((session) => this.#append(session, group)));
    for (const result of done) {
      if (result.status === 'fulfilled') continue;
      if (!(result.reason instanceof ProcessDied)) throw result.reason;
      return this.die(result.reason.step);
    }
    if ([...this.#sessions].some(({ phase, waiting }) => phase === 'open' && waiting.length > 0)) this.#planCommit();
  }

  async #append(session: Session, group: Group): Promise<void> {
    const { site } = session;
    const entries = session.waiting.shift();
    if (site === null || entries === undefined) return;
    const { clock } = this.parts;
    const recounts = new MonthRecounts();
    const outcome = await appendEntries(
      { store: this.parts.store(), groupCommit: group, recounts, clock, digest: nodeDigest, verifier: nodeVerifier },
      site,
      entries,
    );
    this.commits++;
    site.state = outcome.state;
    const { seq, hash } = outcome.state.head;
    if (outcome.ok) {
      this.#acknowledge(session, seq);
      this.#crash('acknowledged');
      return;
    }
    if (outcome.code === 'KEY_REPLACED') return this.#end(session, 'SIGNATURE_WRONG');
    session.connection.toSite({
      kind: 'reject',
      code: outcome.code,
      expected: { seq, hash },
      message: outcome.message,
    });
    if (outcome.code === 'GAP') return;
    this.#breach('no-false-alarm', site.state.siteId, `entries were rejected: ${outcome.code} ${outcome.message}`);
    this.#end(session, outcome.code === 'FORK' ? 'FORK' : 'ENTRY_REFUSED');
  }

  #acknowledge(session: Session, seq: number): void {
    const siteId = session.site?.state.siteId;
    if (siteId === undefined) return;
    this.acknowledged.set(siteId, Math.max(seq, this.acknowledged.get(siteId) ?? 0));
    session.connection.toSite({ kind: 'ack', seq, serverTime: this.#now() });
  }

  #crash(step: AggregatorCrashStep): void {
    const { random, seams } = this.parts;
    const odds =
      step === 'planned' ? (seams.diesPlannedOdds ?? aggregatorCrashOdds.planned) : aggregatorCrashOdds[step];
    if (this.crashesOn && random.happens(odds)) throw new ProcessDied(step);
  }
}

/** One group commit: gathers the plans of all sites that have got so far, and applies them as one transaction. */
class Group {
  readonly #parts: AggregatorParts;
  readonly #crash: (step: AggregatorCrashStep) => void;
  #plans: IngestPlan[] = [];
  #applied: Promise<IngestResult[]> | null = null;

  constructor(parts: AggregatorParts, crash: (step: AggregatorCrashStep) => void) {
    this.#parts = parts;
    this.#crash = crash;
  }

  async submit(plan: IngestPlan): Promise<IngestResult> {
    const plans = this.#parts.seams.plans?.(plan) ?? [plan];
    const place = this.#plans.length;
    this.#plans.push(...plans);
    this.#applied ??= this.#apply();
    const result = (await this.#applied)[place];
    if (result === undefined) throw new TypeError('the store answered fewer plans than it was given');
    return result;
  }

  async #apply(): Promise<IngestResult[]> {
    // All sessions of the group read from a store that answers within the turn; after it, all plans are here.
    await new Promise((resolve) => setImmediate(resolve));
    const plans = this.#plans;
    this.#plans = [];
    this.#applied = null;
    this.#crash('planned');
    const results = await this.#parts.store().ingest.apply(plans);
    this.#crash('committed');
    return results;
  }
}
