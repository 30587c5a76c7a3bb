/** Either side, last on the socket: why it ends and when to come back. The socket then closes with the code's number. */
import { z } from 'zod';

/** Every reason a socket ends for, with its close number (RFC 6455, 7.4.2: 4000–4999 are ours) and whether trying again helps. */
export const byeCodes = {
  GOING_AWAY: { close: 4001, retry: true, says: 'this side stops or restarts' },
  // A site has one connection at a time: one that hears this was crossed by a hello of its own that the network held back.
  REPLACED: { close: 4002, retry: true, says: 'a newer connection of the same program took over' },
  HANDSHAKE_TIMEOUT: { close: 4003, retry: true, says: 'the next step of the handshake did not come in time' },
  HEARTBEAT_LOST: { close: 4004, retry: true, says: 'no sign of life within the heartbeat limit' },
  BACKLOG_FULL: { close: 4005, retry: true, says: 'more is waiting than may be held' },
  STORE_UNAVAILABLE: { close: 4006, retry: true, says: 'the store does not answer' },
  BAD_FRAME: { close: 4400, retry: true, says: 'a frame is not JSON, or not a message of this protocol' },
  UNEXPECTED_MESSAGE: { close: 4401, retry: true, says: 'a message came that has no place at this point' },
  FRAME_TOO_LARGE: { close: 4402, retry: true, says: 'a frame is longer than 1 MiB' },
  RATE_LIMITED: { close: 4403, retry: true, says: 'too many messages in too short a time' },
  PROTOCOL_TOO_OLD: { close: 4410, retry: false, says: 'this version of the protocol is no longer spoken: update' },
  PROTOCOL_TOO_NEW: { close: 4411, retry: true, says: 'the aggregator does not speak this version yet' },
  SITE_UNKNOWN: { close: 4420, retry: false, says: 'no site has this identifier: enrol' },
  SIGNATURE_WRONG: { close: 4421, retry: false, says: 'the signature is not that of the enrolled site: enrol again' },
  CLONE_SUSPECTED: {
    close: 4430,
    retry: false,
    says: 'a second machine uses this identity: enrol one of the two again',
  },
  FORK: { close: 4431, retry: false, says: 'the ledger differs from the one held: a copy, or a restored backup' },
  LEDGER_BEHIND: {
    close: 4432,
    retry: false,
    says: 'the ledger ends before what is held: a copy, or a restored backup',
  },
  ENTRY_REFUSED: { close: 4433, retry: false, says: 'an entry breaks a rule of the ledger' },
} as const satisfies Record<string, { close: number; retry: boolean; says: string }>;

export type ByeCode = keyof typeof byeCodes;

export const Bye = z.object({
  kind: z.literal('bye'),
  code: z.string().regex(/^[A-Z_]{2,60}$/),
  /** Milliseconds to wait before the next try; null where the sender does not say. Whether trying again helps is the code's affair. */
  retryAfterMs: z.int().nonnegative().nullable(),
  message: z.string().max(500),
});
export type Bye = z.infer<typeof Bye>;

export const isByeCode = (code: string): code is ByeCode => Object.hasOwn(byeCodes, code);
