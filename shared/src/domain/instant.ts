/**
 * Owns the written form of a moment: UTC with exactly millisecond precision (domain.md, section 7).
 * All instants have the same 24 characters' shape, so comparing two as strings compares them in time.
 * Calendars and zones belong to `month.ts`; reading a clock belongs to the clock module.
 */
import { z } from 'zod';

export const firstInstant = '1970-01-01T00:00:00.000Z';
export const lastInstant = '9999-12-31T23:59:59.999Z';

/** Milliseconds since 1970-01-01T00:00:00.000Z of `lastInstant`. */
const lastInstantMs = 253_402_300_799_999;

const instantPattern =
  /^(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** ISO 8601 in UTC, `YYYY-MM-DDTHH:mm:ss.sssZ`, a date that exists, years 1970 to 9999. */
export const Instant = z
  .string()
  .regex(instantPattern, {
    abort: true,
    error: `must be an instant in UTC with milliseconds, years 1970 to 9999, such as "2026-03-31T22:00:00.000Z"`,
  })
  .refine(dayExists, { error: 'must be a day that its month has' });
export type Instant = z.infer<typeof Instant>;

/** @throws RangeError unless `ms` is a whole number of milliseconds within the years 1970 to 9999. */
export function instantFromMs(ms: number): Instant {
  if (!Number.isInteger(ms) || ms < 0 || ms > lastInstantMs) {
    throw new RangeError(`${ms} ms is not an instant: a whole number from 0 to ${lastInstantMs} is`);
  }
  return new Date(ms).toISOString();
}

/**
 * Milliseconds since 1970-01-01T00:00:00.000Z.
 * @throws RangeError when the text is not an instant.
 */
export function msOfInstant(instant: Instant): number {
  if (!instantPattern.test(instant) || !dayExists(instant)) {
    throw new RangeError(`"${instant}" is not an instant such as "2026-03-31T22:00:00.000Z"`);
  }
  return Date.parse(instant);
}

/** The pattern lets days up to 31 through; `Date.parse` would turn 30 February into 2 March without a word. */
function dayExists(instant: string): boolean {
  const day = Number(instant.slice(8, 10));
  if (day <= 28) return true;
  const year = Number(instant.slice(0, 4));
  const month = Number(instant.slice(5, 7));
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}
