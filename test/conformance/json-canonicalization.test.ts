// The published examples of RFC 8785: each input file must come out as its output file, byte for byte.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import { describe, expect, test } from 'vitest';
import { thirdPartyVectors } from '../support/third-party-vectors.ts';

const folder = thirdPartyVectors('json-canonicalization');
const names = folder === undefined ? [] : readdirSync(join(folder, 'input')).filter((name) => name.endsWith('.json'));

describe.skipIf(folder === undefined)('canonical JSON (RFC 8785)', () => {
  test('there are examples, each with its expected output', () => {
    expect(names.length).toBeGreaterThanOrEqual(6);
    expect(readdirSync(join(folder ?? '', 'output')).toSorted()).toEqual(names.toSorted());
  });

  test.each(names)('%s', (name) => {
    const [input, output] = ['input', 'output'].map((part) => readFileSync(join(folder ?? '', part, name)));
    const written = Buffer.from(canonicalJson(JSON.parse(String(input))), 'utf8');
    expect(written.toString()).toBe(String(output));
    expect(written.equals(output ?? Buffer.alloc(0))).toBe(true);
  });
});
