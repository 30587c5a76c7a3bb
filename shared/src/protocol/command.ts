/** Aggregator → site: something to do, once. The outcome comes back as the ledger entry `command-applied`. */
import { z } from 'zod';
import { CommandId, ProductKeyId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';

export const SiteCommand = z.object({
  id: CommandId,
  /** A site newer or older than the aggregator answers a name it does not know with `refused`, `UNKNOWN_COMMAND`. */
  name: z.string().regex(/^[a-z][a-z-]{0,40}$/),
  keyId: ProductKeyId,
  issuedAt: Instant,
});
export type SiteCommand = z.infer<typeof SiteCommand>;

export const commandNames = ['deactivate-key', 'reactivate-key'] as const;
export type CommandName = (typeof commandNames)[number];

export const CommandMessage = z.object({ kind: z.literal('command'), command: SiteCommand });
export type CommandMessage = z.infer<typeof CommandMessage>;
