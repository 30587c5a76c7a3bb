import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitsUtf8, utf8Bytes } from './utf8.ts';

const encoded = (text: string): number => new TextEncoder().encode(text).length;

describe('bytes of a text', () => {
  it.each([
    '',
    'plain',
    'Łódź',
    '同一台机器',
    'Zahnarzt 🦷',
    '\u07ff\u0800\uffff',
    '\ud800',
    '\udc00\ud83d',
    'a\ud83d',
  ])('%j is counted as it is written', (text) => {
    expect(utf8Bytes(text)).toBe(encoded(text));
  });

  it('are those an encoder makes, whatever the text, and the limit is exact', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = encoded(text);
        expect(utf8Bytes(text)).toBe(bytes);
        expect([fitsUtf8(text, bytes), fitsUtf8(text, bytes - 1)]).toEqual([true, false]);
      }),
    );
  });
});
