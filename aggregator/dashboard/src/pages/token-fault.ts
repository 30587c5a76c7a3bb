// What is wrong with a token, in words for whoever pasted it; the server's own are for programs.
import type { ApiError } from '../api/client.ts';

const faults: Readonly<Record<string, string>> = {
  UNAUTHENTICATED: 'This token is not known here. Check that all of it was copied.',
  API_TOKEN_EXPIRED: 'This token has expired. Ask for a new one.',
  TOKEN_REVOKED: 'This token was revoked. Ask for a new one.',
};

/** Never empty: where the code says nothing of a token, what the server says. */
export const tokenFault = ({ code, message, hint }: Pick<ApiError, 'code' | 'message' | 'hint'>): string =>
  faults[code] ?? [message, hint].filter(Boolean).join(' ');
