/** Product keys: the text a person types, and the states a key passes through at a site and in the portal. */
import { z } from 'zod';
import { base32Text } from './id.ts';

/** Five groups of five characters: `7k3mq-…`, read aloud without doubt. */
export const ProductKeyText = z
  .string()
  .transform((text) => text.trim().toLowerCase())
  .pipe(z.string().regex(/^([0-9a-hjkmnp-tv-z]{5}-){4}[0-9a-hjkmnp-tv-z]{5}$/, 'five groups of five characters'));

export const productKeyRandomBytes = 25;

/** Makes the text of a key from 25 bytes of chance (125 bits kept). */
export function productKeyTextFrom(random: Uint8Array): string {
  return (base32Text(random, 25).match(/.{5}/g) as string[]).join('-');
}

/** What may be shown of a key to everyone: its last group. */
export const keyHint = (keyText: string): string => keyText.slice(-5);

/**
 * The stages of a key at its site. `active` … `disabled-offline` follow the lease (see lease.ts); `deactivated` is the
 * portal's word and is lifted by a reactivation only.
 */
export const KeyState = z.enum(['active', 'warning', 'restricted', 'disabled-offline', 'deactivated']);
export type KeyState = z.infer<typeof KeyState>;

/** What the portal wants a key to be; true at the site from its next call-home on. */
export const KeyWish = z.enum(['active', 'deactivated']);
export type KeyWish = z.infer<typeof KeyWish>;

/** States the portal shows (domain text, section 3). */
export const PortalKeyState = z.enum([
  'never-used',
  'ok',
  'critical',
  'deactivation-requested',
  'reactivation-requested',
  'deactivated',
  'disabled-offline',
]);
export type PortalKeyState = z.infer<typeof PortalKeyState>;
