/** A clock of a machine that sleeps between two looks: time passes at once, and only then the timers that are due ring, each once. */
import type { Cancel, Clock } from '@rollcall/shared/domain/clock.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';

export class SleepyClock implements Clock {
  #wallMs: number;
  #steadyMs = 1_000_000;
  #timers: { dueMs: number; call: () => void }[] = [];

  constructor(start: Instant) {
    this.#wallMs = msOfInstant(start);
  }

  now(): Instant {
    return instantFromMs(this.#wallMs);
  }

  steadyMs(): number {
    return this.#steadyMs;
  }

  after(delayMs: number, call: () => void): Cancel {
    const timer = { dueMs: this.#steadyMs + Math.max(0, delayMs), call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** What a timer sets is not rung before the next pass: sockets get their turn of the real event loop in between. */
  pass(ms: number): void {
    this.#wallMs += ms;
    this.#steadyMs += ms;
    const due = this.#timers.filter((timer) => timer.dueMs <= this.#steadyMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const timer of due) {
      // One that an earlier one cancelled is gone by now.
      if (!this.#timers.includes(timer)) continue;
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.call();
    }
  }
}
