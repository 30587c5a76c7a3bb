/** POST /site/v1/enrol: a token becomes a site with a key of its own. Safe to repeat: the same token and key get the same answer. */
import { z } from 'zod';
import { SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Name, SoftwareVersion } from '../domain/name.ts';
import { SiteSettings } from '../domain/site-settings.ts';
import { TimeZone } from '../domain/time-zone.ts';
import { canonicalJson } from '../ledger/canonical-json.ts';
import { PublicKey, Signature } from '../ledger/crypto.ts';
import { WireHead } from './hello.ts';

/** Alphabet of enrolment tokens: what every shell, installer and RMM passes on unchanged. */
export const EnrolmentTokenText = z.string().regex(/^[A-Za-z0-9_.-]{20,200}$/, 'not an enrolment token');

export const EnrolRequest = z.object({
  token: EnrolmentTokenText,
  publicKey: PublicKey,
  /** Name and zone of a site that a roll-out token makes; a one-time token's site has both already. */
  siteName: Name.optional(),
  timeZone: TimeZone.optional(),
  software: SoftwareVersion,
  hostName: z.string().min(1).max(253),
  /** Where this machine's ledger stands: empty for a new one; the old head when a known site enrols again. */
  head: WireHead,
  /** Signature of `enrolText` by the private key of `publicKey`: proves the sender has it. */
  signature: Signature,
});
export type EnrolRequest = z.infer<typeof EnrolRequest>;

export const EnrolResponse = z.object({
  siteId: SiteId,
  siteName: Name,
  timeZone: TimeZone,
  /** Keys that sign leases, newest first. */
  aggregatorPublicKeys: z.array(PublicKey).min(1).max(10),
  settings: SiteSettings,
  /**
   * By the aggregator's clock: dates the entry of this enrolment, whatever the machine's own clock says. The first enrolment of
   * the site where its ledger is still empty, so that a repeated call does not move the month its life begins with.
   */
  serverTime: Instant,
});
export type EnrolResponse = z.infer<typeof EnrolResponse>;

/**
 * Refusals of an enrolment: HTTP status beside each code.
 * `SITE_HAS_LEDGER`: the site has a ledger that does not end where the sender's does; restore its data, or make a new site.
 */
export const enrolRefusals = {
  TOKEN_UNKNOWN: 404,
  TOKEN_EXPIRED: 410,
  TOKEN_USED: 409,
  TOKEN_WITHDRAWN: 410,
  SIGNATURE_WRONG: 400,
  SITE_NAME_NEEDED: 422,
  TIME_ZONE_NEEDED: 422,
  SITE_NAME_TAKEN: 409,
  SITE_HAS_LEDGER: 409,
} as const;
export type EnrolRefusalCode = keyof typeof enrolRefusals;

/** The text signed in an enrolment. */
export function enrolText(request: Pick<EnrolRequest, 'token' | 'publicKey' | 'head'>): string {
  const { token, publicKey, head } = request;
  return `rollcall.enrol.v1\n${canonicalJson({ token, publicKey, head })}`;
}
