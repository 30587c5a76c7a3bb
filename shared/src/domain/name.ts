/** Names people and machines give to things, and what may not be in one. */
import { z } from 'zod';
import { fitsUtf8 } from './utf8.ts';

export const nameCharactersMax = 120;

// Control characters (NUL, line breaks, escape), the bidirectional overrides that let a name lie about its order on
// screen, and lone surrogates, which no UTF-8 store can hold.
const forbidden = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u;

/** A name of an organisation, account, site or key: 1 to 120 characters, no control characters, no space at its ends. */
export const Name = z
  .string()
  .min(1, 'must not be empty')
  .max(nameCharactersMax, `at most ${nameCharactersMax} characters`)
  .refine((text) => !forbidden.test(text), 'must not hold control characters or lone surrogates')
  .refine((text) => text.trim() === text, 'must not begin or end with a space');

/** A host name as a machine reports it: 1 to 253 characters (RFC 1035, 2.3.4), any script, no control characters. */
export const HostName = z
  .string()
  .min(1, 'must not be empty')
  .max(253, 'at most 253 characters')
  .refine((text) => !forbidden.test(text), 'must not hold control characters or lone surrogates');

/** Longest reason, in bytes of UTF-8: a thousand of them in one corrected report must fit a ledger entry. */
const reasonBytesMax = 400;

/** Why something was done, for whoever reads it later: one line of 1 to 200 characters. */
export const Reason = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'at most 200 characters')
  .refine((text) => !forbidden.test(text), 'must not hold control characters or lone surrogates')
  .refine((text) => fitsUtf8(text, reasonBytesMax), `at most ${reasonBytesMax} bytes of UTF-8`);

/** A free note: at most 2,000 characters; line breaks are allowed, other control characters are not. */
export const Note = z
  .string()
  .max(2000, 'at most 2000 characters')
  .refine(
    (text) => !forbidden.test(text.replace(/[\n\t]/g, ' ')),
    'must not hold control characters or lone surrogates',
  );

/** A short word of software: version or product name of an agent. */
export const SoftwareVersion = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._+()/-]{0,63}$/, 'letters, digits and . _ + - / ( ), at most 64');
