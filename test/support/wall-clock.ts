/**
 * Wall clocks of processes, turned from outside by Debian's libfaketime: time travel without a hook in the product. Owns how far
 * a clock is off and how a process gets it; the steady clock (machine uptime) is left alone, as it is when somebody sets a clock.
 */
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';

/** Loaded into the program itself, not into a wrapper, so that a signal reaches the program. */
const faketimeLibrary = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

/** A clock that runs at the pace of this machine's, at a distance that can be changed while programs run by it. */
export class WallClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'rollcall-clock-'));
  #offsetMs = 0;

  /** @throws Error in one sentence where libfaketime is missing. */
  constructor(now: Instant) {
    if (!existsSync(faketimeLibrary))
      throw new Error('faketime is missing: sudo apt-get install faketime (npm test does it where it may)');
    this.set(now);
  }

  now(): Instant {
    return instantFromMs(Date.now() + this.#offsetMs);
  }

  /** Sets the clock; programs that run by it see it at their next look. */
  set(now: Instant): void {
    this.#setOffset(msOfInstant(now) - Date.now());
  }

  moveBy(ms: number): void {
    this.#setOffset(this.#offsetMs + ms);
  }

  /** Variables that make a program run by this clock. */
  environment(): Record<string, string> {
    return {
      LD_PRELOAD: faketimeLibrary,
      FAKETIME_TIMESTAMP_FILE: this.#file(),
      // The file is read at each look at the clock: a jump is seen at once.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(): string {
    return join(this.#folder, 'offset');
  }

  #setOffset(ms: number): void {
    this.#offsetMs = ms;
    const fresh = join(this.#folder, 'offset.new');
    // Replaced whole: a program that looks meanwhile reads the old one or the new one.
    writeFileSync(fresh, `${ms < 0 ? '-' : '+'}${(Math.abs(ms) / 1000).toFixed(3)}s\n`);
    renameSync(fresh, this.#file());
  }
}

/** libfaketime leaves these behind when its program is killed. */
export function removeClockTraces(pid: number): void {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`])
    rmSync(join('/dev/shm', name), { force: true });
}
