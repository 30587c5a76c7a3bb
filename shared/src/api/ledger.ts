/** Entries of a site's ledger as the aggregator holds them, over HTTP. */
import { z } from 'zod';
import { Instant } from '../domain/instant.ts';

/** Bodies are as the site wrote them, also of kinds that this aggregator does not know. */
export const HeldEntry = z.object({
  seq: z.int().positive(),
  at: Instant,
  kind: z.string(),
  body: z.record(z.string(), z.unknown()),
  prev: z.string(),
  hash: z.string(),
});
export type HeldEntry = z.infer<typeof HeldEntry>;
