/** The ways the simulated world draws from its seed, beyond those of the seeded random itself. */
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';

/** Time until the next of events that come independently of each other, so many milliseconds apart in the mean. */
export function untilNextMs(random: SeededRandom, meanMs: number): number {
  return Math.round(-Math.log(1 - random.next()) * meanMs);
}

/** A length between two, short ones as likely as long ones by magnitude: 1 to 100 lies below 10 half of the time. */
export function spreadMs(random: SeededRandom, lowMs: number, highMs: number): number {
  return Math.round(lowMs * (highMs / lowMs) ** random.next());
}

/** One of several, each as likely as its weight says. */
export function pickWeighted<Item extends { weight: number }>(random: SeededRandom, items: readonly Item[]): Item {
  let left = random.next() * items.reduce((sum, { weight }) => sum + weight, 0);
  for (const item of items) {
    left -= item.weight;
    if (left < 0) return item;
  }
  return random.pick(items);
}
