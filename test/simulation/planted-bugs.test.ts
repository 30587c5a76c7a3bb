import type { IngestPlan } from '@rollcall/aggregator/core/ingest-plan.ts';
import type { Store } from '@rollcall/aggregator/store/store.ts';
import type { Plan } from '@rollcall/agent/core/plan.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { chainDrafts } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { EntryDraft, KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { sealReport } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { describe, expect, test } from 'vitest';
import { dayMs } from './faults.ts';
import { outcomeOf } from './outcome.ts';
import type { SiteDisk } from './site-disk.ts';
import type { Checker } from './site-record.ts';
import type { WorldPlan } from './world.ts';

// Each world below has one mistake planted in it, by a seam of the simulator; the product is as it is. The same worlds
// without the mistake break no checker.

const world: WorldPlan = { seed: 7, sites: 6, days: 200, storeInFile: false, throughCodec: false };

async function brokenBy(
  seams: NonNullable<WorldPlan['seams']>,
  change: Partial<WorldPlan> = {},
): Promise<Map<Checker, string>> {
  const { breaches } = await outcomeOf({ ...world, ...change, seams });
  return new Map(breaches.toReversed().map(({ checker, what }) => [checker, what]));
}

/** The plan with other entries, chained anew. */
function rewritten(plan: Plan, change: (entry: KnownEntry) => EntryDraft[]): Plan {
  const drafts = plan.entries.flatMap(({ entry }) => change(entry));
  const first = plan.entries[0]?.entry.at ?? instantFromMs(0);
  return { ...plan, entries: chainDrafts({ ...plan.expectedHead, at: first }, drafts, nodeDigest).entries };
}

const draftOf = ({ seq: _seq, prev: _prev, ...draft }: KnownEntry): EntryDraft => draft;

test('without a mistake no checker is broken', async () => {
  expect(await brokenBy({})).toEqual(new Map());
});

describe('double append', () => {
  test('by a site that ships a deployment again, with new numbers and for a new endpoint', async () => {
    let planted = 0;
    const plan = (decided: Plan): Plan => {
      if (planted > 0 || !decided.entries.some(({ entry }) => entry.kind === 'agent-deployed')) return decided;
      planted++;
      return rewritten(decided, (entry) => {
        if (entry.kind !== 'agent-deployed') return [draftOf(entry)];
        const again = { ...entry.body, endpointId: `ep_${'0'.repeat(20)}` };
        return [draftOf(entry), { at: entry.at, kind: 'agent-deployed', body: again }];
      });
    };
    const broken = await brokenBy({ site: { plan } });
    expect(planted).toBe(1);
    expect([...broken.keys()]).toEqual(expect.arrayContaining(['nothing-twice', 'counts-agree', 'invoices-add-up']));
  });

  test('by an aggregator that applies a batch twice, under new numbers', async () => {
    let planted = 0;
    const plans = (plan: IngestPlan): IngestPlan[] => {
      const isTaken = plan.deployments.some(({ change }) => change === 'open');
      if (planted > 0 || !isTaken) return [plan];
      planted++;
      return [plan, appendedAgain(plan)];
    };
    // The site is refused from then on, and tries again four times an hour: a shorter world tells as much.
    const broken = await brokenBy({ aggregator: { plans } }, { sites: 2, days: 20, calmDays: 3 });
    expect(planted).toBe(1);
    expect([...broken.keys()]).toEqual(expect.arrayContaining(['nothing-twice', 'no-false-alarm']));
  });
});

/** What a program without identity of entries would do on a repeated frame: number it on, and count it again. */
function appendedAgain(plan: IngestPlan): IngestPlan {
  const { next, log } = plan;
  const meter = next.meter;
  if (meter === null) throw new Error('a site that deploys has a meter');
  return {
    ...plan,
    expected: { seq: next.head.seq, hash: next.head.hash },
    next: {
      ...next,
      head: { ...next.head, seq: next.head.seq + log.length },
      meter: { ...meter, workstation: { ...meter.workstation, count: meter.workstation.count + 1 } },
    },
    log: log.map((row) => ({ ...row, seq: row.seq + log.length })),
    deployments: [],
    keyStates: [],
    reports: [],
    commandsApplied: [],
    findings: [],
  };
}

