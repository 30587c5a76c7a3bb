/** Deployed Agents Reports over HTTP, with the aggregator's own count beside each. */
import { z } from 'zod';
import { SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Month } from '../domain/month.ts';
import { TimeZone } from '../domain/time-zone.ts';
import { DeployedAgentsReport } from '../ledger/report.ts';
import { KindCounts } from './site.ts';

/** `missing`: the month is over and no report came. `running`: the month is not over. */
export const ReportStatus = z.enum(['agreeing', 'differing', 'missing', 'running']);
export type ReportStatus = z.infer<typeof ReportStatus>;

/** One site's month: what it reported, and what was counted here. */
export const ReportRow = z.object({
  siteId: SiteId,
  siteName: z.string(),
  accountId: z.string(),
  accountName: z.string(),
  mspId: z.string(),
  mspName: z.string(),
  month: Month,
  timeZone: TimeZone,
  status: ReportStatus,
  /** Null where no report came. */
  revision: z.int().positive().nullable(),
  reported: KindCounts.nullable(),
  /** The aggregator's own count, as far as the ledger was received. */
  counted: KindCounts,
  receivedAt: Instant.nullable(),
});
export type ReportRow = z.infer<typeof ReportRow>;

/** One revision of a report as it was received: the sealed one is 1, each correction adds 1. */
export const ReportRevision = z.object({
  revision: z.int().positive(),
  /** The ledger entry that brought it. */
  seq: z.int().positive(),
  hash: z.string(),
  /** Whether figures, witness and evidence are those of the aggregator's own count. */
  agreeing: z.boolean(),
  receivedAt: Instant,
  reported: KindCounts,
});
export type ReportRevision = z.infer<typeof ReportRevision>;

/** All of one report: the row, the signed report of the latest revision, and every revision, oldest first. */
export const ReportDetail = ReportRow.extend({
  report: DeployedAgentsReport.nullable(),
  revisions: z.array(ReportRevision),
});
export type ReportDetail = z.infer<typeof ReportDetail>;
