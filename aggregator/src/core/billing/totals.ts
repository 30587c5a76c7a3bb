/** Owns the totals of a document, its due day and the year of its number (domain.md, section 7). */
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Decimal, percentOfMinor, sumMinor } from '@rollcall/shared/domain/money.ts';
import { dayOf } from '@rollcall/shared/domain/month.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';

export type Totals = Pick<Invoice, 'netMinor' | 'taxMinor' | 'grossMinor'>;

/** Net adds the rounded lines; tax is taken once, of the net total, half away from zero; negative totals mirror positive ones. */
export function documentTotals(lines: readonly Pick<InvoiceLine, 'netMinor'>[], taxRatePercent: Decimal): Totals {
  const netMinor = sumMinor(lines.map((line) => line.netMinor));
  const taxMinor = percentOfMinor(netMinor, taxRatePercent);
  return { netMinor, taxMinor, grossMinor: sumMinor([netMinor, taxMinor]) };
}

/** The year a document is numbered in: that of the day it bears, which is a day of the agreement's zone. */
export const seriesYear = (finalisedAt: Instant, zone: TimeZone): number =>
  Number(dayOf(finalisedAt, zone).slice(0, 4));

/** The calendar day, `YYYY-MM-DD`, that lies `termDays` after the day of `finalisedAt` in the zone. */
export function dueDay(finalisedAt: Instant, termDays: number, zone: TimeZone): string {
  const [year, month, day] = dayOf(finalisedAt, zone).split('-').map(Number) as [number, number, number];
  // Days of the calendar, not of any zone: Date.UTC carries a 31st plus 30 days over the month's end.
  return new Date(Date.UTC(year, month - 1, day + termDays)).toISOString().slice(0, 10);
}
