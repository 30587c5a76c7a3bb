/** Owns what the font of our documents has letters for, and what stands beside a text that it cannot show. */

/**
 * Every character that both weights of Roboto, as pdfmake brings it, have a glyph for: Latin with Vietnamese, Greek of today,
 * Cyrillic, and their punctuation. Read from the fonts themselves, since a block of Unicode is rarely covered whole.
 */
const printable =
  /^[\u0020-\u007e\u00a0-\u017f\u018f\u0192\u01a0\u01a1\u01af\u01b0\u01fa-\u01ff\u0218-\u021b\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u03ce\u0400-\u0486\u0488-\u0513\u1e80-\u1e85\u1e9e\u1ea0-\u1ef9\u2010\u2011\u2013-\u2015\u2017-\u201e\u2020-\u2022\u2025-\u2027\u2030\u2032\u2033\u2039\u203a\u2044\u20ac\u2116\u2122]*$/;

/** True where every character prints; all others print as boxes. */
export const isPrintable = (text: string): boolean => printable.test(text);

/** A name that prints as boxes has its identifier beside it. */
export const readable = (name: string, id: string): string => (isPrintable(name) ? name : `${name} (${id})`);
