import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson, jsonDepthMax } from './canonical-json.ts';

/** The same value with the names of every object in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, shuffled(inner)] as const);
  return Object.fromEntries(entries.toReversed());
}

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
};

// Values as JSON holds them: parsed from text, so that -0 is 0 and no name is a prototype's.
const json = fc.json({ noUnicodeString: false, maxDepth: 5 }).map((text): unknown => JSON.parse(text));

describe('canonical JSON', () => {
  test.each([
    [
      'names by UTF-16 code units',
      { '\u{1f600}': 1, '\ufb33': 2, '\u20ac': 3, a: 4, A: 5, '1': 6 },
      '{"1":6,"A":5,"a":4,"€":3,"😀":1,"\ufb33":2}',
    ],
    [
      'numbers as ECMAScript writes them',
      [1e21, 1e20, 1e-7, 0.000001, -0, 4.5, 1 / 3],
      '[1e+21,100000000000000000000,1e-7,0.000001,0,4.5,0.3333333333333333]',
    ],
    [
      'control characters, short where JSON has it',
      '\u0000\b\t\n\f\r\u001f"\\/\u007f',
      '"\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/\u007f"',
    ],
    ['literals and empty things', [null, true, false, {}, [], ''], '[null,true,false,{},[],""]'],
    ['separators of Unicode as they are', '\u2028\u2029', '"\u2028\u2029"'],
  ])('%s', (_, value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  test('reads back as the value it was written from', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(value);
      }),
    );
  });

  test('is the same text whatever order the names came in, and stays the same when written again', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(shuffled(value))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test.each<[string, unknown]>([
    ['undefined', { a: undefined }],
    ['NaN', Number.NaN],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['a big integer', 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
    ['a lone surrogate', 'a\ud800b'],
    ['a lone surrogate in a name', { '\udc00': 1 }],
    ['nesting without end', nested(jsonDepthMax + 1)],
  ])('refuses %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
  });

  test('takes the deepest nesting it allows', () => {
    expect(canonicalJson(nested(jsonDepthMax))).toBe(`${'['.repeat(jsonDepthMax)}1${']'.repeat(jsonDepthMax)}`);
  });
});
