/**
 * A machine that runs a Site Manager: the shell around the product's pure core (`@rollcall/agent/core`), which commits what the
 * core decided to a simulated disk, answers endpoints, runs the uplink's machine, sleeps, boots, and dies between any two of
 * these steps. Owns the order of the steps; what is decided in them is the product's.
 */
import { wakeInMs } from '@rollcall/agent/core/due.ts';
import { isContactUrgent } from '@rollcall/agent/core/lease-policy.ts';
import type { Plan, SitePorts } from '@rollcall/agent/core/plan.ts';
import { type SiteAnswers, type SiteEvent, SiteWork } from '@rollcall/agent/core/site.ts';
import type { Reading } from '@rollcall/agent/core/site-clock.ts';
import type { SiteState } from '@rollcall/agent/core/site-state.ts';
import { stepSync } from '@rollcall/agent/core/sync.ts';
import {
  initialSync,
  type SyncEffect,
  type SyncEvent,
  type SyncState,
  syncWakeMs,
} from '@rollcall/agent/core/sync-state.ts';
import { base32Text } from '@rollcall/shared/domain/id.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { appendBytesMax } from '@rollcall/shared/protocol/limits.ts';
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { spreadMs } from './chance.ts';
import type { EventQueue } from './event-queue.ts';
import { type CrashStep, crashOdds, crashSteps, type FaultLog, minuteMs } from './faults.ts';
import { readLease } from './lease-text.ts';
import { Connection, type Line, type NetworkParts } from './link.ts';
import type { MachineClock } from './machine-clock.ts';
import { siteEventOf } from './message-event.ts';
import type { SiteDisk } from './site-disk.ts';
import type { SiteRecord } from './site-record.ts';

/** The aggregator as a site's machine sees it; false: nobody answers there. */
type Listener = { connect(connection: Connection): boolean; readonly outUntilMs: number };

/** Where a test plants a mistake; the product has no such places. */
export type SiteSeams = {
  /** What the buggy program commits instead of its plan. */
  plan?(plan: Plan, signer: Signer): Plan;
  /** What the buggy program takes a lease for. */
  lease?(lease: Lease): Lease;
  /** What is gone from the disk after a power cut, although the disk had said that it was written. */
  powerCut?(disk: SiteDisk): void;
};

export type SiteMachineParts = {
  siteId: string;
  queue: EventQueue;
  random: SeededRandom;
  faults: FaultLog;
  network: NetworkParts;
  aggregator: Listener;
  clock: MachineClock;
  line: Line;
  disk: SiteDisk;
  record: SiteRecord;
  signer: Signer;
  seams: SiteSeams;
};

type Program = {
  state: SiteState;
  sync: SyncState;
  instanceId: string;
  connection: Connection | null;
  startedMs: number;
};

/** Thrown where the program dies; caught at the edge of the event that it died in. */
class ProgramDied extends Error {
  readonly step: CrashStep;

  constructor(step: CrashStep) {
    super(step);
    this.step = step;
  }
}

const software = '1.0.0-simulated';
const transactionSteps = crashSteps.filter((step) => step !== 'sent');
/** The shell writes a heartbeat so often; the simulator makes up for those it left out just before something happens. */
const heartbeatMs = minuteMs;
/** Shortest time to a wake-up, as the product's shell has it; what more of them for nothing are too many. */
const wakeMsMin = 20;
const uselessWakesMax = 200;
/** Failed attempts that are played in full before an outage of known length is skipped; the last minutes of it are played again. */
const attemptsPlayed = 4;
const playedBeforeReturnMs = 2 * minuteMs;

export class SiteMachine {
  readonly parts: SiteMachineParts;
  readonly #ports: SitePorts;
  #power: 'on' | 'asleep' | 'off' = 'on';
  #program: Program | null = null;
  /** Set when the program is to be started again; a later cause replaces it. */
  #startToken = 0;
  #dueWakeMs = Number.POSITIVE_INFINITY;
  #syncWakeMs = Number.POSITIVE_INFINITY;
  #uselessWakes = 0;
  /** Off in the end of a run, and where a test wants none. */
  crashesOn = true;

  constructor(parts: SiteMachineParts) {
    this.parts = parts;
    this.#ports = { digest: nodeDigest, signer: parts.signer, history: () => parts.disk.history() };
  }

