// Months as people write them.
import type { Month } from '@rollcall/shared/domain/month.ts';
import { language } from './language.ts';

const format = new Intl.DateTimeFormat(language, { month: 'long', year: 'numeric', timeZone: 'UTC' });

/** `2026-03` as "March 2026". A month is no instant: no time zone moves it. */
export function monthName(month: Month): string {
  return format.format(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)) - 1, 1));
}
