/**
 * The one number of the wire protocol. Every bump is explained here; the schema hash is pinned in version.test.ts, so a
 * change of any message shows as a failing test until its line is written.
 *   1  2026-11  challenge, hello, welcome, append, ack, reject, status, lease, settings, command, notice, bye; POST enrol.
 */
export const protocolVersion = 1;

/** Sites older than this are refused with `PROTOCOL_TOO_OLD`. Raised only long after sites were told. */
export const protocolVersionMin = 1;

/** Subprotocol of the WebSocket (RFC 6455, section 1.9). */
export const subprotocol = 'rollcall.site.v1';

/** Where a Site Manager finds the aggregator, below its address. */
export const sitePaths = { enrol: '/site/v1/enrol', socket: '/site/v1/socket' } as const;
