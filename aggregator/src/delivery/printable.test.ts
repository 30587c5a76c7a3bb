import { describe, expect, it } from 'vitest';
import { isPrintable, readable } from './printable.ts';

describe('a name on paper', () => {
  it.each(['Bäckerei Huber & Söhne, Zürich', 'Łódź', 'Αθήνα Ώ', 'Подгорица – «Ћ»', 'Nguyễn Ở', '12 % · № 5 ™ €'])(
    'stands alone: %s',
    (name) => expect(readable(name, 'org_1')).toBe(name),
  );
  // In the blocks of Latin and Greek, but without a glyph.
  it.each(['株式会社', 'بيروت', 'שלום', '😀', 'a\u0301', 'Ɓ', 'ǆ', 'Ḃ', 'ϟ', 'ᾳ'])(
    'has its identifier beside it: %s',
    (name) => {
      expect(isPrintable(name)).toBe(false);
      expect(readable(name, 'org_1')).toBe(`${name} (org_1)`);
    },
  );
});
