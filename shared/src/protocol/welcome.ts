/** Aggregator → site: admitted; what is held of the ledger, and everything the site should know now. */
import { z } from 'zod';
import { Instant } from '../domain/instant.ts';
import { SiteSettings } from '../domain/site-settings.ts';
import { SiteCommand } from './command.ts';
import { WireHead } from './hello.ts';
import { SignedLease } from './lease.ts';
import { welcomeListMax } from './limits.ts';

export const Welcome = z.object({
  kind: z.literal('welcome'),
  serverTime: Instant,
  /** The highest entry held durably, with its hash; the site goes on from the next. */
  acked: WireHead,
  leases: z.array(SignedLease).max(welcomeListMax),
  settings: SiteSettings,
  commands: z.array(SiteCommand).max(welcomeListMax),
  heartbeatIntervalMs: z.int().min(1_000).max(600_000),
});
export type Welcome = z.infer<typeof Welcome>;
