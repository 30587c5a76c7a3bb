/**
 * Leases on the simulated wire: in the form of the signed text, without a signature. Signing and checking costs more than all
 * the rest of a simulated day and has tests of its own (`shared/src/node/lease-token.test.ts`).
 */
import { Lease } from '@rollcall/shared/domain/lease.ts';

export const leaseText = (lease: Lease): string =>
  `simulated.${Buffer.from(JSON.stringify(lease)).toString('base64url')}.unsigned`;

export function readLease(text: string): Lease {
  const claims: unknown = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString('utf8'));
  return Lease.parse(claims);
}
