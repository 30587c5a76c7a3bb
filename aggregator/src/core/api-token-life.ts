/** How long an API token lives. One that was made with another is a part of what that one may do, and ends no later. */
import type { ApiToken } from '@rollcall/shared/api/token.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';

const dayMs = 86_400_000;

/** The earlier of what is asked for (for good, where nothing is) and the end of the token it is made with. */
export function expiryOf(
  validDays: number | undefined,
  now: Instant,
  creator: Pick<ApiToken, 'expiresAt'>,
): Instant | null {
  const asked = validDays === undefined ? null : instantFromMs(msOfInstant(now) + validDays * dayMs);
  if (asked === null || creator.expiresAt === null) return asked ?? creator.expiresAt;
  return asked < creator.expiresAt ? asked : creator.expiresAt;
}
