/** Memory of an idle connected site, beside that of an idle connection to a bare `ws` server in the same run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '@rollcall/aggregator/store/open-store.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import type { AggregatorRequest } from './aggregator-child.ts';
import type { BareRequest } from './bare-server-child.ts';
import { BenchChild } from './child.ts';
import { makeEstate } from './estate.ts';
import type { SitesRequest } from './sites-child.ts';

const siteCount = 3_000;
/** The first connections make the program warm: code, caches, the heap's own slack. */
const warmCount = 500;
const ratioMax = 1.5;

export type MemoryFigures = {
  sites: number;
  bytesPerSite: number;
  bareBytesPerSocket: number;
  ratio: number;
  ratioMax: number;
};

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
    } satisfies AggregatorRequest);
    const bytesPerSite = await growth(aggregator, async (from, to) => {
      await clients.ask({ kind: 'connect', port, sites: sites.slice(from, to) } satisfies SitesRequest);
    });
    const { port: barePort } = await bare.ask<{ port: number }>({ kind: 'start' } satisfies BareRequest);
    const bareBytesPerSocket = await growth(bare, async (from, to) => {
      await clients.ask({ kind: 'connect-bare', port: barePort, count: to - from } satisfies SitesRequest);
    });
    return { sites: siteCount, bytesPerSite, bareBytesPerSocket, ratio: bytesPerSite / bareBytesPerSocket, ratioMax };
  } finally {
    for (const child of [aggregator, bare, clients]) child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes a connection adds to the process: resident memory after collections, with the warm-up taken off. */
async function growth(server: BenchChild, connect: (from: number, to: number) => Promise<void>): Promise<number> {
  const resident = async (): Promise<number> => (await server.ask<NodeJS.MemoryUsage>({ kind: 'memory' })).rss;
  await connect(0, warmCount);
  const before = await resident();
  await connect(warmCount, warmCount + siteCount);
  return ((await resident()) - before) / siteCount;
}
