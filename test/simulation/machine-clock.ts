/**
 * The two clocks of one machine against true time: the wall clock with its error, which persons and batteries change, and
 * the uptime, which sleep does not stop and a boot starts anew. Both run on one crystal that is a little wrong.
 */
import { instantFromMs } from '@rollcall/shared/domain/instant.ts';
import type { Reading } from '@rollcall/agent/core/site-clock.ts';

export class MachineClock {
  /** Wall clock minus true time at `#setMs`. */
  #wallErrorMs: number;
  #setMs: number;
  #bootMs: number;
  readonly #crystalPpm: number;

  constructor(trueMs: number, wallErrorMs: number, crystalPpm: number) {
    this.#wallErrorMs = wallErrorMs;
    this.#setMs = trueMs;
    this.#bootMs = trueMs;
    this.#crystalPpm = crystalPpm;
  }

  read(trueMs: number): Reading {
    const ranMs = (trueMs - this.#bootMs) * (1 + this.#crystalPpm / 1e6);
    return {
      wall: instantFromMs(Math.max(0, Math.round(trueMs + this.wallErrorMs(trueMs)))),
      steadyMs: Math.round(ranMs),
    };
  }

  /** How far the wall clock stands from true time now. */
  wallErrorMs(trueMs: number): number {
    return this.#wallErrorMs + ((trueMs - this.#setMs) * this.#crystalPpm) / 1e6;
  }

  /** The machine starts: uptime counts from zero, the wall clock goes on. */
  boot(trueMs: number): void {
    this.#bootMs = trueMs;
  }

  /** Somebody sets the wall clock so far from the time it showed. */
  jump(trueMs: number, byMs: number): void {
    this.setError(trueMs, this.wallErrorMs(trueMs) + byMs);
  }

  /** The wall clock is put to true time but for an error. */
  setError(trueMs: number, errorMs: number): void {
    this.#wallErrorMs = errorMs;
    this.#setMs = trueMs;
  }
}