test('early ack: an aggregator that acknowledges before it commits, and crashes', async () => {
  const broken = await brokenBy({ aggregator: { acknowledgesEarly: true, diesPlannedOdds: 1 / 20 } });
  expect(broken.get('acknowledged-is-kept')).toMatch(/was acknowledged, and \d+ are held/);
});

describe('dropped seal', () => {
  test('by an aggregator that keeps the entry and loses the report', async () => {
    let planted = 0;
    const plans = (plan: IngestPlan): IngestPlan[] => {
      if (planted > 0 || plan.reports.length === 0) return [plan];
      planted++;
      return [{ ...plan, reports: [] }];
    };
    const broken = await brokenBy({ aggregator: { plans } });
    expect(planted).toBe(1);
    expect(broken.get('one-report-a-month')).toMatch(/^the aggregator holds revisions {2}of 20/);
  });

  test('by a site whose ledger never gets it', async () => {
    const isSeal = (entry: KnownEntry): boolean => entry.kind === 'month-sealed';
    const plan = (decided: Plan): Plan =>
      decided.entries.some(({ entry }) => isSeal(entry))
        ? rewritten(decided, (entry) => (isSeal(entry) ? [] : [draftOf(entry)]))
        : decided;
    const broken = await brokenBy({ site: { plan } }, { sites: 2, days: 45 });
    expect(broken.get('one-report-a-month')).toMatch(/^sealed are 0 months instead of/);
  });
});

test('a count that is one too high in a report, signed all the same', async () => {
  let planted = 0;
  const plan = (decided: Plan, signer: Signer): Plan => {
    if (planted > 0 || !decided.entries.some(({ entry }) => entry.kind === 'month-sealed')) return decided;
    return rewritten(decided, (entry) => {
      if (entry.kind !== 'month-sealed') return [draftOf(entry)];
      planted++;
      const {
        peaks,
        evidence: _evidence,
        evidenceHash: _hash,
        publicKey: _key,
        signature: _signature,
        ...facts
      } = entry.body;
      const resealed = sealReport(
        facts,
        [{ endpoint: `ep_${'0'.repeat(20)}`, kind: 'server', deployedAt: facts.period.start, removedAt: null }],
        nodeDigest,
        signer,
      );
      expect(resealed.peaks).not.toEqual(peaks);
      return [{ at: entry.at, kind: 'month-sealed', body: resealed }];
    });
  };
  const broken = await brokenBy({ site: { plan } });
  expect(planted).toBeGreaterThan(0);
  expect([...broken.keys()]).toEqual(expect.arrayContaining(['counts-agree', 'reports-verify', 'invoices-add-up']));
});

test('a disk that forgets what it had said to be written: the program itself will not go on', async () => {
  let planted = 0;
  const powerCut = (disk: SiteDisk): void => {
    if (planted > 0 || disk.soft.acknowledgedSeq < 10) return;
    planted++;
    disk.entries.splice(disk.soft.acknowledgedSeq - 1);
  };
  await expect(brokenBy({ site: { powerCut } })).rejects.toThrow(/before entry \d+ that the aggregator holds/);
  expect(planted).toBe(1);
});

test('a lease that does not end', async () => {
  const broken = await brokenBy({
    site: { lease: (lease) => ({ ...lease, until: instantFromMs(msOfInstant(lease.until) + 3_650 * dayMs) }) },
  });
  expect(broken.get('leases-end')).toMatch(/is active, and .* is due by the lease/);
});

test('a line that stands on an invoice twice', async () => {
  let planted = 0;
  const doubling = (store: Store): Store => ({
    ...store,
    billing: {
      ...store.billing,
      applyClose: (plan) => {
        const line = plan.lines.find(({ quantity }) => quantity > 0);
        if (planted > 0 || plan.series?.name !== 'INV' || line === undefined) return store.billing.applyClose(plan);
        planted++;
        return store.billing.applyClose({
          ...plan,
          lines: [...plan.lines, { ...line, number: plan.lines.length + 1 }],
        });
      },
    },
  });
  const broken = await brokenBy({ store: doubling });
  expect(planted).toBe(1);
  expect([...broken.keys()]).toEqual(['invoices-add-up']);
});
