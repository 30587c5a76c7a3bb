/** A clock that moves only when told: the wall and the steady clock apart, so that a test can set the wall like a person does. */
import type { Clock } from '../domain/clock.ts';
import { type Instant, instantFromMs, msOfInstant } from '../domain/instant.ts';

type Timer = { id: number; dueMs: number; call: () => void };

export class ManualClock implements Clock {
  #wallMs: number;
  #steadyMs = 1_000_000;
  #timers: Timer[] = [];
  #nextId = 1;

  constructor(start: Instant) {
    this.#wallMs = msOfInstant(start);
  }

  now(): Instant {
    return instantFromMs(this.#wallMs);
  }

  steadyMs(): number {
    return this.#steadyMs;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { id: this.#nextId++, dueMs: this.#steadyMs + Math.max(0, delayMs), call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other.id !== timer.id);
    };
  }

  /** Lets time pass; timers fire in order, each at its own instant. */
  advance(ms: number): void {
    const endMs = this.#steadyMs + ms;
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.id - b.id)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer.id !== due.id);
      this.#move(due.dueMs - this.#steadyMs);
      due.call();
    }
    this.#move(endMs - this.#steadyMs);
  }

  /** Lets time pass until the wall clock shows `instant`. */
  advanceTo(instant: Instant): void {
    this.advance(msOfInstant(instant) - this.#wallMs);
  }

  /** Somebody sets the wall clock; no time passes. */
  setWall(instant: Instant): void {
    this.#wallMs = msOfInstant(instant);
  }

  #move(ms: number): void {
    this.#wallMs += ms;
    this.#steadyMs += ms;
  }
}
