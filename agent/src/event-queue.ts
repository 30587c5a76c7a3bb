/**
 * The one line in which all events of a site stand. Owns the order, the commit of events in groups by one transaction, the wake-up
 * for what falls due, and what happens when the disk fails; deciding is core's.
 */
import type { LocalRefusalCode } from '@rollcall/shared/api/local.ts';
import type { Cancel, Clock } from '@rollcall/shared/domain/clock.ts';
import { type Refusal, refuse, RollcallError } from '@rollcall/shared/domain/problem.ts';
import { countChanges } from '@rollcall/shared/ledger/intervals.ts';
import { afterThisTurn } from '@rollcall/shared/node/clock.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { wakeInMs } from './core/due.ts';
import { isContactUrgent } from './core/lease-policy.ts';
import { isEmptyPlan, type Plan, type SitePorts } from './core/plan.ts';
import { type SiteAnswers, type SiteEvent, type SiteEventKind, SiteWork } from './core/site.ts';
import type { SiteState } from './core/site-state.ts';
import type { SiteStore } from './ledger/site-store.ts';

/** Events that wait; one more of the local API is refused, so that a stuck disk does not fill memory. */
export const queuedEventsMax = 10_000;
/** Events in one transaction: enough to share a sync among all that came during the last one. */
const groupEventsMax = 256;
/** Shortest time to the next wake-up: a clock that counts coarsely must not spin the program. */
const wakeMsMin = 20;
/** After a failure of the disk. */
const wakeAfterFailureMs = 5_000;

/** Kinds of events that the local API asks for: those that can be refused. */
type Askable = {
  [Kind in SiteEventKind]: Extract<SiteAnswers[Kind], { ok: false }> extends never ? never : Kind;
}[SiteEventKind];
type Busy = Refusal<Extract<LocalRefusalCode, 'STOPPING' | 'RATE_LIMITED'>>;
export type Commit = { countsChanged: boolean };

export type SiteQueue = {
  /** The site as committed. */
  state(): SiteState;
  isUrgent(): boolean;
  /** For the local API: answers `STOPPING` after the stop and `RATE_LIMITED` when too much waits. */
  ask<Kind extends Askable>(event: SiteEvent<Kind>): Promise<SiteAnswers[Kind] | Busy>;
  /** Answers once the event's changes are on disk. @throws RollcallError `STORE_FAILED`, `STOPPING`, and what broke the event. */
  submit<Kind extends SiteEventKind>(event: SiteEvent<Kind>): Promise<SiteAnswers[Kind]>;
  /** Asks what is due. */
  wake(): void;
  onCommit(call: (commit: Commit) => void): void;
  /** The state was thrown away and read from disk again. */
  onReload(call: () => void): void;
  /** Works off what waits, then takes nothing more. */
  stop(): Promise<void>;
};

type Job = { run(work: SiteWork): () => void; fail(error: unknown): void };

export function createSiteQueue(
  store: SiteStore,
  ports: SitePorts,
  { clock, logger, onFatal }: { clock: Clock; logger: Logger; onFatal: (error: Error) => void },
): SiteQueue {
  const reading = () => ({ wall: clock.now(), steadyMs: clock.steadyMs() });
  let state = store.load(reading());
  let urgent = isContactUrgent(state);
  let jobs: Job[] = [];
  let isDrainDue = false;
  let isStopped = false;
  let failure: Error | undefined;
  let cancelWake: Cancel = () => undefined;
  let onCommit: (commit: Commit) => void = () => undefined;
  let onReload: () => void = () => undefined;
  const drained: (() => void)[] = [];

  function submit<Kind extends SiteEventKind>(event: SiteEvent<Kind>): Promise<SiteAnswers[Kind]> {
    if (isStopped)
      return Promise.reject(failure ?? new RollcallError('STOPPING', 'the Site Manager stops', { retryable: true }));
    return new Promise((resolve, reject) => {
      jobs.push({
        run(work) {
          const answer = work.decide(event);
          return () => resolve(answer);
        },
        fail: reject,
      });
      drainSoon();
    });
  }

  /** After the sockets of this turn were read: what they brought shares one transaction. */
  function drainSoon(): void {
    if (isDrainDue) return;
    isDrainDue = true;
    afterThisTurn(drain);
  }

  function drain(): void {
    isDrainDue = false;
    const group = jobs.slice(0, groupEventsMax);
    jobs = jobs.slice(groupEventsMax);
    let nextWakeMs: number | null = wakeAfterFailureMs;
    let committed: Plan | null = null;
    try {
      const { plan, answers } = decideGroup(group);
      if (!isEmptyPlan(plan)) store.applyPlan(plan);
      urgent = isContactUrgent(state);
      for (const answer of answers) answer();
      nextWakeMs = wakeInMs(state, reading());
      committed = plan;
    } catch (error) {
      recover(error, group);
    }
    cancelWake();
    cancelWake =
      isStopped || nextWakeMs === null ? () => undefined : clock.after(Math.max(wakeMsMin, nextWakeMs), wake);
    if (committed !== null && committed.entries.length > 0)
      onCommit({ countsChanged: committed.entries.some(({ entry }) => countChanges(entry).length > 0) });
    if (jobs.length > 0) drainSoon();
    else for (const resolve of drained.splice(0)) resolve();
  }

  function decideGroup(group: readonly Job[]): { plan: Plan; answers: (() => void)[] } {
    const work = new SiteWork(state, reading(), ports);
    const answers = group.map((job) => job.run(work));
    return { plan: work.finish(), answers };
  }

  /** The state may have changes that are on no disk: it is thrown away. */
  function recover(error: unknown, group: readonly Job[]): void {
    logger.error({ err: error }, 'a group of events failed; the state is read from disk again');
    for (const job of group) job.fail(error);
    try {
      state = store.load(reading());
      urgent = isContactUrgent(state);
      onReload();
    } catch (cause) {
      failure = new RollcallError('STORE_FAILED', 'the ledger cannot be read any more', { retryable: false, cause });
      isStopped = true;
      for (const job of jobs.splice(0)) job.fail(failure);
      onFatal(failure);
    }
  }

  function wake(): void {
    submit({ kind: 'tick' }).catch((error: unknown) => {
      if (!isStopped) logger.error({ err: error }, 'what is due could not be written down; it is tried again');
    });
  }

  return {
    state: () => state,
    isUrgent: () => urgent,
    async ask(event) {
      if (isStopped) return refuse('STOPPING', 'the Site Manager stops', 'try again in a moment');
      if (jobs.length >= queuedEventsMax)
        return refuse('RATE_LIMITED', 'too many requests wait for the disk', 'try again in a moment');
      return submit(event);
    },
    submit,
    wake,
    onCommit(call) {
      onCommit = call;
    },
    onReload(call) {
      onReload = call;
    },
    async stop() {
      if (!isStopped && (jobs.length > 0 || isDrainDue)) await new Promise<void>((resolve) => drained.push(resolve));
      isStopped = true;
      cancelWake();
    },
  };
}
