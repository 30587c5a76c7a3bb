/** Lives through many worlds at once, as many as the machine has cores. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Outcome } from './outcome.ts';
import type { WorldPlan } from './world.ts';

type Answer = { outcome: Outcome } | { failure: string };

/** Outcomes in the order of the plans. @throws Error with the seed when a world itself broke. */
export async function liveAll(plans: readonly WorldPlan[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const left = [...plans.entries()];
  const workers = Array.from(
    { length: Math.min(availableParallelism(), plans.length) },
    () => new Worker(new URL('./world-thread.ts', import.meta.url)),
  );
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          const [index, plan] = next;
          outcomes[index] = await live(worker, plan);
        }
      }),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return outcomes;
}

function live(worker: Worker, plan: WorldPlan): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off('message', answered);
      worker.off('error', failed);
    };
    const answered = (answer: Answer): void => {
      settle();
      if ('outcome' in answer) resolve(answer.outcome);
      else reject(new Error(answer.failure));
    };
    const failed = (error: Error): void => {
      settle();
      reject(new Error(`seed ${plan.seed}: the thread of the world broke`, { cause: error }));
    };
    worker.on('message', answered);
    worker.on('error', failed);
    worker.postMessage(plan);
  });
}
