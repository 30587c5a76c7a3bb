/**
 * What the simulator writes down about one site while it runs, and what it can see to be wrong at once: the ground truth, the
 * answers that were given, the leases that were taken, and how well the site can know what time it is. Checks of the whole
 * are in `checks.ts`.
 */
import type { Plan } from '@rollcall/agent/core/plan.ts';
import type { SiteState } from '@rollcall/agent/core/site-state.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { EventQueue } from './event-queue.ts';
import { minuteMs } from './faults.ts';
import type { GroundTruth, Kind } from './ground-truth.ts';

export type Checker =
  | 'acknowledged-is-kept'
  | 'everyone-is-served'
  | 'nothing-twice'
  | 'one-report-a-month'
  | 'counts-agree'
  | 'reports-verify'
  | 'leases-end'
  | 'leases-return'
  | 'time-is-right'
  | 'no-false-alarm'
  | 'wakes-for-a-reason'
  | 'invoices-add-up';
export type Breach = { checker: Checker; siteId: string | null; what: string };

/** A call of an endpoint that was taken, and whether its answer reached the endpoint. */
export type TakenCall = {
  by: 'endpoint' | 'operator';
  endpointId: string;
  machineId: string;
  atMs: number;
  kind: Kind | null;
  answered: boolean;
};

/**
 * How far a site's time may stand from true time while no clock was set since the last contact: twice what the product
 * tolerates without correcting it (2 min), what it takes for a gap that needs no question (5 min) less what both share, and
 * the drift of a crystal.
 */
const timeBoundMs = 7 * minuteMs;
const driftPerMs = 0.000_25;

const stages = ['active', 'warning', 'restricted', 'disabled-offline', 'deactivated'];
const quarters = [0, 1, 2, 4];

export class SiteRecord {
  readonly siteId: string;
  readonly truth: GroundTruth;
  readonly calls: TakenCall[] = [];
  readonly breaches: Breach[] = [];
  readonly #queue: EventQueue;
  /** The newest lease on disk for each key, as it was issued. */
  readonly #leases = new Map<string, HeldLease>();
  readonly #issued = new Map<string, Lease>();
  #contactMs: number;
  /** How far the wall clock was set since the last contact, in sum. */
  #setSinceContactMs = 0;
  /** A program started since the last contact whose clock had been set: it may be wrong by design until the next one. */
  #isDoubtful = false;
  /** The latest instant written down while in doubt: until true time has come there, the site's stamps may stand still. */
  #aheadUntilMs = 0;
  #lastEntryMs = 0;
  readonly #states = new Map<string, string>();
  /** Reports that a site in doubt sealed before the month was over: by design, counted to show that it happens. */
  sealedInDoubt = 0;

  constructor(siteId: string, truth: GroundTruth, queue: EventQueue) {
    this.siteId = siteId;
    this.truth = truth;
    this.#queue = queue;
    this.#contactMs = queue.nowMs;
  }

  breach(checker: Checker, what: string): void {
    this.breaches.push({ checker, siteId: this.siteId, what: `at ${instantFromMs(this.#queue.nowMs)}: ${what}` });
  }

  /** The wall clock was set. A program that is not sure of the time judges it by what it shows then. */
  wallSet(byMs: number, isUnconfirmed: boolean): void {
    this.#setSinceContactMs += byMs;
    if (isUnconfirmed) this.started();
  }

