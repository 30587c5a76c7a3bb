/** Aggregator → site, first on the socket: what to sign. No clock is needed to answer it (architecture, decision 4). */
import { z } from 'zod';
import { Instant } from '../domain/instant.ts';

export const Challenge = z.object({
  kind: z.literal('challenge'),
  nonce: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  serverTime: Instant,
  protocolMin: z.int().positive(),
  protocolMax: z.int().positive(),
});
export type Challenge = z.infer<typeof Challenge>;
