/** How long to wait before the next try: exponential with full jitter, so that sites cut off together do not return together. */
import type { Chance } from '@rollcall/shared/domain/clock.ts';

export const backoffBaseMs = 1_000;
export const backoffCapMs = 60_000;
/** Doublings after which every cap is reached; keeps the power a small number. */
const doublingsMax = 16;

/** A random share of the base doubled for each failure before, at most `capMs`. `failures` counts from 1. */
export function backoffMs(failures: number, capMs: number, chance: Chance): number {
  const ceilingMs = Math.min(capMs, backoffBaseMs * 2 ** Math.min(failures - 1, doublingsMax));
  return Math.floor(fraction(chance) * ceilingMs);
}

/** A number in [0, 1) from four bytes of chance. */
export function fraction(chance: Chance): number {
  return chance(4).reduce((value, byte) => value * 256 + byte, 0) / 2 ** 32;
}
