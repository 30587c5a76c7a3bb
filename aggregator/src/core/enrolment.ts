/**
 * Decides an enrolment: who may become which site, and what has to be written for it. Pure; the gateway reads the view,
 * the store applies the plan and refuses it when the token was used, or the site's ledger went on, meanwhile.
 */
import type { Site } from '@rollcall/shared/api/site.ts';
import type { EnrolmentToken } from '@rollcall/shared/api/token.ts';
import type { Account } from '@rollcall/shared/api/account.ts';
import type { Chance } from '@rollcall/shared/domain/clock.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import { keyHint, productKeyRandomBytes, productKeyTextFrom } from '@rollcall/shared/domain/product-key.ts';
import { defaultSiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { Hash, PublicKey, Verifier } from '@rollcall/shared/ledger/crypto.ts';
import { type EnrolRefusalCode, type EnrolRequest, enrolText } from '@rollcall/shared/protocol/enrol.ts';
import type { StoredKey } from './key-state.ts';

/** What the decision looks at; `undefined` where no token has the sender's text. */
export type EnrolmentFacts =
  | {
      token: EnrolmentToken;
      account: Account;
      /** The token's site; for a roll-out token the one this public key already made with it. */
      site: Site | undefined;
      sitePublicKey: PublicKey | null;
      ingestHead: { seq: number; hash: Hash } | null;
      siteHasKey: boolean;
    }
  | undefined;

export type EnrolmentDecision = {
  site: Site;
  /** What the site dates its entry of this enrolment. */
  entryAt: Instant;
  /** Null where the same enrolment was made before: the answer is given again and nothing is written. */
  plan: {
    tokenId: string;
    usesBefore: number;
    newSite: Site | null;
    siteId: string;
    /** What the decision saw of a site that was there already; it is made again where that has changed. */
    before: { enrolledAt: Instant | null; ledgerHead: { seq: number; hash: Hash } | null };
    publicKey: PublicKey;
    at: Instant;
    newKey: { key: StoredKey; keyText: string } | null;
  } | null;
};

/** True when the sender holds the private half of the key it wants to enrol. Asked before the store is. */
export const isEnrolmentSigned = (request: EnrolRequest, verifier: Verifier): boolean =>
  verifier.verify(request.publicKey, enrolText(request), request.signature);

/** Refusals in order: the token's own state, then what the site lacks, then the ledger. */
export function decideEnrolment(
  facts: EnrolmentFacts,
  request: EnrolRequest,
  now: Instant,
  chance: Chance,
): Outcome<EnrolmentDecision, EnrolRefusalCode> {
  if (facts === undefined)
    return refuse('TOKEN_UNKNOWN', 'no enrolment token has this text', 'copy the token again, or have a new one made');
  const { token, site } = facts;
  // The answer to an enrolment may be lost on its way; asked again with the same key it is the same enrolment.
  if (site !== undefined && token.uses > 0 && facts.sitePublicKey === request.publicKey)
    return { ok: true, site, entryAt: entryAtOf(site, request, now), plan: null };
  if (token.withdrawnAt !== null) return refuse('TOKEN_WITHDRAWN', 'the token was withdrawn', 'have a new one made');
  if (now >= token.expiresAt)
    return refuse('TOKEN_EXPIRED', `the token expired at ${token.expiresAt}`, 'have a new one made');
  if (token.uses >= token.usesMax) return refuse('TOKEN_USED', 'the token was used already', 'have a new one made');
  const place =
    token.siteId === null ? newSite(facts.account, request, now, chance) : knownSite(site, facts.ingestHead, request);
  if (!place.ok) return place;
  const made = place.isNew || !facts.siteHasKey ? newMeteredKey(place.site.id, now, chance) : null;
  return {
    ok: true,
    site: place.site,
    entryAt: entryAtOf(place.site, request, now),
    plan: {
      tokenId: token.id,
      usesBefore: token.uses,
      newSite: place.isNew ? place.site : null,
      siteId: place.site.id,
      before: { enrolledAt: place.site.enrolledAt, ledgerHead: facts.ingestHead },
      publicKey: request.publicKey,
      at: now,
      newKey: made,
    },
  };
}

/**
 * A ledger that is still empty begins with the site's first enrolment, however late its answer arrives: the month of that is
 * the first that is billed, and may be billed already. A ledger that goes on dates the entry now.
 */
const entryAtOf = ({ enrolledAt }: Site, { head }: EnrolRequest, now: Instant): Instant =>
  head.seq === 0 && enrolledAt !== null ? enrolledAt : now;

type Place = Outcome<{ site: Site; isNew: boolean }, EnrolRefusalCode>;

/** A roll-out token makes the site, from the name and zone that the machine gives. */
function newSite(account: Account, request: EnrolRequest, now: Instant, chance: Chance): Place {
  const { siteName, timeZone, head } = request;
  if (siteName === undefined) return refuse('SITE_NAME_NEEDED', 'this token makes a new site, which needs a name');
  if (timeZone === undefined) return refuse('TIME_ZONE_NEEDED', 'this token makes a new site, which needs a time zone');
  if (head.seq > 0)
    return refuse(
      'SITE_HAS_LEDGER',
      'this machine has the ledger of another site; a new site begins with an empty one',
    );
  const site: Site = {
    id: idFrom('site', chance(idRandomBytes)),
    mspId: account.mspId,
    accountId: account.id,
    name: siteName,
    timeZone,
    note: '',
    settings: defaultSiteSettings,
    createdAt: now,
    enrolledAt: now,
    closedAt: null,
    software: request.software,
    lastContactAt: null,
    ledger: { seq: 0 },
    deployed: { server: 0, workstation: 0 },
    flag: null,
  };
  return { ok: true, site, isNew: true };
}

/**
 * A one-time token's site. What is held of its ledger must lie on the sender's: at the same number the same hash; a longer
 * one is checked entry by entry when it arrives. So the original enrols again with its data, and a stranger's data does not.
 */
function knownSite(site: Site | undefined, held: { seq: number; hash: Hash } | null, request: EnrolRequest): Place {
  if (site === undefined || site.closedAt !== null)
    return refuse('TOKEN_WITHDRAWN', 'the site of the token was closed');
  const { head } = request;
  const acked = held ?? emptyHead;
  if (head.seq < acked.seq || (head.seq === acked.seq && head.hash !== acked.hash))
    return refuse(
      'SITE_HAS_LEDGER',
      `the site's ledger is held up to entry ${acked.seq}, and this machine's does not go on from there`,
      "enrol in the site's own data folder, or make a new site",
    );
  if (site.enrolledAt === null && head.seq > 0)
    return refuse(
      'SITE_HAS_LEDGER',
      'this machine has the ledger of another site; a new site begins with an empty one',
    );
  return { ok: true, site, isNew: false };
}

function newMeteredKey(siteId: string, now: Instant, chance: Chance): { key: StoredKey; keyText: string } {
  const keyText = productKeyTextFrom(chance(productKeyRandomBytes));
  const key: StoredKey = {
    id: idFrom('productKey', chance(idRandomBytes)),
    siteId,
    product: 'metered-agent',
    keyHint: keyHint(keyText),
    wish: 'active',
    siteState: null,
    createdAt: now,
    leaseIssuedAt: null,
    leaseUntil: null,
  };
  return { key, keyText };
}
