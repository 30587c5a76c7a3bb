/** How long a text is where it is stored and sent: in bytes of UTF-8, of which one character takes up to four. */

/** Bytes of the text in UTF-8, counted without making them. Half a surrogate pair counts three, as what replaces it does. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    // A pair of surrogates takes four bytes for its two units.
    if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) index++;
  }
  return bytes;
}

/** True when the text has at most so many bytes: most texts are known to without being counted. */
export const fitsUtf8 = (text: string, bytesMax: number): boolean =>
  text.length * 3 <= bytesMax || (text.length <= bytesMax && utf8Bytes(text) <= bytesMax);

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;
