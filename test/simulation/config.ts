/** Which worlds a run of the simulation has: the one place that reads its environment. */
import { z } from 'zod';
import type { WorldPlan } from './world.ts';

const Whole = z
  .string()
  .regex(/^\d{1,10}$/, 'a whole number')
  .transform(Number);

const Environment = z.object({
  /** This world alone: how a failing seed is looked at again. */
  ROLLCALL_SIM_SEED: Whole.optional(),
  /** The first seed of a run, and how many worlds it has: for looking further than every test run does. */
  ROLLCALL_SIM_FIRST_SEED: Whole.default(1),
  ROLLCALL_SIM_WORLDS: Whole.default(25),
});

/** Sites of one world, and its days of faults: 25 worlds make more than 1,000 site-years. The end lies in mid-month. */
const sites = 20;
const days = 760;

/** The world of a seed: every fifth has its store in a file, every fourth sends its frames as text. */
export const worldOf = (seed: number): WorldPlan => ({
  seed,
  sites,
  days,
  storeInFile: seed % 5 === 0,
  throughCodec: seed % 4 === 1,
});

/** @throws Error that names the variable and what would be right. */
export function worldsFromEnvironment(environment: NodeJS.ProcessEnv): WorldPlan[] {
  const read = Environment.safeParse(environment);
  if (!read.success)
    throw new Error(
      `the simulation cannot be set up: ${read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
    );
  const { ROLLCALL_SIM_SEED: seed, ROLLCALL_SIM_FIRST_SEED: first, ROLLCALL_SIM_WORLDS: worlds } = read.data;
  return seed === undefined ? Array.from({ length: worlds }, (_, index) => worldOf(first + index)) : [worldOf(seed)];
}
