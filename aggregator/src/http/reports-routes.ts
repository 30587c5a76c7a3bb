/** Deployed Agents Reports over HTTP, with the aggregator's own count beside each; also as CSV. */
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { ReportDetail, ReportRow, ReportStatus } from '@rollcall/shared/api/report.ts';
import { OrganisationId, SiteId } from '@rollcall/shared/domain/id.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { Month, monthPeriod } from '@rollcall/shared/domain/month.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { reportCsv, reportListCsv } from '../delivery/report-csv.ts';
import type { RouteDeps } from './context.ts';
import { deploymentsMax, evidenceTooLarge } from './line-evidence.ts';
import type { Api } from './operation.ts';
import { pagesOf, wholeText } from './whole-list.ts';

const tag = 'reports';
const csv = 'text/csv; charset=utf-8';
const Filter = z.object({
  month: Month.optional(),
  siteId: SiteId.optional(),
  mspId: OrganisationId.optional(),
  status: ReportStatus.optional(),
});
const ReportParams = z.object({ siteId: SiteId, month: Month });
const noSuchReport = refuse('NOT_FOUND', 'this site has no such month');

/** Rows of the list that one file holds: a month of the largest house, five times over. */
const csvRowsMax = 50_000;

export function reportRoutes(api: Api, { store }: Pick<RouteDeps, 'store'>): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/reports',
      action: 'report.read',
      tag,
      summary: 'Lists reports, one row a site and month, missing ones included',
      description:
        'By status, twelve months are looked through for one page: it may be short or empty while nextCursor is not null. The list ends where nextCursor is null.',
      query: PageQuery.extend(Filter.shape),
      answer: pageOf(ReportRow),
    },
    async ({ caller, now, query: { limit, cursor, ...filter } }) => ({
      ok: true,
      answer: await store.reports.reportRows(caller.scope, filterOf(filter), now, { limit, cursor }),
    }),
  );

  api.file(
    {
      method: 'get',
      path: '/api/v1/reports/csv',
      action: 'report.read',
      tag,
      summary: 'The list of reports as CSV',
      query: Filter,
      files: [csv],
      refusals: ['TOO_MANY_ROWS'],
    },
    async ({ caller, now, query }) => {
      const pages = pagesOf((page) => store.reports.reportRows(caller.scope, filterOf(query), now, page));
      const content = await wholeText(pages, csvRowsMax, reportListCsv);
      if (content === undefined)
        return refuse('TOO_MANY_ROWS', `the list has more than ${csvRowsMax} rows`, 'ask for one month, or one MSP');
      return {
        ok: true,
        file: {
          mediaType: csv,
          name: `deployed-agents-reports${query.month === undefined ? '' : `-${query.month}`}.csv`,
          content,
        },
      };
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/sites/{siteId}/reports/{month}',
      action: 'report.read',
      tag,
      summary: 'Shows the report of a site’s month: the signed report in force, and all its revisions',
      params: ReportParams,
      answer: ReportDetail,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, now }) => {
      const detail = await detailOf(caller.scope, params.siteId, params.month, now);
      return detail === undefined ? noSuchReport : { ok: true, answer: detail };
    },
  );

  api.file(
    {
      method: 'get',
      path: '/api/v1/sites/{siteId}/reports/{month}/csv',
      action: 'report.read',
      tag,
      summary: 'The report of a site’s month as CSV: one row a deployment, with who stood at the peak',
      params: ReportParams,
      files: [csv],
      refusals: ['NOT_FOUND', 'EVIDENCE_TOO_LARGE'],
    },
    async ({ caller, params, now }) => {
      const detail = await detailOf(caller.scope, params.siteId, params.month, now);
      if (detail === undefined) return noSuchReport;
      const { start, end } = detail.report?.period ?? monthPeriod(detail.month, detail.timeZone);
      const deployments = await store.reports.intervals(detail.siteId, start, end, deploymentsMax);
      if (deployments.length >= deploymentsMax) return evidenceTooLarge(detail.siteId, detail.month);
      return {
        ok: true,
        file: {
          mediaType: csv,
          name: `deployed-agents-${detail.month}-${detail.siteId}.csv`,
          content: reportCsv(detail, deployments),
        },
      };
    },
  );

  async function detailOf(scope: Scope, siteId: string, month: Month, now: Instant): Promise<ReportDetail | undefined> {
    const { rows } = await store.reports.reportRows(scope, { siteId, month }, now, { limit: 1 });
    const row = rows[0];
    const held = row === undefined ? undefined : await store.reports.revisions(scope, siteId, month);
    if (row === undefined || held === undefined) return undefined;
    // A report that arrived between the two reads is not part of an answer whose row says that it is missing.
    const revisions = held.filter(({ revision }) => revision <= (row.revision ?? 0));
    return {
      ...row,
      report: revisions.at(-1)?.report ?? null,
      revisions: revisions.map(({ revision, seq, hash, agreeing, receivedAt, report }) => ({
        revision,
        seq,
        hash,
        agreeing,
        receivedAt,
        reported: { server: report.peaks.server.peak, workstation: report.peaks.workstation.peak },
      })),
    };
  }
}

/** The store's filter says `undefined` where the query says nothing. */
const filterOf = ({ month, siteId, mspId, status }: z.infer<typeof Filter>) => ({ month, siteId, mspId, status });
