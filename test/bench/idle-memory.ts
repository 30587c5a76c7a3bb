/**
 * Memory of an idle connected site, beside that of an idle connection to a bare `ws` server in the same run. The sites have
 * enrolled, deployed agents and told their status before they
 * fall idle. The bound is on the memory of JavaScript, which collections make exact;
 * resident memory is told beside it, allocators and all.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openStore } from '@rollcall/aggregator/store/open-store.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import type { AggregatorRequest } from './aggregator-child.ts';
import type { BareRequest } from './bare-server-child.ts';
import { BenchChild } from './child.ts';
import { makeEstate } from './estate.ts';
import type { SitesRequest } from './sites-child.ts';

const siteCount = 3_000;
const entriesPerSite = 5;
/** Sessions come to rest when their last contact is recorded. */
const contactIntervalMs = 1_000;
const restMs = 3_000;
/** The first connections make the program warm: code, caches, the heap's own slack. */
const warmCount = 500;
const ratioMax = 1.5;

type Growth = { heap: number; resident: number };
export type MemoryFigures = { sites: number; site: Growth; bare: Growth; ratioMax: number };

export async function benchIdleMemory(): Promise<MemoryFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-bench-'));
  const databasePath = join(folder, 'rollcall.db');
  const store = await openStore(`sqlite:${databasePath}`, { logger: createLogger({ name: 'bench', level: 'error' }) });
  await store.migrate();
  const { sites } = await makeEstate(store, siteCount + warmCount);
  await store.close();
  const [aggregator, bare] = [
    BenchChild.start('./aggregator-child.ts', ['--expose-gc']),
    BenchChild.start('./bare-server-child.ts', ['--expose-gc']),
  ];
  const clients = BenchChild.start('./sites-child.ts');
  try {
    const { port } = await aggregator.ask<{ port: number }>({
      kind: 'start',
      databasePath,
      contactIntervalMs,
    } satisfies AggregatorRequest);
    const site = await growth(aggregator, async (from, to) => {
      await clients.ask({ kind: 'connect', port, sites: sites.slice(from, to) } satisfies SitesRequest);
      await clients.ask({ kind: 'prepare', frames: 1, entriesPerFrame: entriesPerSite } satisfies SitesRequest);
      await clients.ask({ kind: 'send', ahead: 1 } satisfies SitesRequest);
      await clients.ask({ kind: 'tell-status' } satisfies SitesRequest);
      await aggregator.ask({ kind: 'forget' } satisfies AggregatorRequest);
    });
    const { port: barePort } = await bare.ask<{ port: number }>({ kind: 'start' } satisfies BareRequest);
    const bareSocket = await growth(bare, async (from, to) => {
      await clients.ask({ kind: 'connect-bare', port: barePort, count: to - from } satisfies SitesRequest);
    });
    return { sites: siteCount, site, bare: bareSocket, ratioMax };
  } finally {
    for (const child of [aggregator, bare, clients]) child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes a connection adds to the process, after collections, with the warm-up taken off. */
async function growth(server: BenchChild, connect: (from: number, to: number) => Promise<void>): Promise<Growth> {
  const used = async (): Promise<Growth> => {
    const { heapUsed, external, rss } = await server.ask<NodeJS.MemoryUsage>({ kind: 'memory' });
    return { heap: heapUsed + external, resident: rss };
  };
  await connect(0, warmCount);
  await pause(restMs);
  const before = await used();
  await connect(warmCount, warmCount + siteCount);
  await pause(restMs);
  const after = await used();
  return { heap: (after.heap - before.heap) / siteCount, resident: (after.resident - before.resident) / siteCount };
}
