/**
 * Owns the calendar month in a time zone: which instants it holds, and how it divides into days (domain.md, section 2).
 * Every instant lies in exactly one month and one day of a zone, whatever the zone's clocks do. What is counted in a
 * month belongs to `metering/`.
 */
import { Temporal } from 'temporal-polyfill';
import { z } from 'zod';
import { firstInstant, Instant, instantFromMs, lastInstant } from './instant.ts';
import type { TimeZone } from './time-zone.ts';

/** The first hours of 1970 in UTC belong to this month west of Greenwich; a machine with a dead clock starts there. */
export const firstMonth = '1969-12';
export const lastMonth = '9999-12';

const monthPattern = /^(?:1969-12|(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2]))$/;

/** A calendar month, `YYYY-MM`, from `firstMonth` to `lastMonth`; months compare as strings. */
export const Month = z
  .string()
  .regex(monthPattern, { error: 'must be a month, years 1970 to 9999, such as "2026-03"' });
export type Month = z.infer<typeof Month>;

/** The instants `start <= t < end`. */
export const Period = z.object({ start: Instant, end: Instant });
export type Period = z.infer<typeof Period>;

/** One calendar day of a zone, `YYYY-MM-DD`, and the instants it holds. */
export type Day = Readonly<Period & { day: string }>;

/** A century; a longer list of months is a mistake in one of its ends. */
export const monthsBetweenMax = 1200;

/** Six months of every zone there is, rounded up: the months around now of all sites stay known. */
const monthsRememberedMax = 4096;

/**
 * `[first day 00:00, next month's first day 00:00)` in the zone; a day without 00:00 begins when its clocks come to it,
 * and one with two begins at the first. `firstMonth` and `lastMonth` are cut at the first and the last instant there is.
 * @throws RangeError when month or zone is not one.
 */
export const monthPeriod: (month: Month, zone: TimeZone) => Readonly<Period> = remembered((month, zone) => {
  const start = startOfDay(firstDay(month), zone);
  const end = month === lastMonth ? lastInstant : startOfDay(firstDay(month).add({ months: 1 }), zone);
  return Object.freeze({ start, end });
});

/**
 * The days of a month in order; they hold the same instants as `monthPeriod` does. A day that a zone skipped (Apia,
 * 2011-12-30) is not among them.
 * @throws RangeError when month or zone is not one.
 */
export const daysOfMonth: (month: Month, zone: TimeZone) => readonly Day[] = remembered((month, zone) => {
  const first = firstDay(month);
  const { end: monthEnd } = monthPeriod(month, zone);
  const days: Day[] = [];
  let start = startOfDay(first, zone);
  for (let index = 0; index < first.daysInMonth; index++) {
    const end = index + 1 === first.daysInMonth ? monthEnd : startOfDay(first.add({ days: index + 1 }), zone);
    if (start < end) days.push(Object.freeze({ day: first.add({ days: index }).toString(), start, end }));
    start = end;
  }
  return Object.freeze(days);
});

/** The month whose period in the zone holds the instant; the last month holds the last instant too. */
export function monthOf(instant: Instant, zone: TimeZone): Month {
  const month = instant.slice(0, 7);
  const period = monthPeriod(month, zone);
  // No zone is a whole day from UTC, so the month is this one or its neighbour.
  if (instant < period.start) return previousMonth(month);
  return instant < period.end || month === lastMonth ? month : nextMonth(month);
}

/** The day of the zone, `YYYY-MM-DD`, that holds the instant. */
export function dayOf(instant: Instant, zone: TimeZone): string {
  const day = daysOfMonth(monthOf(instant, zone), zone).findLast(({ start }) => start <= instant);
  if (day === undefined) throw new RangeError(`"${instant}" lies in no day of ${zone}`);
  return day.day;
}

/** Calendar days of the month: 28 to 31. */
export function daysInMonth(month: Month): number {
  return firstDay(month).daysInMonth;
}

/** @throws RangeError after `lastMonth`. */
export function nextMonth(month: Month): Month {
  return monthAt(monthNumber(month) + 1);
}

/** @throws RangeError before `firstMonth`. */
export function previousMonth(month: Month): Month {
  return monthAt(monthNumber(month) - 1);
}

/**
 * All months from `first` to `last`, both included; none when `last` is before `first`.
 * @throws RangeError when there are more than `monthsBetweenMax`.
 */
export function monthsBetween(first: Month, last: Month): Month[] {
  const firstNumber = monthNumber(first);
  const length = Math.max(0, monthNumber(last) - firstNumber + 1);
  if (length > monthsBetweenMax) {
    throw new RangeError(`from ${first} to ${last} there are ${length} months, more than ${monthsBetweenMax}`);
  }
  return Array.from({ length }, (_, index) => monthAt(firstNumber + index));
}

/** Months since the year 0. */
function monthNumber(month: Month): number {
  if (!monthPattern.test(month)) throw new RangeError(`"${month}" is not a month such as "2026-03"`);
  return Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1;
}

function monthAt(number: number): Month {
  const year = String(Math.floor(number / 12)).padStart(4, '0');
  const month = `${year}-${String((number % 12) + 1).padStart(2, '0')}`;
  if (!monthPattern.test(month)) throw new RangeError(`${month} is before ${firstMonth} or after ${lastMonth}`);
  return month;
}

function firstDay(month: Month): Temporal.PlainDate {
  const number = monthNumber(month);
  return new Temporal.PlainDate(Math.floor(number / 12), (number % 12) + 1, 1);
}

/** The first instant of a day in a zone, not before the first instant there is. */
function startOfDay(date: Temporal.PlainDate, zone: TimeZone): Instant {
  const ms = date.toZonedDateTime(zone).epochMilliseconds;
  return ms < 0 ? firstInstant : instantFromMs(ms);
}

/** Keeps what was computed for a month and zone, since ingest asks for every entry; the oldest gives way to the new. */
function remembered<Value>(compute: (month: Month, zone: TimeZone) => Value): (month: Month, zone: TimeZone) => Value {
  const known = new Map<string, Value>();
  return (month, zone) => {
    const key = `${month} ${zone}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const value = compute(month, zone);
    if (known.size >= monthsRememberedMax) {
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    }
    known.set(key, value);
    return value;
  };
}
