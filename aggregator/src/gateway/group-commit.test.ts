import { setTimeout as wait } from 'node:timers/promises';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { describe, expect, it } from 'vitest';
import { freshState } from '../core/ingest.ts';
import type { IngestPlan, IngestResult } from '../core/ingest-plan.ts';
import { Backlog, GroupCommit, type GroupCommitLimits } from './group-commit.ts';

const limits: GroupCommitLimits = {
  groupEntriesMax: 100,
  groupPlansWaitingMax: 50,
  collectMs: 2,
  commitTimeoutMs: 5_000,
};

function plan(siteId: string, entries = 1): IngestPlan {
  const log = Array.from({ length: entries }, (_, index) => ({
    seq: index + 1,
    at: emptyHead.at,
    kind: 'x',
    text: '{}',
    hash: emptyHead.hash,
  }));
  const next = freshState({ siteId, publicKey: 'k', timeZone: 'UTC' });
  const none = { deployments: [], months: [], keyStates: [], reports: [], commandsApplied: [], findings: [] };
  return { siteId, enrolledPublicKey: 'k', expected: emptyHead, next, log, ...none, receivedAt: emptyHead.at };
}

/** A store whose commits end when they are told to. */
class HeldStore {
  readonly groups: string[][] = [];
  readonly #ends: ((outcome: IngestResult | Error) => void)[] = [];

  apply(plans: readonly IngestPlan[]): Promise<IngestResult[]> {
    this.groups.push(plans.map(({ siteId }) => siteId));
    return new Promise((resolve, reject) => {
      this.#ends.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(plans.map(() => outcome))));
    });
  }

  /** Ends the oldest commit that runs, once there is one. */
  async end(outcome: IngestResult | Error = { ok: true }): Promise<void> {
    while (this.#ends.length === 0) await wait(1);
    this.#ends.shift()?.(outcome);
  }
}

const on = (store: HeldStore, changes: Partial<GroupCommitLimits> = {}): GroupCommit =>
  new GroupCommit(store, systemClock, { ...limits, ...changes });

describe('GroupCommit', () => {
  it('commits at once when nothing runs, and gathers the rest while a commit does', async () => {
    const store = new HeldStore();
    const commit = on(store);
    const outcomes = [commit.submit(plan('a')), commit.submit(plan('b'))];
    await wait(1);
    expect(store.groups).toEqual([['a', 'b']]);
    outcomes.push(commit.submit(plan('c')), commit.submit(plan('d')), commit.submit(plan('e')));
    await wait(20);
    expect(store.groups).toHaveLength(1);
    await store.end();
    await store.end();
    expect(await Promise.all(outcomes)).toEqual(Array(5).fill({ ok: true }));
    expect(store.groups).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]);
    await commit.drained();
  });

  it('resolves nothing before its commit is done', async () => {
    const store = new HeldStore();
    const commit = on(store);
    let resolved = false;
    const outcome = commit.submit(plan('a')).then(() => {
      resolved = true;
    });
    await wait(50);
    expect(resolved).toBe(false);
    await store.end();
    await outcome;
    expect(resolved).toBe(true);
  });

  it('keeps the plans of one site in order, one in each group', async () => {
    const store = new HeldStore();
    const commit = on(store);
    const outcomes = [
      commit.submit(plan('a')),
      commit.submit(plan('a', 2)),
      commit.submit(plan('b')),
      commit.submit(plan('a', 3)),
    ];
    for (let groups = 0; groups < 3; groups++) await store.end();
    await Promise.all(outcomes);
    expect(store.groups).toEqual([['a', 'b'], ['a'], ['a']]);
  });

  it('does not let a small plan of a site overtake a large one of the same', async () => {
    const store = new HeldStore();
    const commit = on(store);
    const outcomes = [
      commit.submit(plan('b', 60)),
      commit.submit(plan('a', 60)),
      commit.submit(plan('a', 1)),
      commit.submit(plan('c', 1)),
    ];
    for (let groups = 0; groups < 3; groups++) await store.end();
    await Promise.all(outcomes);
    expect(store.groups).toEqual([['b', 'c'], ['a'], ['a']]);
  });

  it('closes a group that is full, but takes a single plan of any size', async () => {
    const store = new HeldStore();
    const commit = on(store);
    const outcomes = [commit.submit(plan('a', 150)), commit.submit(plan('b', 60)), commit.submit(plan('c', 60))];
    for (let groups = 0; groups < 3; groups++) await store.end();
    await Promise.all(outcomes);
    expect(store.groups).toEqual([['a'], ['b'], ['c']]);
  });

  it('turns away what there is no room for', async () => {
    const store = new HeldStore();
    const commit = on(store, { groupPlansWaitingMax: 2 });
    const running = commit.submit(plan('a'));
    await wait(1);
    const waiting = [commit.submit(plan('b')), commit.submit(plan('c'))];
    expect(await commit.submit(plan('d'))).toEqual({ ok: false, code: 'BACKLOG_FULL' });
    await store.end();
    await store.end();
    expect(await Promise.all([running, ...waiting])).toEqual(Array(3).fill({ ok: true }));
  });

  it('hands a failure to all of its group and goes on with the next', async () => {
    const store = new HeldStore();
    const commit = on(store);
    const failing = [commit.submit(plan('a')), commit.submit(plan('b'))].map((outcome) =>
      expect(outcome).rejects.toThrow('no disk'),
    );
    await wait(1);
    const next = commit.submit(plan('c'));
    await store.end(new Error('no disk'));
    await Promise.all(failing);
    await store.end({ ok: false, code: 'CONFLICT' });
    expect(await next).toEqual({ ok: false, code: 'CONFLICT' });
  });

  it('gives up a commit that does not end, turns others away meanwhile, and goes on when it has ended after all', async () => {
    const store = new HeldStore();
    const commit = on(store, { commitTimeoutMs: 50 });
    const outcome = commit.submit(plan('a'));
    await wait(1);
    const waiting = commit.submit(plan('b'));
    await expect(outcome).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
    await expect(waiting).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(commit.submit(plan('c'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await store.end();
    await commit.drained();
    const after = commit.submit(plan('d'));
    await store.end();
    expect(await after).toEqual({ ok: true });
  });

  it('tells its program when a store answers for another number of plans', async () => {
    const commit = new GroupCommit({ apply: () => Promise.resolve([]) }, systemClock, limits);
    await expect(commit.submit(plan('a'))).rejects.toThrow('answered 0 of 1');
  });
});

describe('Backlog', () => {
  it('takes up to its bound, and again what was released', () => {
    const backlog = new Backlog(10);
    expect(backlog.take(6).ok).toBe(true);
    expect(backlog.take(5)).toMatchObject({ ok: false, code: 'BACKLOG_FULL' });
    expect(backlog.take(4).ok).toBe(true);
    backlog.release(6);
    expect(backlog.take(5).ok).toBe(true);
  });
});
