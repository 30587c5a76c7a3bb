/** Time as an argument: what the shells of both programs ask for it. The real one is `node/clock.ts`, a manual one is in testing/. */
import type { Instant } from './instant.ts';

export type Cancel = () => void;

export type Clock = {
  /** The wall clock. May jump. */
  now(): Instant;
  /** Milliseconds that only ever go forward, through sleep too, from an unnamed start; not touched when the wall clock is set. */
  steadyMs(): number;
  /** Calls once after `delayMs` of steady time; never keeps the process alive by itself. */
  after(delayMs: number, call: () => void): Cancel;
};

/** Bytes of chance. */
export type Chance = (bytes: number) => Uint8Array;
