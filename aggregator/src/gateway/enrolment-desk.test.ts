import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import { type EnrolRequest, EnrolResponse, enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeDigest, nodeVerifier, systemChance } from '@rollcall/shared/node/crypto.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { SiteLedger } from '../core/testing/site-ledger.ts';
import { EnrolmentDesk } from './enrolment-desk.ts';
import { GatewayRig, newSigner } from './testing/gateway-rig.ts';
import { SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
beforeEach(async () => {
  rig = await GatewayRig.start();
});
afterEach(() => rig.dispose());

function request(token: string, signer: Signer, changes: Partial<EnrolRequest> = {}): EnrolRequest {
  const unsigned = {
    token,
    publicKey: signer.publicKey,
    software: 'test 1',
    hostName: 'host',
    head: { seq: 0, hash: emptyHead.hash },
    ...changes,
  };
  return { ...unsigned, signature: signer.sign(enrolText(unsigned)) };
}

const enrol = (asked: EnrolRequest, address = '127.0.0.1') => rig.gateway.enrol(asked, address);

describe('enrolment at the gateway', () => {
  it('makes sites by a roll-out token, each with a key, and lets them connect', async () => {
    const { text } = await rig.token({ usesMax: 2 });
    for (const siteName of ['First', 'Second']) {
      const signer = newSigner();
      const answer = await enrol(request(text, signer, { siteName, timeZone: 'Europe/Rome' }));
      if (!answer.ok) throw new Error(answer.code);
      expect(EnrolResponse.parse(answer.response)).toMatchObject({
        siteName,
        timeZone: 'Europe/Rome',
        aggregatorPublicKeys: [rig.leasePublicKey],
      });
      const { siteId, serverTime } = answer.response;
      expect(await rig.store.keys.keysOfSite(siteId)).toMatchObject([{ key: { product: 'metered-agent' } }]);
      const ledger = new SiteLedger({ siteId, timeZone: 'Europe/Rome', signer, at: serverTime });
      const client = await SiteClient.join(rig.port, { siteId, signer, head: ledger.head });
      client.append(ledger.entries);
      await client.next('ack');
      await client.close();
    }
    expect(await enrol(request(text, newSigner(), { siteName: 'Third', timeZone: 'Europe/Rome' }))).toMatchObject({
      ok: false,
      code: 'TOKEN_USED',
    });
  });

  it('gives the same answer to the same request, and uses the token once', async () => {
    const { text } = await rig.token({ usesMax: 5 });
    const asked = request(text, newSigner(), { siteName: 'One', timeZone: 'Europe/Rome' });
    const [first, second] = [await enrol(asked), await enrol(asked)];
    const siteId = first.ok ? first.response.siteId : '';
    expect(second).toMatchObject({ ok: true, response: { siteId } });
    const { rows } = await rig.store.tokens.enrolmentTokens(rig.mspScope, {}, { limit: 10 });
    expect(rows).toMatchObject([{ uses: 1 }]);
  });

  it('whose answer is lost over the end of a month begins the ledger in the month that is billed first', async () => {
    const clock = new ManualClock('2026-01-31T22:50:00.000Z');
    const desk = new EnrolmentDesk({
      store: rig.store,
      clock,
      chance: systemChance,
      digest: nodeDigest,
      verifier: nodeVerifier,
      logger: createLogger({ name: 'test', level: 'silent' }),
      aggregatorPublicKeys: [rig.leasePublicKey],
      enrolmentsPerMinuteMax: 10,
    });
    const { text } = await rig.token();
    const signer = newSigner();
    const asked = request(text, signer, { siteName: 'One', timeZone: 'Europe/Rome' });
    await desk.enrol(asked, '127.0.0.1', () => undefined);
    clock.advance(3_600_000);
    const answer = await desk.enrol(asked, '127.0.0.1', () => undefined);
    if (!answer.ok) throw new Error(answer.code);
    const { siteId, timeZone, serverTime } = answer.response;
    const ledger = new SiteLedger({ siteId, timeZone, signer, at: serverTime });
    ledger.sealUntil(clock.now());
    const client = await SiteClient.join(rig.port, { siteId, signer, head: ledger.head });
    client.append(ledger.entries);
    expect(await client.next('ack')).toMatchObject({ seq: 2 });
    const { rows } = await rig.store.reports.reportRows(rig.mspScope, { siteId }, clock.now(), { limit: 10 });
    expect(rows.map(({ month, status }) => [month, status])).toEqual([
      ['2026-02', 'running'],
      ['2026-01', 'agreeing'],
    ]);
  });

  it('gives every one of many at the same time a site of its own', async () => {
    const { text } = await rig.token({ usesMax: 8 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        enrol(request(text, newSigner(), { siteName: `Site ${index}`, timeZone: 'UTC' })),
      ),
    );
    expect(new Set(answers.map((answer) => answer.ok && answer.response.siteId)).size).toBe(8);
    const { rows } = await rig.store.tokens.enrolmentTokens(rig.mspScope, {}, { limit: 10 });
    expect(rows).toMatchObject([{ uses: 8 }]);
  });

  it('refuses without a trace what is not a right request', async () => {
    const { text } = await rig.token({ usesMax: 5 });
    const expired = await rig.token({ expiresAt: '2026-01-01T00:00:00.000Z' });
    const withdrawn = await rig.token({ withdrawnAt: '2026-01-01T00:00:00.000Z' });
    const used = await rig.token({ uses: 1 });
    const place = { siteName: 'New', timeZone: 'Europe/Rome' };
    await enrol(request(text, newSigner(), { ...place, siteName: 'Taken' }));
    const before = rig.dump();
    const signer = newSigner();
    const rows: [string, EnrolRequest][] = [
      ['SIGNATURE_WRONG', { ...request(text, signer, place), signature: 'A'.repeat(86) }],
      ['SIGNATURE_WRONG', { ...request(text, signer, place), publicKey: newSigner().publicKey }],
      ['TOKEN_UNKNOWN', request("rce_'; DROP TABLE sites;-- ", signer, place)],
      ['TOKEN_EXPIRED', request(expired.text, signer, place)],
      ['TOKEN_WITHDRAWN', request(withdrawn.text, signer, place)],
      ['TOKEN_USED', request(used.text, signer, place)],
      ['SITE_NAME_NEEDED', request(text, signer)],
      ['TIME_ZONE_NEEDED', request(text, signer, { siteName: 'New' })],
      ['SITE_NAME_TAKEN', request(text, signer, { ...place, siteName: 'Taken' })],
      ['SITE_HAS_LEDGER', request(text, signer, { ...place, head: { seq: 2, hash: 'a'.repeat(64) } })],
    ];
    for (const [code, asked] of rows) expect(await enrol(asked)).toMatchObject({ ok: false, code });
    expect(rig.dump()).toBe(before);
  });

  it('answers RATE_LIMITED to an address that tries too often, and not to its neighbour', async () => {
    await rig.dispose();
    rig = await GatewayRig.start({ limits: { enrolmentsPerMinuteMax: 2 } });
    const asked = request('rce_00000000000000000000', newSigner());
    for (let times = 0; times < 2; times++)
      expect(await enrol(asked, '2001:db8::1')).toMatchObject({ code: 'TOKEN_UNKNOWN' });
    expect(await enrol(asked, '2001:db8::2')).toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterSeconds: expect.any(Number),
    });
    expect(await enrol(asked, '192.0.2.1')).toMatchObject({ code: 'TOKEN_UNKNOWN' });
  });
});
