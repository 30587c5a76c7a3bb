// Instants as people say them, measured from a "now" that comes in as an argument.
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { language } from './language.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** From here on a date says more than a number of days. */
const daysMax = 30;

/**
 * "just now", "3 min ago", "5 h ago", "1 day ago", "12 days ago", then the day as "14 Mar 2026" in the reader's zone. Whole
 * units that have passed, never rounded up. An instant ahead of `nowMs` (two clocks never agree to the second) is "just now".
 */
export function timeAgo(instant: Instant, nowMs: number, timeZone?: string): string {
  const passedMs = nowMs - Date.parse(instant);
  if (passedMs < minuteMs) return 'just now';
  if (passedMs < hourMs) return `${Math.floor(passedMs / minuteMs)} min ago`;
  if (passedMs < dayMs) return `${Math.floor(passedMs / hourMs)} h ago`;
  const days = Math.floor(passedMs / dayMs);
  if (days <= daysMax) return `${days} ${days === 1 ? 'day' : 'days'} ago`;
  return dayText(instant, timeZone);
}

/** "14 Mar 2026", in the reader's zone unless another is given. */
export function dayText(instant: Instant, timeZone?: string): string {
  return dateFormat({ day: 'numeric', month: 'short', year: 'numeric' }, timeZone).format(Date.parse(instant));
}

/** "14 Mar 2026, 09:05:07 CET": the whole of it, for whoever wants to know exactly. */
export function wholeTime(instant: Instant, timeZone?: string): string {
  return dateFormat(
    {
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
    },
    timeZone,
  ).format(Date.parse(instant));
}

/** "14:03:22", in the reader's zone unless another is given. */
export function clockTime(ms: number, timeZone?: string): string {
  return dateFormat({ hour: '2-digit', minute: '2-digit', second: '2-digit' }, timeZone).format(ms);
}

/** A calendar day `2026-04-30` as "30 Apr 2026"; no zone moves it. A text that is no such day stays as it is. */
export function calendarDay(day: string): string {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(day) : Number.NaN;
  return Number.isNaN(ms) ? day : dayText(new Date(ms).toISOString(), 'UTC');
}

function dateFormat(options: Intl.DateTimeFormatOptions, timeZone: string | undefined): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat(language, timeZone === undefined ? options : { ...options, timeZone });
}
