/**
 * One durable transaction for what all sockets brought in a few milliseconds (architecture, decision 3). Owns what waits and
 * when a group closes; what a plan is belongs to core/ingest.ts, what follows an outcome to the session.
 */
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { type Outcome, RollcallError, refuse } from '@rollcall/shared/domain/problem.ts';
import { pause } from '@rollcall/shared/node/clock.ts';
import type { IngestPlan, IngestResult } from '../core/ingest-plan.ts';
import type { IngestStore } from '../store/store.ts';
import type { GatewayLimits } from './limits.ts';

export type CommitOutcome = IngestResult | { ok: false; code: 'BACKLOG_FULL' };

type Waiting = { plan: IngestPlan; resolve: (outcome: CommitOutcome) => void; reject: (error: unknown) => void };

export type GroupCommitLimits = Pick<
  GatewayLimits,
  'groupEntriesMax' | 'groupPlansWaitingMax' | 'collectMs' | 'commitTimeoutMs'
>;

export class GroupCommit {
  readonly #store: Pick<IngestStore, 'apply'>;
  readonly #clock: Clock;
  readonly #limits: GroupCommitLimits;
  #waiting: Waiting[] = [];
  /** From the first plan of a group until nothing is left and the time to gather after the last commit is over. */
  #running: Promise<void> | null = null;
  /** Set while a commit takes longer than it may: what comes meanwhile is turned away at once. */
  #overdue: RollcallError | null = null;

  constructor(store: Pick<IngestStore, 'apply'>, clock: Clock, limits: GroupCommitLimits) {
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Resolves once the plan's group is durable, or was found not to apply. When nothing runs the group is committed at once;
   * while a commit runs, the next group fills.
   * @throws RollcallError when the store could not be asked or did not answer in time: then nobody knows whether the plan was
   * applied, and the site learns it from its next welcome.
   */
  submit(plan: IngestPlan): Promise<CommitOutcome> {
    if (this.#overdue !== null) return Promise.reject(this.#overdue);
    if (this.#waiting.length >= this.#limits.groupPlansWaitingMax)
      return Promise.resolve({ ok: false, code: 'BACKLOG_FULL' });
    const outcome = new Promise<CommitOutcome>((resolve, reject) => this.#waiting.push({ plan, resolve, reject }));
    this.#running ??= this.#run();
    return outcome;
  }

  /** Resolves when nothing waits and nothing runs. */
  async drained(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // Plans made in the same turn of the event loop share the first commit.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      await this.#commit(this.#nextGroup());
      // A synchronous driver held the event loop meanwhile: let the sockets be read before the next group closes.
      await pause(this.#limits.collectMs);
    }
    this.#running = null;
  }

  /** Takes plans in order, at most one a site: a site's next plan is based on what its last one leads to. */
  #nextGroup(): Waiting[] {
    const group: Waiting[] = [];
    const left: Waiting[] = [];
    const sites = new Set<string>();
    let entries = 0;
    for (const waiting of this.#waiting) {
      const { siteId, log } = waiting.plan;
      const fits = group.length === 0 || entries + log.length <= this.#limits.groupEntriesMax;
      if (!fits || sites.has(siteId)) {
        left.push(waiting);
        sites.add(siteId);
        continue;
      }
      sites.add(siteId);
      entries += log.length;
      group.push(waiting);
    }
    this.#waiting = left;
    return group;
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const cancel = this.#clock.after(this.#limits.commitTimeoutMs, () => {
      const error = new RollcallError(
        'STORE_UNAVAILABLE',
        `the store took longer than ${this.#limits.commitTimeoutMs} ms`,
        { retryable: true },
      );
      this.#overdue = error;
      for (const { reject } of [...group, ...this.#waiting.splice(0)]) reject(error);
    });
    try {
      const results = await this.#store.apply(group.map(({ plan }) => plan));
      for (const [index, { resolve, reject }] of group.entries()) {
        const result = results[index];
        if (result === undefined)
          reject(new TypeError(`the store answered ${results.length} of ${group.length} plans`));
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      cancel();
      this.#overdue = null;
    }
  }
}

/** A bound on what waits in memory, shared by all sessions. */
export class Backlog {
  readonly #charactersMax: number;
  #characters = 0;

  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax;
  }

  take(characters: number): Outcome<object, 'BACKLOG_FULL'> {
    if (this.#characters + characters > this.#charactersMax)
      return refuse('BACKLOG_FULL', 'too much waits to be stored');
    this.#characters += characters;
    return { ok: true };
  }

  release(characters: number): void {
    this.#characters -= characters;
  }
}
