import type { Site } from '@rollcall/shared/api/site.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { generateSigningKey, nodeVerifier, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { type EnrolRequest, enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { decideEnrolment, type EnrolmentFacts, isEnrolmentSigned } from './enrolment.ts';

const now = '2026-03-01T12:00:00.000Z';
const chance = new SeededRandom(1).bytes;
const signer = signerFromPem(generateSigningKey().privateKeyPem);
const hash = 'ab'.repeat(32);

const account = {
  id: 'acc_00000000000000000001',
  mspId: 'org_00000000000000000001',
  name: 'A',
  addressLines: [],
  note: '',
  createdAt: now,
};
const site: Site = {
  id: 'site_00000000000000000001',
  mspId: account.mspId,
  accountId: account.id,
  name: 'Site',
  timeZone: 'Europe/Rome',
  note: '',
  settings: { staleAfterDays: 30 },
  createdAt: now,
  enrolledAt: null,
  closedAt: null,
  software: null,
  lastContactAt: null,
  ledger: { seq: 0 },
  deployed: { server: 0, workstation: 0 },
  flag: null,
};
const enrolled: Site = { ...site, enrolledAt: now };

type Facts = NonNullable<EnrolmentFacts>;
const oneTime: Facts = {
  token: {
    id: 'etk_00000000000000000001',
    siteId: site.id,
    accountId: account.id,
    usesMax: 1,
    uses: 0,
    createdAt: now,
    expiresAt: '2026-03-02T00:00:00.000Z',
    withdrawnAt: null,
  },
  account,
  site,
  sitePublicKey: null,
  ingestHead: null,
  siteHasKey: false,
};
const rollOut: Facts = { ...oneTime, token: { ...oneTime.token, siteId: null, usesMax: 10 }, site: undefined };
const again: Facts = { ...oneTime, site: enrolled, sitePublicKey: 'K'.repeat(43), ingestHead: { seq: 7, hash } };

const request: EnrolRequest = {
  token: 'rce_00000000000000000000',
  publicKey: signer.publicKey,
  software: 'rollcall-site 1',
  hostName: 'host',
  head: { seq: 0, hash: emptyHead.hash },
  signature: 'A'.repeat(86),
};
const named: EnrolRequest = { ...request, siteName: 'New site', timeZone: 'Europe/Paris' };
const decide = (facts: EnrolmentFacts, asked: EnrolRequest = request) => decideEnrolment(facts, asked, now, chance);

