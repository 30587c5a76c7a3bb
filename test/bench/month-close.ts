/** Closing a month for an estate of sites: how long, and whether ten times the sites take ten times as long. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planIngest, freshState } from '@rollcall/aggregator/core/ingest.ts';
import type { IngestPlan } from '@rollcall/aggregator/core/ingest-plan.ts';
import { planned } from '@rollcall/aggregator/core/testing/plan-book.ts';
import { closeMonth } from '@rollcall/aggregator/jobs/month-close.ts';
import { openStore } from '@rollcall/aggregator/store/open-store.ts';
import type { Store } from '@rollcall/aggregator/store/store.ts';
import { addAgreement, scopeOf } from '@rollcall/aggregator/store/testing/tenants.ts';
import { monthPeriod } from '@rollcall/shared/domain/month.ts';
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { IntervalBook } from '@rollcall/shared/ledger/intervals.ts';
import { sealReport } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest, nodeVerifier, systemChance } from '@rollcall/shared/node/crypto.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { BenchLedger, type BenchSite, benchBegin, makeEstate } from './estate.ts';

const month = '2026-03';
const agentsPerSite = 50;
const sizes = [1_000, 10_000] as const;
/** Sorting lines by name grows by 1.33 beyond the sites, caches do their part; a square would grow by 10. */
const growthMax = 2;
const plansPerBatch = 100;

export type CloseFigures = {
  sizes: { sites: number; agents: number; lines: number; seconds: number }[];
  growth: number;
  growthMax: number;
};

export async function benchMonthClose(): Promise<CloseFigures> {
  const figures: CloseFigures['sizes'] = [];
  // The first close pays for warming the program up.
  await measure(sizes[0]);
  for (const sites of sizes) figures.push(await measure(sites));
  const [small, large] = figures;
  if (small === undefined || large === undefined) throw new Error('two sizes are needed');
  return { sizes: figures, growth: large.seconds / small.seconds / (large.sites / small.sites), growthMax };
}

async function measure(siteCount: number): Promise<CloseFigures['sizes'][number]> {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-bench-'));
  const logger = createLogger({ name: 'bench', level: 'error' });
  const store = await openStore(`sqlite:${join(folder, 'rollcall.db')}`, { logger });
  try {
    await store.migrate();
    const { vendor, distributor, msps, sites } = await makeEstate(store, siteCount);
    await addAgreement(store, vendor, distributor, { timeZone: 'UTC', validFrom: month });
    for (const msp of msps) await addAgreement(store, distributor, msp, { timeZone: 'UTC', validFrom: month });
    await reportMonth(store, sites);
    const clock = new ManualClock('2026-04-02T00:00:00.000Z');
    const began = performance.now();
    let lines = 0;
    for (const seller of [vendor, distributor]) {
      const closed = await closeMonth({ store, clock, chance: systemChance, logger }, scopeOf(seller), {
        month,
        withoutMissing: false,
      });
      if (!closed.ok) throw new Error(closed.message);
      const wrong = closed.result.edges.find(({ outcome }) => outcome !== 'finalised');
      if (wrong !== undefined) throw new Error(`an edge was ${wrong.outcome}`);
      lines += siteCount * 2;
    }
    return { sites: siteCount, agents: siteCount * agentsPerSite, lines, seconds: (performance.now() - began) / 1000 };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every site's month goes in by the product's own ingest: enrolment, deployments, sealed report. */
async function reportMonth(store: Store, sites: readonly BenchSite[]): Promise<void> {
  for (let from = 0; from < sites.length; from += plansPerBatch) {
    const plans = sites.slice(from, from + plansPerBatch).map(planOfMonth);
    const results = await store.ingest.apply(plans);
    if (results.some(({ ok }) => !ok)) throw new Error('a plan was not applied');
  }
}

function planOfMonth(site: BenchSite): IngestPlan {
  const ledger = new BenchLedger(site);
  const entries: KnownEntry[] = [...ledger.enrol(), ...ledger.deploy(agentsPerSite)];
  const book = new IntervalBook();
  for (const entry of entries) book.apply(entry);
  const { end } = monthPeriod(month, 'UTC');
  const [first] = entries;
  const report = sealReport(
    {
      siteId: site.siteId,
      siteName: site.siteName,
      month,
      timeZone: 'UTC',
      period: { start: first?.at ?? benchBegin, end },
      revision: 1,
      activeAtClose: { server: 0, workstation: 0 },
      upTo: { seq: ledger.head.seq, hash: ledger.head.hash },
      exclusions: [],
      sealedAt: end,
    },
    book.all(),
    nodeDigest,
    ledger.signer,
  );
  entries.push(...ledger.chain([{ at: end, kind: 'month-sealed', body: report }]));
  const { publicKey } = ledger.signer;
  const planning = planIngest(freshState({ siteId: site.siteId, publicKey, timeZone: 'UTC' }), entries, {
    digest: nodeDigest,
    verifier: nodeVerifier,
    receivedAt: end,
    enrolledPublicKey: publicKey,
    enrolledAt: benchBegin,
    ledgerSeq: ledger.head.seq,
  });
  const outcome = planned(planning, () => ({ latest: null, intervals: [] }));
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.plan;
}
