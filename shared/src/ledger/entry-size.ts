/** How long an entry may be, so that it always fits a frame of its own. Chaining and following a chain hold to it (`chain.ts`). */
import { fitsUtf8 } from '../domain/utf8.ts';

/** Longest canonical text of one entry, in bytes of UTF-8: below the frame limit of 1 MiB with room for the message around it. */
export const entryBytesMax = 900 * 1024;

/** Room for everything of an entry but its body. */
const envelopeBytes = 1_000;

/** True when the canonical text of an entry may be chained. */
export const fitsEntry = (text: string): boolean => fitsUtf8(text, entryBytesMax);

/** True when a body of this canonical text, and so many bytes beside it, fit an entry. */
export const fitsEntryBody = (text: string, besideBytes = 0): boolean =>
  fitsUtf8(text, entryBytesMax - envelopeBytes - besideBytes);
