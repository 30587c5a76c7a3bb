/** Kills a program without warning, again and again, at instants drawn by chance, and starts it at once. */
import { setTimeout as pause } from 'node:timers/promises';
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { type Program, until } from './program.ts';

/** A kill in this part of cases comes while the program still starts. */
const duringStart = 0.4;
const startKillMsMax = 900;
const workKillMsMax = 2_200;
const startTimeoutMs = 60_000;

export type Target = {
  spawn(): Program;
  listens(): Promise<boolean>;
};

/** Starts the target, kills it `times` times, and leaves it running. `killed` is told after each kill. */
export async function killAtRandom(
  target: Target,
  times: number,
  random: SeededRandom,
  killed: (count: number) => void,
): Promise<void> {
  let program = target.spawn();
  for (let count = 1; count <= times; count++) {
    if (random.happens(duringStart)) {
      await pause(random.integer(0, startKillMsMax));
    } else {
      await started(target, program);
      await pause(random.integer(0, workKillMsMax));
    }
    const ended = program.endedAs();
    if (ended !== null) throw new Error(`it ended by itself: ${JSON.stringify(ended)}\n${program.output()}`);
    program.kill('SIGKILL');
    await program.ended;
    killed(count);
    program = target.spawn();
  }
  await started(target, program);
}

async function started(target: Target, program: Program): Promise<void> {
  await until('it starts', async () => ((await target.listens()) ? true : undefined), {
    timeoutMs: startTimeoutMs,
    programs: [program],
  });
}
