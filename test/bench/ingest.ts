/** Durable ingest end to end (socket → validation → group commit → ack) beside its floor, measured right after on the same rows. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '@rollcall/aggregator/store/open-store.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import type { AggregatorRequest, Batches } from './aggregator-child.ts';
import { BenchChild } from './child.ts';
import { type BenchSite, makeEstate } from './estate.ts';
import type { SitesRequest } from './sites-child.ts';

const socketCount = 200;
/** Least part of the floor's speed that ingest must reach. */
const ratioMin = 0.5;

export type IngestFigures = {
  name: string;
  entries: number;
  commits: number;
  perSecond: number;
  floorPerSecond: number;
  ratio: number;
  ratioMin: number | null;
};

const loads = [
  /** Sites that were offline: frames as full as an uplink makes them, several ahead of their acknowledgement. */
  { name: 'catching up, 500 entries a frame', frames: 2, entriesPerFrame: 500, ahead: 2, rounds: 3, ratioMin },
  /** Everything happens now: one entry a frame, the next after its ack. */
  { name: 'live, 1 entry a frame', frames: 200, entriesPerFrame: 1, ahead: 1, rounds: 1, ratioMin: null },
];

export async function benchIngest(): Promise<IngestFigures[]> {
  const figures: IngestFigures[] = [];
  for (const load of loads) figures.push(await measure(load));
  return figures;
}

async function measure({
  name,
  frames,
  entriesPerFrame,
  ahead,
  rounds,
  ratioMin,
}: (typeof loads)[number]): Promise<IngestFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-bench-'));
  const [databasePath, floorPath] = [join(folder, 'rollcall.db'), join(folder, 'floor.db')];
  const aggregator = BenchChild.start('./aggregator-child.ts');
  const clients = BenchChild.start('./sites-child.ts');
  try {
    const sites = await makeSites(databasePath);
    copyFileSync(databasePath, floorPath);
    const { port } = await aggregator.ask<{ port: number }>({
      kind: 'start',
      databasePath,
    } satisfies AggregatorRequest);
    await clients.ask({ kind: 'connect', port, sites } satisfies SitesRequest);
    let ms = 0;
    for (let round = 0; round < rounds; round++) {
      await clients.ask({ kind: 'prepare', frames, entriesPerFrame } satisfies SitesRequest);
      ms += (await clients.ask<{ ms: number }>({ kind: 'send', ahead } satisfies SitesRequest)).ms;
    }
    clients.stop();
    const { entries, commits } = await aggregator.ask<Batches>({ kind: 'batches' } satisfies AggregatorRequest);
    const floor = await aggregator.ask<{ ms: number }>({
      kind: 'floor',
      databasePath: floorPath,
    } satisfies AggregatorRequest);
    return {
      name,
      entries,
      commits,
      perSecond: (entries / ms) * 1000,
      floorPerSecond: (entries / floor.ms) * 1000,
      ratio: floor.ms / ms,
      ratioMin,
    };
  } finally {
    aggregator.stop();
    clients.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeSites(databasePath: string): Promise<BenchSite[]> {
  const store = await openStore(`sqlite:${databasePath}`, { logger: createLogger({ name: 'bench', level: 'error' }) });
  await store.migrate();
  const { sites } = await makeEstate(store, socketCount);
  await store.close();
  return sites;
}
