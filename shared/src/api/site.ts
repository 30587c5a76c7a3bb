/** Sites over HTTP, with what the aggregator knows of each Site Manager. */
import { z } from 'zod';
import { AccountId, OrganisationId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Name, Note, SoftwareVersion } from '../domain/name.ts';
import { SiteSettings } from '../domain/site-settings.ts';
import { TimeZone } from '../domain/time-zone.ts';

export const KindCounts = z.object({ server: z.int().nonnegative(), workstation: z.int().nonnegative() });
export type KindCounts = z.infer<typeof KindCounts>;

/** Why a Site Manager was refused: the flags of a site. A finding of the same code is resolved when the flag is lifted. */
export const siteFlags = ['CLONE_SUSPECTED', 'FORK', 'LEDGER_BEHIND', 'ENTRY_REFUSED'] as const;
export type SiteFlag = (typeof siteFlags)[number];

export const Site = z.object({
  id: SiteId,
  mspId: OrganisationId,
  accountId: AccountId,
  /** Unique within its MSP; stands on the report. */
  name: Name,
  /** Fixed once made, so that a site's months follow one another without gap or overlap. */
  timeZone: TimeZone,
  note: Note,
  settings: SiteSettings,
  createdAt: Instant,
  /** Null until a Site Manager enrolled. */
  enrolledAt: Instant.nullable(),
  /** A closed site is billed for the month of its closing and no later one. */
  closedAt: Instant.nullable(),
  software: SoftwareVersion.nullable(),
  lastContactAt: Instant.nullable(),
  ledger: z.object({ seq: z.int().nonnegative() }),
  /** Counted by the aggregator from the ledger as far as it was received. */
  deployed: KindCounts,
  /** One of `siteFlags`: its Site Manager was refused; null when all is well. */
  flag: z.string().nullable(),
});
export type Site = z.infer<typeof Site>;

/** A site as a list shows it: with whether its Site Manager is connected now. */
export const SiteView = Site.extend({ connected: z.boolean() });
export type SiteView = z.infer<typeof SiteView>;

export const SiteDraft = Site.pick({ accountId: true, name: true, timeZone: true, note: true }).extend({
  settings: SiteSettings.optional(),
});
export type SiteDraft = z.infer<typeof SiteDraft>;

export const SiteChange = z.object({ settings: SiteSettings.optional(), note: Note.optional() });
export type SiteChange = z.infer<typeof SiteChange>;

/** A deployed agent, or one that was: an interval the aggregator read from the ledger. */
export const Deployment = z.object({
  endpointId: z.string(),
  hostName: z.string(),
  machineId: z.string(),
  kind: z.enum(['server', 'workstation']),
  origin: z.enum(['managed', 'standalone']),
  agentVersion: z.string(),
  deployedAt: Instant,
  removedAt: Instant.nullable(),
  removedReason: z.string().nullable(),
});
export type Deployment = z.infer<typeof Deployment>;

/** Something the operators should look at; a finding is never deleted, only marked as resolved. */
export const Finding = z.object({
  id: z.string(),
  siteId: SiteId,
  /** One of `siteFlags`, or `REPORT_DIFFERS`, `REPORT_CORRECTED`, `CLOCK_ANOMALY`, `UNKNOWN_ENTRY`. */
  code: z.string(),
  message: z.string(),
  at: Instant,
  resolvedAt: Instant.nullable(),
});
export type Finding = z.infer<typeof Finding>;
