/**
 * Owns which names of time zones are accepted: those of the IANA database, as Intl knows them, in their usual spelling.
 * What a zone does to months and days belongs to `month.ts`.
 */
import { Temporal } from 'temporal-polyfill';
import { z } from 'zod';

/** The longest name in the database has 32 characters ("America/Argentina/ComodRivadavia"). */
const timeZoneCharactersMax = 64;

/**
 * The name of an IANA time zone such as "Europe/Rome", or "UTC". An offset such as "+02:00" is refused: it has no
 * summer time, so a site's months would be cut an hour off for half of the year.
 */
export const TimeZone = z
  .string()
  .max(timeZoneCharactersMax, {
    abort: true,
    error: `must be a time zone of at most ${timeZoneCharactersMax} characters`,
  })
  .superRefine((name, context) => {
    const spelling = usualSpelling(name);
    if (spelling === name) return;
    const advice = spelling === null ? 'write one such as "Europe/Rome" or "UTC"' : `did you mean "${spelling}"?`;
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(name)} is not the name of an IANA time zone: ${advice}`,
      input: name,
    });
  });
export type TimeZone = z.infer<typeof TimeZone>;

/** How the zone is usually spelt, whatever the case of `name`; null when there is no zone of that name. */
function usualSpelling(name: string): string | null {
  // Temporal also takes offsets and whole timestamps for a zone, and ICU knows names that never were in the database.
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name) || /^SystemV\//i.test(name)) return null;
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
