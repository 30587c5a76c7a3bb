/** The text of the tokens that the aggregator hands out. Only its SHA-256 (hexadecimal, of the text as it stands) is ever stored. */
import { base32Text } from '@rollcall/shared/domain/id.ts';

/** Bytes of chance a token takes: 40 characters of 5 bits, 200 bits. */
export const tokenRandomBytes = 40;

/** Prefixes say what leaked where a scanner of secrets finds one. */
export const apiTokenTextFrom = (random: Uint8Array): string => `rc_${base32Text(random, tokenRandomBytes)}`;
export const enrolmentTokenTextFrom = (random: Uint8Array): string => `rce_${base32Text(random, tokenRandomBytes)}`;

/** True for what can be an API token: told apart before the store is asked. */
export const isApiTokenText = (text: string): boolean => /^rc_[0-9a-hjkmnp-tv-z]{40}$/.test(text);
