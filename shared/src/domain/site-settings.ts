/** What the aggregator tells a Site Manager about how to behave. */
import { z } from 'zod';

/** Settings of one site; a change travels as a `settings` message and is recorded as `settings-changed`. */
export const SiteSettings = z.object({
  /** Days without a check-in after which an endpoint is removed; 0 = never (domain text, section 2). */
  staleAfterDays: z.int().min(0).max(3650),
});
export type SiteSettings = z.infer<typeof SiteSettings>;

export const defaultSiteSettings: SiteSettings = { staleAfterDays: 30 };
