/** A thread that lives through worlds: takes plans, answers outcomes. */
import { parentPort } from 'node:worker_threads';
import { outcomeOf } from './outcome.ts';
import type { WorldPlan } from './world.ts';

parentPort?.on('message', (plan: WorldPlan) => {
  outcomeOf(plan).then(
    (outcome) => parentPort?.postMessage({ outcome }),
    (error: unknown) =>
      parentPort?.postMessage({
        failure: `seed ${plan.seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      }),
  );
});
