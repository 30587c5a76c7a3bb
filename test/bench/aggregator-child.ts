/**
 * The aggregator as a child process of the benchmarks: the product's own composition, with a look at the plans its group
 * commit writes. Afterwards it measures the floor: the same rows into the same tables, in batches of the same size, by bare
 * prepared statements.
 */
import { createAggregator, type Aggregator } from '@rollcall/aggregator/aggregator.ts';
import { AggregatorConfig } from '@rollcall/aggregator/config.ts';
import type { IngestPlan } from '@rollcall/aggregator/core/ingest-plan.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { answerAll } from './child.ts';
import { writeBare } from './floor.ts';

export type AggregatorRequest =
  /** `contactIntervalMs`: sooner than by default, where sessions are to come to rest while somebody waits. */
  | { kind: 'start'; databasePath: string; contactIntervalMs?: number }
  | { kind: 'batches' }
  /** Lets go of the plans looked at so far. */
  | { kind: 'forget' }
  | { kind: 'floor'; databasePath: string }
  | { kind: 'memory' };
export type Batches = { commits: number; plans: number; entries: number };

let aggregator: Aggregator | undefined;
let written: IngestPlan[][] = [];

answerAll(async (request: AggregatorRequest) => {
  switch (request.kind) {
    case 'start': {
      const config = AggregatorConfig.parse({
        database: `sqlite:${request.databasePath}`,
        port: 0,
        logLevel: 'error',
        sitesPerAddressMax: 1_000_000,
        heartbeatSeconds: 300,
      });
      aggregator = await createAggregator(config, {
        logger: createLogger({ name: 'bench', level: 'error' }),
        gatewayLimits: request.contactIntervalMs === undefined ? {} : { contactIntervalMs: request.contactIntervalMs },
      });
      const { ingest } = aggregator.store;
      const apply = ingest.apply.bind(ingest);
      ingest.apply = (plans) => {
        written.push([...plans]);
        return apply(plans);
      };
      return { port: aggregator.port };
    }
    case 'batches': {
      const plans = written.flat();
      return {
        commits: written.length,
        plans: plans.length,
        entries: plans.reduce((sum, { log }) => sum + log.length, 0),
      } satisfies Batches;
    }
    case 'forget':
      written = [];
      return {};
    case 'floor': {
      const batches = written;
      written = [];
      return { ms: writeBare(request.databasePath, batches) };
    }
    case 'memory': {
      for (let i = 0; i < 5; i++) {
        globalThis.gc?.();
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return process.memoryUsage();
    }
  }
});
