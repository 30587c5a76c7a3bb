// How a site stands, in one word: whether its Site Manager is heard from.
import type { SiteView } from '@rollcall/shared/api/site.ts';
import type { Standing } from '../components/tone.ts';

/** A site records `contact-lost` after this; until then a break is a break of the line. */
const outOfContactMs = 5 * 60_000;
/** After a day nobody is repairing the line any more without being told. */
const silentMs = 24 * 60 * 60_000;

export function siteStanding(
  site: Pick<SiteView, 'connected' | 'closedAt' | 'enrolledAt' | 'lastContactAt' | 'flag'>,
  nowMs: number,
): Standing {
  if (site.closedAt !== null) return { tone: 'calm', label: 'Closed' };
  if (site.connected) return { tone: 'good', label: 'Connected' };
  if (site.flag !== null) return { tone: 'bad', label: 'Refused' };
  if (site.enrolledAt === null) return { tone: 'calm', label: 'Not enrolled' };
  const heardMs = Date.parse(site.lastContactAt ?? site.enrolledAt);
  const quietMs = nowMs - heardMs;
  if (quietMs < outOfContactMs) return { tone: 'good', label: 'In contact' };
  return quietMs < silentMs ? { tone: 'warn', label: 'Out of contact' } : { tone: 'bad', label: 'Silent' };
}
