/** How long a site is asked to stay away after a socket ended; spread by chance so that many do not come back at once. */
import type { Chance } from '@rollcall/shared/domain/clock.ts';
import { type ByeCode, byeCodes } from '@rollcall/shared/protocol/bye.ts';

/** Middle of the wait after each code that trying again can help with. A broken program is kept from hammering. */
const retryMs: Partial<Record<ByeCode, number>> = {
  GOING_AWAY: 1_500,
  REPLACED: 1_500,
  HANDSHAKE_TIMEOUT: 5_000,
  HEARTBEAT_LOST: 1_500,
  BACKLOG_FULL: 5_000,
  STORE_UNAVAILABLE: 5_000,
  BAD_FRAME: 60_000,
  UNEXPECTED_MESSAGE: 60_000,
  FRAME_TOO_LARGE: 60_000,
  RATE_LIMITED: 30_000,
  PROTOCOL_TOO_NEW: 3_600_000,
};

/** Milliseconds between half and one and a half times the code's wait; null where trying again does not help. */
export function retryAfterMs(code: ByeCode, chance: Chance): number | null {
  const middleMs = retryMs[code];
  if (!byeCodes[code].retry || middleMs === undefined) return null;
  const [high = 0, low = 0] = chance(2);
  return Math.round(middleMs * (0.5 + (high * 256 + low) / 65_535));
}
