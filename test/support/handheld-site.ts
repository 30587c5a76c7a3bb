/** A Site Manager that is only a key and a ledger in a test's hand: enrols over HTTP and says on the socket whatever it is told to say. */
import { SiteLedger } from '@rollcall/aggregator/core/testing/site-ledger.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import { generateSigningKey, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { type EnrolRequest, EnrolResponse, enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { sitePaths } from '@rollcall/shared/protocol/version.ts';

export type HandheldSite = { siteId: string; signer: Signer; ledger: SiteLedger };

export const newSigner = (): Signer => signerFromPem(generateSigningKey().privateKeyPem);

/** A request to enrol, signed by the key it brings. */
export function enrolRequest(token: string, signer: Signer): EnrolRequest {
  const unsigned = { token, publicKey: signer.publicKey, head: { seq: emptyHead.seq, hash: emptyHead.hash } };
  return { ...unsigned, software: 'test 1', hostName: 'handheld', signature: signer.sign(enrolText(unsigned)) };
}

export const postEnrol = (url: string, body: unknown): Promise<Response> =>
  fetch(`${url}${sitePaths.enrol}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

export async function enrolByHand(url: string, token: string): Promise<HandheldSite> {
  const signer = newSigner();
  const response = await postEnrol(url, enrolRequest(token, signer));
  const { siteId, timeZone, serverTime } = EnrolResponse.parse(await response.json());
  return { siteId, signer, ledger: new SiteLedger({ siteId, timeZone, signer, at: serverTime }) };
}
