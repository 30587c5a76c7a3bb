/**
 * Owns the counting of calendar days: on how many days of a month something was there, and whether that is enough to
 * bill a product key under `active-days` (domain.md, section 3).
 */
import type { Instant } from '../domain/instant.ts';
import { daysOfMonth, type Month } from '../domain/month.ts';
import type { TimeZone } from '../domain/time-zone.ts';

/** `from <= t < to`; `to` is null while it lasts. */
export type Span = { from: Instant; to: Instant | null };

/**
 * Days of the month in the agreement's zone on which a key was active, and whether it is billed: when they are more than
 * `billableOverDays`.
 */
export function activeDays(
  active: readonly Span[],
  month: Month,
  zone: TimeZone,
  { billableOverDays = 14 }: { billableOverDays?: number } = {},
): { days: number; billable: boolean } {
  const days = daysTouched(active, month, zone);
  return { days, billable: days > billableOverDays };
}

/** Distinct calendar days of the month that at least one span has an instant of. */
export function daysTouched(spans: readonly Span[], month: Month, zone: TimeZone): number {
  const lasting = spans.filter(({ from, to }) => to === null || from < to);
  return daysOfMonth(month, zone).filter((day) =>
    lasting.some(({ from, to }) => from < day.end && (to === null || to > day.start)),
  ).length;
}
