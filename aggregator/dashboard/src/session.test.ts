import { describe, expect, it } from 'vitest';
import { tokenIn } from './session.ts';

describe('a pasted token', () => {
  it('is taken without the spaces and line breaks around it', () => {
    expect(tokenIn('  rc_0123456789abcdef\r\n')).toBe('rc_0123456789abcdef');
  });

  it.each([
    ['nothing', ''],
    ['spaces', '   '],
    ['too short', 'rc_0123'],
    ['two words', 'Bearer rc_0123456789'],
    ['a line break inside, which would end the header', 'rc_0123456789\nX-Other: 1'],
    ['letters a header cannot carry', 'rc_0123456789ü'],
    ['a whole document', 'x'.repeat(401)],
  ])('is refused: %s', (_case, text) => {
    expect(tokenIn(text)).toBeNull();
  });
});
