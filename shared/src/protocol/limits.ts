/** Limits of the wire, the same on both sides. */

/** A frame's longest length in bytes of UTF-8; longer ones close the socket with `FRAME_TOO_LARGE`. */
export const frameBytesMax = 1024 * 1024;

/** Most entries in one `append`. */
export const appendEntriesMax = 500;

/** Bytes of canonical text after which a site starts another `append`: keeps a batch well below a frame. */
export const appendBytesMax = 256 * 1024;

/** Most leases or commands in one `welcome`; the rest follow in messages of their own. */
export const welcomeListMax = 100;

/** Time either side waits for the next step of the handshake. */
export const handshakeTimeoutMs = 10_000;

/** Half the idle limit of common site proxies (60 s). */
export const heartbeatIntervalMs = 30_000;

/** Appended entries a site sends ahead of their acknowledgement. */
export const unacknowledgedEntriesMax = 2_000;
