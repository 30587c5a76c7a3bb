// The browser's clock, read in this one place.

/** Milliseconds since 1970 as this machine's clock says; it may be wrong. */
export const nowMs = (): number => Date.now();
