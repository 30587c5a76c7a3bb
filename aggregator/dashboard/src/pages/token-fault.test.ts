import { describe, expect, it } from 'vitest';
import { tokenFault } from './token-fault.ts';

describe('what is wrong with a token', () => {
  it.each([
    ['UNAUTHENTICATED', /not known/],
    ['API_TOKEN_EXPIRED', /expired/],
    ['TOKEN_REVOKED', /revoked/],
  ])('%s is said without the words meant for programs', (code, words) => {
    const fault = tokenFault({ code, message: 'm', hint: 'send Authorization: Bearer' });
    expect(fault).toMatch(words);
    expect(fault).not.toContain('Bearer');
  });

  it('is what the server says where it is not about the token', () => {
    expect(tokenFault({ code: 'RATE_LIMITED', message: 'Too many.', hint: 'Wait.' })).toBe('Too many. Wait.');
    expect(tokenFault({ code: 'RATE_LIMITED', message: 'Too many.', hint: undefined })).toBe('Too many.');
  });
});
