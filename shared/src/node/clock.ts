/** The one place that reads the machine's clocks and sets timers. */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { uptime } from 'node:os';
import type { Clock } from '../domain/clock.ts';
import { instantFromMs } from '../domain/instant.ts';

/** Longest delay one Node timer takes (2^31 − 1 ms); longer ones are asked again by their callers. */
const timerDelayMsMax = 2_147_483_647;

export const systemClock: Clock = {
  now: () => instantFromMs(Date.now()),
  // The machine's uptime, unlike the process's monotonic clock, goes on while the machine sleeps, so a jump of the wall
  // clock against it means that somebody set the clock.
  steadyMs: () => Math.round(uptime() * 1000),
  after(delayMs, call) {
    const timer = setTimeout(call, Math.min(Math.max(0, delayMs), timerDelayMsMax));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Waits; ends early, without an error, when the signal is aborted. Keeps the process alive meanwhile. */
export async function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  await sleepFor(delayMs, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error;
  });
}

/** Calls once everything that already waits in this turn of the event loop was taken; no time has to pass for it. */
export const afterThisTurn = (call: () => void): void => {
  setImmediate(call);
};
