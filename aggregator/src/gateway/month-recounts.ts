/**
 * Fetches the months that ingest counts again for reports, a few at a time in the whole gateway: each is let go before the next
 * of its batch is read, and the sockets have their turn in between. What is compared is core/report-differences.ts.
 */
import { type Month, monthPeriod } from '@rollcall/shared/domain/month.ts';
import { afterThisTurn } from '@rollcall/shared/node/clock.ts';
import type { HeldMonth, SiteIngestState } from '../core/ingest-plan.ts';
import type { IngestStore } from '../store/store.ts';
import { recountedIntervalsMax, recountsAtOnceMax } from './limits.ts';

export class MonthRecounts {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** Reads the month and gives it to `use`, which must not keep it. Waits for its turn; each session waits for one at most. */
  async recount<Result>(
    store: Pick<IngestStore, 'heldMonth'>,
    { siteId, timeZone }: Pick<SiteIngestState, 'siteId' | 'timeZone'>,
    month: Month,
    use: (held: HeldMonth) => Result,
  ): Promise<Result> {
    if (this.#running >= recountsAtOnceMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return use(await store.heldMonth(siteId, month, monthPeriod(month, timeZone), recountedIntervalsMax));
    } finally {
      // A batch may be full of reports: whoever else has something to say is heard before the next is counted.
      await new Promise<void>((resolve) => afterThisTurn(resolve));
      this.#next();
    }
  }

  /** Hands the turn on, or gives it back. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