describe('decideEnrolment', () => {
  it('enrols a site by its one-time token, with a metered key where it has none', () => {
    expect(decide(oneTime)).toMatchObject({
      ok: true,
      site: { id: site.id },
      plan: {
        tokenId: oneTime.token.id,
        usesBefore: 0,
        newSite: null,
        siteId: site.id,
        publicKey: signer.publicKey,
        at: now,
        newKey: { key: { siteId: site.id, product: 'metered-agent', wish: 'active' } },
      },
    });
    expect(decide({ ...oneTime, siteHasKey: true })).toMatchObject({ ok: true, plan: { newKey: null } });
  });

  it('gives the new key the hint of its own text', () => {
    const decision = decide(oneTime);
    const newKey = decision.ok ? decision.plan?.newKey : null;
    expect(newKey?.keyText).toMatch(/^([0-9a-hjkmnp-tv-z]{5}-){4}[0-9a-hjkmnp-tv-z]{5}$/);
    expect(newKey?.keyText.endsWith(newKey.key.keyHint)).toBe(true);
  });

  it('makes a site by a roll-out token, under the account of the token', () => {
    const decision = decide(rollOut, named);
    expect(decision).toMatchObject({
      ok: true,
      plan: {
        newSite: {
          mspId: account.mspId,
          accountId: account.id,
          name: 'New site',
          timeZone: 'Europe/Paris',
          enrolledAt: now,
        },
        newKey: { key: { product: 'metered-agent' } },
      },
    });
    expect(
      decision.ok && decision.plan?.siteId === decision.site.id && decision.plan.newSite?.id === decision.site.id,
    ).toBe(true);
  });

  it('answers the same enrolment again, used up, expired or withdrawn as the token may be by then', () => {
    const used = { ...oneTime, site: enrolled, sitePublicKey: signer.publicKey, siteHasKey: true };
    const token = { ...oneTime.token, uses: 1, expiresAt: '2026-02-01T00:00:00.000Z', withdrawnAt: now };
    expect(decide({ ...used, token })).toEqual({ ok: true, site: enrolled, entryAt: now, plan: null });
    expect(
      decide(
        { ...rollOut, token: { ...rollOut.token, uses: 3 }, site: enrolled, sitePublicKey: signer.publicKey },
        named,
      ),
    ).toEqual({ ok: true, site: enrolled, entryAt: now, plan: null });
    // A new token for a site that has this key is a new enrolment.
    expect(decide(used)).toMatchObject({ ok: true, plan: { siteId: site.id } });
  });

  it('lets a ledger that is still empty begin with the first enrolment, and dates an entry of a later one now', () => {
    const enrolledAt = '2026-01-31T22:50:00.000Z';
    const before = { ...enrolled, enrolledAt };
    const used = { ...oneTime, token: { ...oneTime.token, uses: 1 }, site: before, sitePublicKey: signer.publicKey };
    const tokenOfItsOwn = { ...again, site: before, ingestHead: null };
    expect(decide(oneTime)).toMatchObject({ ok: true, entryAt: now });
    expect(decide(rollOut, named)).toMatchObject({ ok: true, entryAt: now });
    expect(decide(used)).toMatchObject({ ok: true, entryAt: enrolledAt, plan: null });
    expect(decide(tokenOfItsOwn)).toMatchObject({ ok: true, entryAt: enrolledAt, plan: { at: now } });
    const head = { seq: 9, hash };
    expect(decide(used, { ...request, head })).toMatchObject({ ok: true, entryAt: now });
    expect(decide(tokenOfItsOwn, { ...request, head })).toMatchObject({ ok: true, entryAt: now });
  });

  it('lets the machine with the ledger that is held enrol again, and one whose ledger goes on from there', () => {
    expect(decide(again, { ...request, head: { seq: 7, hash } })).toMatchObject({
      ok: true,
      plan: { siteId: site.id },
    });
    expect(decide(again, { ...request, head: { seq: 9, hash: 'cd'.repeat(32) } })).toMatchObject({ ok: true });
    // Enrolled, but nothing was ever received: the first machine's data never left it.
    expect(decide({ ...again, ingestHead: null })).toMatchObject({ ok: true });
    expect(decide({ ...again, ingestHead: null }, { ...request, head: { seq: 3, hash } })).toMatchObject({ ok: true });
  });

  const refusals: [string, EnrolmentFacts, EnrolRequest][] = [
    ['TOKEN_UNKNOWN', undefined, request],
    // In order of precedence: each row has everything wrong that the rows below it have.
    [
      'TOKEN_WITHDRAWN',
      { ...rollOut, token: { ...rollOut.token, withdrawnAt: now, expiresAt: now, uses: 10 } },
      request,
    ],
    ['TOKEN_EXPIRED', { ...rollOut, token: { ...rollOut.token, expiresAt: now, uses: 10 } }, request],
    ['TOKEN_USED', { ...rollOut, token: { ...rollOut.token, uses: 10 } }, request],
    ['SITE_NAME_NEEDED', rollOut, { ...request, head: { seq: 3, hash } }],
    ['TIME_ZONE_NEEDED', rollOut, { ...request, siteName: 'New', head: { seq: 3, hash } }],
    ['SITE_HAS_LEDGER', rollOut, { ...named, head: { seq: 3, hash } }],
    [
      'TOKEN_USED',
      { ...oneTime, token: { ...oneTime.token, uses: 1 }, site: enrolled, sitePublicKey: 'K'.repeat(43) },
      request,
    ],
    ['TOKEN_WITHDRAWN', { ...oneTime, site: { ...site, closedAt: now } }, request],
    ['SITE_HAS_LEDGER', oneTime, { ...request, head: { seq: 3, hash } }],
    ['SITE_HAS_LEDGER', again, request],
    ['SITE_HAS_LEDGER', again, { ...request, head: { seq: 6, hash } }],
    ['SITE_HAS_LEDGER', again, { ...request, head: { seq: 7, hash: 'cd'.repeat(32) } }],
    ['SITE_HAS_LEDGER', { ...again, ingestHead: null }, { ...request, head: { seq: 0, hash } }],
  ];

  it.each(refusals)('refuses with %s', (code, facts, asked) => {
    expect(decide(facts, asked)).toMatchObject({ ok: false, code });
  });

  it('is open to those only who hold the key they bring', () => {
    const signed = { ...request, signature: signer.sign(enrolText(request)) };
    expect(isEnrolmentSigned(signed, nodeVerifier)).toBe(true);
    expect(isEnrolmentSigned({ ...signed, token: `${signed.token}0` }, nodeVerifier)).toBe(false);
    expect(isEnrolmentSigned({ ...signed, head: { seq: 1, hash } }, nodeVerifier)).toBe(false);
    expect(isEnrolmentSigned({ ...signed, publicKey: 'K'.repeat(43) }, nodeVerifier)).toBe(false);
  });
});
