/** Identifiers of everything that is stored. Owns their form and how chance becomes one; who hands them out is the caller's affair. */
import { z } from 'zod';

/** Prefix of each noun's identifiers; an identifier says what it names. */
export const idPrefixes = {
  organisation: 'org',
  account: 'acc',
  site: 'site',
  productKey: 'key',
  endpoint: 'ep',
  enrolmentToken: 'etk',
  apiToken: 'atk',
  agreement: 'agr',
  command: 'cmd',
  finding: 'fnd',
  invoice: 'inv',
  lease: 'lse',
} as const;

export type IdNoun = keyof typeof idPrefixes;

/** Crockford's base 32 without i, l, o, u: reads well aloud, cannot spell words. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const idCharacters = 20;
/** Bytes of chance an identifier takes: 20 characters of 5 bits need 100 bits. */
export const idRandomBytes = 20;

/** Schema of an identifier of one noun: `site_` and 20 characters of Crockford base 32. */
export function Id(noun: IdNoun) {
  const prefix = idPrefixes[noun];
  return z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{${idCharacters}}$`), `not an identifier of the form ${prefix}_…`);
}

/** Makes an identifier from `idRandomBytes` bytes of chance. */
export function idFrom(noun: IdNoun, random: Uint8Array): string {
  return `${idPrefixes[noun]}_${base32Text(random, idCharacters)}`;
}

/** `characters` characters of Crockford base 32, one per byte of chance (its low five bits). */
export function base32Text(random: Uint8Array, characters: number): string {
  if (random.length < characters) throw new RangeError(`needs ${characters} bytes of chance, got ${random.length}`);
  let text = '';
  for (let i = 0; i < characters; i++) text += alphabet[(random[i] as number) & 31];
  return text;
}

export const OrganisationId = Id('organisation');
export const AccountId = Id('account');
export const SiteId = Id('site');
export const ProductKeyId = Id('productKey');
export const EndpointId = Id('endpoint');
export const EnrolmentTokenId = Id('enrolmentToken');
export const ApiTokenId = Id('apiToken');
export const AgreementId = Id('agreement');
export const CommandId = Id('command');
export const FindingId = Id('finding');
export const InvoiceId = Id('invoice');
