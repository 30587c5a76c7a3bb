/** Site → aggregator: who I am, proved by a signature of the nonce, and where my ledger stands. */
import { z } from 'zod';
import { SiteId } from '../domain/id.ts';
import { SoftwareVersion } from '../domain/name.ts';
import { canonicalJson } from '../ledger/canonical-json.ts';
import { Hash, Signature } from '../ledger/crypto.ts';

export const WireHead = z.object({ seq: z.int().nonnegative(), hash: Hash });
export type WireHead = z.infer<typeof WireHead>;

export const Hello = z.object({
  kind: z.literal('hello'),
  siteId: SiteId,
  /** Chance drawn at each start of the program: tells a reconnecting site from a second machine with its identity. */
  instanceId: z.string().regex(/^[0-9a-z]{16,32}$/),
  head: WireHead,
  protocol: z.int().positive(),
  software: SoftwareVersion,
  signature: Signature,
});
export type Hello = z.infer<typeof Hello>;

/** The text a site signs: everything in the hello, and the nonce of the challenge it answers. */
export function helloText(hello: Omit<Hello, 'signature' | 'kind'>, nonce: string): string {
  const { siteId, instanceId, head, protocol, software } = hello;
  return `rollcall.hello.v1\n${canonicalJson({ nonce, siteId, instanceId, head, protocol, software })}`;
}
