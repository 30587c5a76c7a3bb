import { describe, expect, it } from 'vitest';
import { codeText } from './code-text.ts';

describe('a code in words', () => {
  it.each([
    ['CLONE_SUSPECTED', 'Clone suspected'],
    ['FORK', 'Fork'],
    ['LEDGER_BEHIND', 'Ledger behind'],
    ['some-newer-code', 'Some newer code'],
    ['', ''],
  ])('%s is "%s"', (code, words) => {
    expect(codeText(code)).toBe(words);
  });
});