  started(): void {
    if (Math.abs(this.#setSinceContactMs) > minuteMs) this.#isDoubtful = true;
  }

  /**
   * The operator set the clock right and said so. Time does not go back behind what the site knows, since nobody may make a lease
   * longer by setting a clock: a site that believes in a later time goes on believing in it until contact.
   */
  vouched(lastKnown: Instant | null): void {
    if (lastKnown === null || msOfInstant(lastKnown) <= this.#queue.nowMs + this.boundMs()) this.contact();
  }

  /** The aggregator told the time. */
  contact(): void {
    this.#contactMs = this.#queue.nowMs;
    this.#setSinceContactMs = 0;
    this.#isDoubtful = false;
  }

  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  boundMs(): number {
    return timeBoundMs + (this.#queue.nowMs - this.#contactMs) * driftPerMs;
  }

  /** The aggregator would not have this site, in a world without copies. */
  refused(code: string, message: string): void {
    this.breach('no-false-alarm', `the site was refused: ${code} ${message}`);
  }

  /** A call was taken and is on disk. Returns it, for the answer to be marked. */
  taken(endpointId: string, machineId: string, at: Instant, kind: Kind | null): TakenCall {
    const atMs = msOfInstant(at);
    this.#checkTime(atMs);
    this.truth.heard(machineId, atMs, kind);
    const call: TakenCall = { by: 'endpoint', endpointId, machineId, atMs, kind, answered: false };
    this.calls.push(call);
    return call;
  }

  /** The operator took an endpoint off the roll. */
  takenOff(endpointId: string, machineId: string, at: Instant): void {
    const atMs = msOfInstant(at);
    this.truth.takenOff(machineId, atMs);
    this.calls.push({ by: 'operator', endpointId, machineId, atMs, kind: null, answered: true });
  }

  leaseTaken(lease: Lease): void {
    this.#issued.set(`${lease.keyId} ${lease.issuedAt}`, lease);
  }

  /** A plan is on disk. */
  committed(plan: Plan, { clock }: SiteState): void {
    for (const { entry } of plan.entries) {
      const atMs = msOfInstant(entry.at);
      if (entry.kind === 'month-sealed') this.#checkSeal(entry.body.month, msOfInstant(entry.body.period.end));
      if (entry.kind === 'settings-changed') this.truth.staleLimitChanged(atMs, entry.body.settings.staleAfterDays);
      if (entry.kind === 'key-state')
        this.#checkStageInstant(entry.body.keyId, entry.body.state, atMs, clock.wallMs > clock.trustedMs);
      this.#lastEntryMs = atMs;
    }
    if (this.#isDoubtful) this.#aheadUntilMs = Math.max(this.#aheadUntilMs, this.#lastEntryMs);
    for (const change of plan.softChanges) {
      if (change.kind !== 'lease') continue;
      const name = `${change.lease.keyId} ${change.lease.issuedAt}`;
      const issued = this.#issued.get(name);
      if (issued !== undefined) this.#leases.set(issued.keyId, held(issued));
      this.#issued.delete(name);
    }
  }

  /**
   * The state after a transaction: every key must be in the stage of its lease, by trusted time while contact lasts, else by the
   * later of the two clocks.
   */
  decided(state: SiteState): void {
    const { clock } = state;
    if (clock.unconfirmed !== null) return;
    const laterMs = state.connected ? clock.trustedMs : Math.max(clock.trustedMs, clock.wallMs);
    const surelyMs = this.#isDoubtful ? 0 : this.#queue.nowMs - this.boundMs();
    for (const key of state.keys.values()) {
      const lease = this.#leases.get(key.keyId);
      if (lease === undefined || key.state === 'deactivated') continue;
      const is = stages.indexOf(key.state);
      const due = Math.max(stageOf(lease, laterMs), stageOf(lease, surelyMs));
      if (is < due)
        this.breach(
          'leases-end',
          `key ${key.keyId} is ${key.state}, and ${stages[due]} is due by the lease until ${lease.lease.until}`,
        );
      if (is > due)
        this.breach(
          'leases-return',
          `key ${key.keyId} is ${key.state}, and only ${stages[due]} is due by the lease until ${lease.lease.until}`,
        );
    }
  }

  #checkTime(atMs: number): void {
    const { nowMs } = this.#queue;
    const boundMs = this.boundMs();
    if (this.#isDoubtful) return;
    if (atMs < nowMs - boundMs)
      this.breach('time-is-right', `a call is dated ${instantFromMs(atMs)}, ${nowMs - atMs} ms late`);
    if (atMs > nowMs + boundMs && atMs > this.#aheadUntilMs)
      this.breach('time-is-right', `a call is dated ${instantFromMs(atMs)}, ${atMs - nowMs} ms ahead`);
  }

  #checkSeal(month: string, endMs: number): void {
    if (endMs <= this.#queue.nowMs + this.boundMs()) return;
    if (this.#isDoubtful) this.sealedInDoubt++;
    else if (endMs > this.#aheadUntilMs)
      this.breach('one-report-a-month', `the month ${month} was sealed before it was over`);
  }

  /** A stage begins at its part of the lease; later only where the ledger stands there already, earlier only by a clock ahead. */
  #checkStageInstant(keyId: string, state: string, atMs: number, wallIsAhead: boolean): void {
    const before = this.#states.get(keyId);
    this.#states.set(keyId, state);
    const stage = stages.indexOf(state);
    const lease = this.#leases.get(keyId);
    if (stage < 1 || stage > 3 || lease === undefined) return;
    // Back from a worse stage, granted or reactivated: that happens at the time of the cause.
    if (before === undefined || stages.indexOf(before) > stage) return;
    const dueMs = lease.beginsMs[stage] ?? 0;
    if (atMs === dueMs || (atMs > dueMs && atMs === this.#lastEntryMs) || (atMs < dueMs && wallIsAhead)) return;
    this.breach(
      'leases-end',
      `key ${keyId} became ${state} at ${instantFromMs(atMs)}, and not at ${instantFromMs(dueMs)}`,
    );
  }
}

/** A lease and the instants at which its stages begin. */
type HeldLease = { lease: Lease; beginsMs: number[] };

function held(lease: Lease): HeldLease {
  const issuedMs = Date.parse(lease.issuedAt);
  const lengthMs = Date.parse(lease.until) - issuedMs;
  return { lease, beginsMs: quarters.map((quarter) => issuedMs + Math.ceil((lengthMs * quarter) / 4)) };
}

function stageOf({ beginsMs }: HeldLease, ms: number): number {
  let stage = 0;
  for (const [later, beginMs] of beginsMs.entries()) if (ms >= beginMs) stage = later;
  return stage;
}