  get isUp(): boolean {
    return this.#power === 'on' && this.#program !== null;
  }

  get power(): 'on' | 'asleep' | 'off' {
    return this.#power;
  }

  get isLive(): boolean {
    return this.isUp && this.#program?.sync.phase === 'live' && this.#program.connection?.isAlive === true;
  }

  /** The site as its program has it; for checks. */
  get state(): SiteState | null {
    return this.isUp ? (this.#program?.state ?? null) : null;
  }

  get connection(): Connection | null {
    return this.#program?.connection ?? null;
  }

  read(): Reading {
    return this.parts.clock.read(this.parts.queue.nowMs);
  }

  /**
   * Hands calls of endpoints or of the operator to the program, which decides them in one transaction. Undefined: nobody
   * answered; whether the calls had an effect the caller does not know.
   */
  call<Answers>(decide: (work: SiteWork) => Answers, durable: (answers: Answers) => void): Answers | undefined {
    let answered: Answers | undefined;
    this.#whileAlive((program) => {
      this.#transact(program, decide, durable, (answers) => {
        answered = answers;
      });
    });
    return answered;
  }

  start(): void {
    if (this.#power !== 'on' || this.#program !== null) return;
    const { queue, random, disk, record } = this.parts;
    const reading = this.read();
    record.started();
    const program: Program = {
      state: disk.load(reading),
      sync: initialSync,
      instanceId: base32Text(random.bytes(24), 24),
      connection: null,
      startedMs: queue.nowMs,
    };
    this.#program = program;
    this.#dueWakeMs = Number.POSITIVE_INFINITY;
    this.#syncWakeMs = Number.POSITIVE_INFINITY;
    this.#whileAlive(() => {
      this.#tick(program);
      this.#step(program, { kind: 'start' });
    });
  }

  /** The power goes, for a while. */
  powerOff(forMs: number): void {
    if (this.#power === 'off') return;
    this.#heartbeat();
    this.#power = 'off';
    this.#endProgram('silent');
    this.parts.seams.powerCut?.(this.parts.disk);
    this.#comeBackLater(forMs);
  }

  /** The machine sleeps: its program stands still, its uptime counts on, its connections break unheard. */
  sleep(forMs: number): void {
    if (this.#power !== 'on') return;
    this.#heartbeat();
    this.#power = 'asleep';
    this.#program?.connection?.cut('silently');
    this.#comeBackLater(forMs);
  }

  /** The machine is on and awake from now on. */
  comeBack(): void {
    const { queue, clock } = this.parts;
    this.#startToken++;
    if (this.#power === 'off') clock.boot(queue.nowMs);
    this.#power = 'on';
    const program = this.#program;
    if (program === null) return this.start();
    program.startedMs = queue.nowMs;
    this.#dueWakeMs = Number.POSITIVE_INFINITY;
    this.#syncWakeMs = Number.POSITIVE_INFINITY;
    this.#whileAlive(() => {
      this.#tick(program);
      this.#step(program, { kind: 'time' });
    });
  }

  /** Somebody set the wall clock: the program notices at its next heartbeat. */
  wallWasSet(): void {
    const { queue, random } = this.parts;
    queue.after(random.integer(1, heartbeatMs), () => this.#whileAlive((program) => this.#tick(program)));
  }

  #whileAlive(run: (program: Program) => void): void {
    const program = this.#program;
    if (this.#power !== 'on' || program === null) return;
    try {
      run(program);
      if (this.#program === program) this.#plan(program);
    } catch (error) {
      if (!(error instanceof ProgramDied)) throw error;
      this.parts.faults.add(`site-crash-${error.step}`);
      this.#endProgram(this.parts.random.happens(0.5) ? 'socket-closed' : 'silent');
      this.#startLater(spreadMs(this.parts.random, 1_000, 30 * minuteMs));
    }
  }

  /** The step of a transaction at which the program will die, if it will. */
  #fate(): CrashStep | null {
    if (!this.crashesOn) return null;
    return transactionSteps.find((step) => this.parts.random.happens(crashOdds[step])) ?? null;
  }

  /** Decide, commit, answer: the one order in which a Site Manager may do things. */
  #transact<Answers>(
    program: Program,
    decide: (work: SiteWork) => Answers,
    durable: (answers: Answers) => void,
    answer: (answers: Answers) => void,
  ): void {
    const { queue, record, seams, signer } = this.parts;
    const fate = this.#fate();
    const dieAt = (step: CrashStep): void => {
      if (step === fate) throw new ProgramDied(step);
    };
    // The heartbeats of a quiet program change nothing until it dies: then the last one is what it finds again.
    if (fate !== null && queue.nowMs - program.startedMs > heartbeatMs) this.#heartbeat();
    dieAt('received');
    const work = new SiteWork(program.state, this.read(), this.#ports);
    const answers = decide(work);
    const decided = work.finish();
    const plan = seams.plan?.(decided, signer) ?? decided;
    dieAt('decided');
    dieAt('commit-lost');
    this.parts.disk.applyPlan(plan);
    record.committed(plan, program.state);
    durable(answers);
    dieAt('commit-kept');
    if (plan !== decided) program.state = this.parts.disk.load(this.read());
    record.decided(program.state);
    dieAt('committed');
    answer(answers);
    dieAt('answered');
    if (plan.entries.length === 0) return;
    this.#step(program, { kind: 'committed' });
    this.#step(program, { kind: 'time' });
  }

  /** Nothing but time. */
  #tick(program: Program): void {
    this.#transact(
      program,
      (work) => work.decide({ kind: 'tick' }),
      () => {},
      () => {},
    );
  }

  /** The heartbeat that the program wrote within the last minute. */
  #heartbeat(): void {
    const crashesOn = this.crashesOn;
    this.crashesOn = false;
    this.#whileAlive((program) => this.#tick(program));
    this.crashesOn = crashesOn;
  }

  #endProgram(how: 'socket-closed' | 'silent'): void {
    const connection = this.#program?.connection ?? null;
    this.#program = null;
    if (how === 'silent') connection?.dieAtSite();
    else connection?.closeBySite();
  }

  #comeBackLater(afterMs: number): void {
    const token = ++this.#startToken;
    this.parts.queue.after(afterMs, () => {
      if (token === this.#startToken) this.comeBack();
    });
  }

  #startLater(afterMs: number): void {
    const token = ++this.#startToken;
    this.parts.queue.after(afterMs, () => {
      if (token === this.#startToken) this.start();
    });
  }

  /** Plans the next wake-ups: for what falls due at the site, and for the uplink. */
  #plan(program: Program): void {
    const { queue } = this.parts;
    const dueMs = wakeInMs(program.state, this.read());
    if (dueMs !== null && Number.isFinite(dueMs)) {
      const atMs = queue.nowMs + Math.max(wakeMsMin, dueMs + 1) + this.#uselessWakes ** 3;
      if (atMs < this.#dueWakeMs) {
        this.#dueWakeMs = atMs;
        queue.at(Math.ceil(atMs), () => {
          if (this.#program !== program || this.#dueWakeMs !== atMs) return;
          this.#dueWakeMs = Number.POSITIVE_INFINITY;
          this.#wake(program, dueMs === 0);
        });
      }
    }
    this.#planUplink(program);
  }

  /** A program that wakes at once, finds nothing to do and wakes again burns its machine. */
  #wake(program: Program, atOnce: boolean): void {
    const before = program.state.head.seq;
    this.#whileAlive(() => this.#tick(program));
    const isUseless =
      atOnce &&
      this.#program === program &&
      program.state.head.seq === before &&
      program.state.clock.unconfirmed === null;
    this.#uselessWakes = isUseless ? this.#uselessWakes + 1 : 0;
    if (this.#uselessWakes === uselessWakesMax)
      this.parts.record.breach(
        'wakes-for-a-reason',
        `the program woke ${uselessWakesMax} times at once and found nothing to do`,
      );
  }

  #planUplink(program: Program): void {
    const { queue, line, aggregator } = this.parts;
    const { sync, connection } = program;
    // The heartbeats of a connection that works change nothing: they are left out.
    const awaitsNothing = sync.pausedUntilMs === null && sync.ackDueMs === Number.POSITIVE_INFINITY;
    if (sync.phase === 'live' && connection?.isAlive === true && awaitsNothing) return;
    const wakeMs = syncWakeMs(sync);
    if (!Number.isFinite(wakeMs)) return;
    let atMs = queue.nowMs + Math.max(1, wakeMs - this.read().steadyMs);
    const returnsMs = Math.max(line.outUntilMs, aggregator.outUntilMs) - playedBeforeReturnMs;
    if (sync.phase === 'waiting' && sync.failures >= attemptsPlayed && returnsMs > atMs) atMs = returnsMs;
    atMs = Math.ceil(atMs);
    if (this.#syncWakeMs === atMs) return;
    this.#syncWakeMs = atMs;
    queue.at(atMs, () => {
      if (this.#program !== program || this.#syncWakeMs !== atMs) return;
      this.#syncWakeMs = Number.POSITIVE_INFINITY;
      this.#whileAlive(() => this.#step(program, { kind: 'time' }));
    });
  }

  #step(program: Program, first: SyncEvent): void {
    const { disk, random, siteId, signer } = this.parts;
    const context = {
      nowMs: this.read().steadyMs,
      head: disk.head(),
      urgent: isContactUrgent(program.state),
      chance: random.bytes,
      self: { siteId, instanceId: program.instanceId, software, signer },
    };
    if (program.connection?.isAlive === true && program.sync.phase === 'live')
      [program.sync] = stepSync(program.sync, { kind: 'alive' }, context);
    const [next, effects] = stepSync(program.sync, first, context);
    program.sync = next;
    for (const effect of effects) this.#act(program, effect);
  }

  #act(program: Program, effect: SyncEffect): void {
    const { connection } = program;
    switch (effect.kind) {
      case 'open':
        return this.#open(program);
      case 'close':
        program.connection = null;
        return connection?.closeBySite();
      case 'send':
        return connection?.toAggregator(effect.message);
      case 'append': {
        const entries = this.parts.disk.entriesAfter(effect.afterSeq, {
          entriesMax: effect.entriesMax,
          bytesMax: appendBytesMax,
        });
        const last = entries.at(-1);
        if (last === undefined) return undefined;
        connection?.toAggregator({ kind: 'append', entries });
        if (this.crashesOn && this.parts.random.happens(crashOdds.sent)) throw new ProgramDied('sent');
        return this.#step(program, { kind: 'appended', throughSeq: last.seq });
      }
      case 'ping':
      case 'send-status':
        return undefined;
      case 'deliver':
        return this.#deliver(program, effect.message);
      case 'deliver-refusal':
        this.parts.record.refused(effect.code, effect.message);
        return this.#decide(program, { kind: 'refused', code: effect.code, message: effect.message });
      case 'deliver-unacknowledged':
        return this.#decide(program, { kind: 'unacknowledged' });
      case 'deliver-disconnected':
        program.connection = null;
        return this.#decide(program, { kind: 'disconnected', aliveAgoMs: effect.aliveAgoMs });
    }
  }

  #open(program: Program): void {
    const { queue, random, faults, network, line, aggregator } = this.parts;
    const connection: Connection = new Connection(network, {
      heard: (message) => {
        if (program.connection === connection)
          this.#whileAlive(() => this.#step(program, { kind: 'message', message }));
      },
      closed: () => {
        if (program.connection !== connection) return;
        program.connection = null;
        this.#whileAlive(() => this.#step(program, { kind: 'closed', retryAfterMs: null }));
      },
    });
    program.connection = connection;
    queue.after(random.integer(2, 300), () => {
      if (program.connection !== connection) return;
      if (line.isOut() && line.hangs) return faults.add('connect-hangs');
      if (line.isOut() || !aggregator.connect(connection)) {
        faults.add('connect-refused');
        program.connection = null;
        return this.#whileAlive(() => this.#step(program, { kind: 'closed', retryAfterMs: null }));
      }
      return this.#whileAlive(() => this.#step(program, { kind: 'opened' }));
    });
  }

  #deliver(program: Program, message: (SyncEffect & { kind: 'deliver' })['message']): void {
    const { record, seams } = this.parts;
    const event = siteEventOf(message, this.read().steadyMs, (text) => {
      const lease = readLease(text);
      record.leaseTaken(lease);
      return seams.lease?.(lease) ?? lease;
    });
    this.#decide(program, event);
    if (message.kind === 'welcome' || message.kind === 'ack') record.contact();
    if (message.kind === 'welcome') this.#step(program, { kind: 'welcome-taken' });
  }

  #decide<Kind extends keyof SiteAnswers>(program: Program, event: SiteEvent<Kind>): void {
    this.#transact(
      program,
      (work) => work.decide(event),
      () => {},
      () => {},
    );
  }
}
