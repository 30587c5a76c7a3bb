/** Aggregator → site: a lease, signed. The claims are `domain/lease.ts`; signing and checking is `node/lease-token.ts`. */
import { z } from 'zod';

/** A JWS in compact form (RFC 7515), `alg` EdDSA, `typ` rollcall-lease+jwt. */
export const SignedLease = z
  .string()
  .max(2000)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);

export const LeaseMessage = z.object({ kind: z.literal('lease'), lease: SignedLease });
export type LeaseMessage = z.infer<typeof LeaseMessage>;
