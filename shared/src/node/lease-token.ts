/** Leases as JWS (RFC 7515): made by the aggregator, checked by the site. `alg` and `typ` are pinned, nothing else is accepted. */
import { createPrivateKey } from 'node:crypto';
import { compactVerify, CompactSign, errors } from 'jose';
import { Lease } from '../domain/lease.ts';
import { type Outcome, refuse } from '../domain/problem.ts';
import type { PublicKey } from '../ledger/crypto.ts';
import { publicKeyObject } from './crypto.ts';

const leaseType = 'rollcall-lease+jwt';

export type LeaseSigner = (lease: Lease) => Promise<string>;

/** A signer of leases from a PKCS #8 PEM of an Ed25519 key. */
export function leaseSignerFromPem(privateKeyPem: string): LeaseSigner {
  const key = createPrivateKey(privateKeyPem);
  return (lease) =>
    new CompactSign(new TextEncoder().encode(JSON.stringify(lease)))
      .setProtectedHeader({ alg: 'EdDSA', typ: leaseType })
      .sign(key);
}

/** Checks a lease against the aggregator's keys. `LEASE_SIGNATURE_WRONG` or `LEASE_MALFORMED`. */
export async function verifyLease(
  token: string,
  aggregatorKeys: readonly PublicKey[],
): Promise<Outcome<{ lease: Lease }, 'LEASE_SIGNATURE_WRONG' | 'LEASE_MALFORMED'>> {
  for (const publicKey of aggregatorKeys) {
    try {
      const { payload, protectedHeader } = await compactVerify(token, publicKeyObject(publicKey), {
        algorithms: ['EdDSA'],
      });
      if (protectedHeader.typ !== leaseType) return refuse('LEASE_MALFORMED', 'the token is signed but is not a lease');
      const claims: unknown = JSON.parse(new TextDecoder().decode(payload));
      const lease = Lease.safeParse(claims);
      return lease.success
        ? { ok: true, lease: lease.data }
        : refuse('LEASE_MALFORMED', 'the lease does not have the form of one');
    } catch (error) {
      if (error instanceof SyntaxError) return refuse('LEASE_MALFORMED', 'the lease is not JSON');
      if (!(error instanceof errors.JOSEError || error instanceof TypeError)) throw error;
    }
  }
  return refuse('LEASE_SIGNATURE_WRONG', 'the lease is not signed by this aggregator');
}
