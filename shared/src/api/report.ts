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

/** All of one report: the row, the signed report of the latest revision, and the number of revisions. */
export const ReportDetail = ReportRow.extend({ report: DeployedAgentsReport.nullable() });
export type ReportDetail = z.infer<typeof ReportDetail>;
