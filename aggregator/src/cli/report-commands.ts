/** `rollcall report`: Deployed Agents Reports with the aggregator's own count beside each. */
import { ReportDetail, ReportRow } from '@rollcall/shared/api/report.ts';
import type { KindCounts } from '@rollcall/shared/api/site.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, type Arguments, Limit, limitOption, type ProgramIo, theArgument } from './admin-command.ts';
import { outOption, writeOut } from './file-output.ts';
import type { Column } from './printer.ts';

/** Servers and workstations, as `12 + 40`. */
const counts = (kinds: KindCounts | null): string | null =>
  kinds === null ? null : `${kinds.server} + ${kinds.workstation}`;

const columns: readonly Column<ReportRow>[] = [
  ['MONTH', (row) => row.month],
  ['MSP', (row) => row.mspName],
  ['ACCOUNT', (row) => row.accountName],
  ['SITE', (row) => row.siteName],
  ['STATUS', (row) => row.status],
  ['REPORTED', (row) => counts(row.reported)],
  ['COUNTED', (row) => counts(row.counted)],
  ['REVISION', (row) => row.revision],
  ['SITE ID', (row) => row.siteId],
];

const fields: readonly Column<ReportDetail>[] = [
  ['SITE', (row) => row.siteName],
  ['SITE ID', (row) => row.siteId],
  ['ACCOUNT', (row) => row.accountName],
  ['MSP', (row) => row.mspName],
  ['MONTH', (row) => `${row.month} (${row.timeZone})`],
  ['STATUS', (row) => row.status],
  ['SERVERS REPORTED', (row) => row.reported?.server ?? null],
  ['SERVERS COUNTED', (row) => row.counted.server],
  ['SERVER PEAK AT', (row) => row.report?.peaks.server.at ?? null],
  ['WORKSTATIONS REPORTED', (row) => row.reported?.workstation ?? null],
  ['WORKSTATIONS COUNTED', (row) => row.counted.workstation],
  ['WORKSTATION PEAK AT', (row) => row.report?.peaks.workstation.at ?? null],
  ['ACTIVE AT CLOSE', (row) => counts(row.report?.activeAtClose ?? null)],
  ['REVISION', (row) => row.revision],
  ['SEALED', (row) => row.report?.sealedAt ?? null],
  ['RECEIVED', (row) => row.receivedAt],
  ['SIGNATURE', (row) => row.report?.signature ?? null],
];

const filterOptions = [
  new Option('--month <month>', 'only of this month, such as 2026-02'),
  new Option('--site <site>', 'only of this site'),
  new Option('--msp <organisation>', 'only of this MSP'),
  new Option('--status <status>', 'only these').choices(['agreeing', 'differing', 'missing', 'running']),
];
const Filter = z.object({
  month: z.string().optional(),
  site: z.string().optional(),
  msp: z.string().optional(),
  status: z.string().optional(),
});
const queryOf = ({ month, site, msp, status }: z.infer<typeof Filter>) => ({ month, siteId: site, mspId: msp, status });

export function addReportCommands(program: Command, io: ProgramIo): void {
  const report = program.command('report').description('Deployed Agents Reports of all sites');
  addAdminCommand(report, io, {
    name: 'list',
    summary: 'list reports, missing ones included; figures are servers + workstations',
    options: [...filterOptions, limitOption],
    schema: Filter.extend({ limit: Limit }),
    examples: ['report list --month 2026-02', 'report list --status missing'],
    async run({ client, print, options: { limit, ...filter } }) {
      const { rows, more } = await client.list('/api/v1/reports', ReportRow, queryOf(filter), limit);
      print.rows(rows, columns, more);
    },
  });
  addAdminCommand(report, io, {
    name: 'show <site> <month>',
    summary: "show the report of a site's month; with --json the signed report itself",
    schema: z.object({}),
    run: async ({ client, print, args }) => print.one(await client.get(pathOf(args), ReportDetail), fields),
  });
  addAdminCommand(report, io, {
    name: 'csv [site] [month]',
    summary: "the list of reports as CSV, or every deployment of one site's month",
    options: [...filterOptions, outOption],
    schema: Filter.extend({ out: z.string().optional() }),
    examples: ['report csv --month 2026-02 --out february.csv', 'report csv site_… 2026-02'],
    async run({ client, print, options: { out, ...filter }, args }) {
      const { content } =
        args.given.length === 0
          ? await client.download('/api/v1/reports/csv', queryOf(filter))
          : await client.download(`${pathOf(args)}/csv`);
      await writeOut(print, out, content);
    },
  });
}

const pathOf = (args: Arguments): string =>
  `/api/v1/sites/${encodeURIComponent(theArgument(args))}/reports/${encodeURIComponent(theArgument(args, 1))}`;
