// The Deployed Agents Reports: what each site reported for a month, beside what was counted here.
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import type { ReportRow, ReportStatus } from '@rollcall/shared/api/report.ts';
import { useConnection } from '../api/connection.ts';
import { reports, reportsCsvPath } from '../api/resources.ts';
import { useRowList } from '../api/row-list.ts';
import { DocumentDownloads } from '../components/document-downloads.tsx';
import { ListView } from '../components/list-view.tsx';
import { type Column, Figure, Nothing, TwoLines } from '../components/row-table.tsx';
import { StandingTag } from '../components/standing-tag.tsx';
import { TimeAgo } from '../components/time-ago.tsx';
import type { Standing } from '../components/tone.ts';
import { monthName } from '../format/month-name.ts';

const standings: Record<ReportStatus, Standing> = {
  agreeing: { tone: 'good', label: 'Agreeing' },
  differing: { tone: 'bad', label: 'Differing' },
  missing: { tone: 'warn', label: 'Missing' },
  running: { tone: 'calm', label: 'Running' },
};

const notReported: Record<ReportStatus, string> = {
  agreeing: 'Not reported',
  differing: 'Not reported',
  missing: 'The month is over and no report came',
  running: 'The report comes when the month is over',
};

const figures = (group: string, kind: AgentKind): Column<ReportRow>[] => [
  {
    group,
    title: 'Reported',
    align: 'end',
    cell: ({ reported, counted, status }) =>
      reported === null ? (
        <Nothing why={notReported[status]} />
      ) : (
        <Figure value={reported[kind]} striking={reported[kind] !== counted[kind]} />
      ),
  },
  { group, title: 'Counted', align: 'end', cell: ({ counted }) => <Figure value={counted[kind]} /> },
];

export function ReportsPage() {
  const { organisation } = useConnection();
  const list = useRowList(reports);
  const isMsp = organisation.kind === 'msp';

  const columns: Column<ReportRow>[] = [
    { title: 'Site', cell: (row) => <TwoLines first={row.siteName} second={row.timeZone} /> },
    {
      title: 'Account',
      wide: true,
      cell: (row) => (isMsp ? row.accountName : <TwoLines first={row.accountName} second={row.mspName} />),
    },
    { title: 'Month', compact: true, cell: ({ month }) => monthName(month) },
    { title: 'Status', compact: true, cell: ({ status }) => <StandingTag {...standings[status]} /> },
    ...figures('Servers', 'server'),
    ...figures('Workstations', 'workstation'),
    {
      title: 'Received',
      compact: true,
      cell: ({ receivedAt, revision, status }) =>
        receivedAt === null ? (
          <Nothing why={notReported[status]} />
        ) : (
          <TwoLines
            first={<TimeAgo instant={receivedAt} nowMs={list.answeredAtMs} />}
            second={revision !== null && revision > 1 && `revision ${revision}`}
          />
        ),
    },
  ];

  return (
    <ListView
      title="Deployed Agents Reports"
      about="The month’s peak of deployed agents: what the site reported, beside what was counted here."
      list={list}
      columns={columns}
      action={
        <DocumentDownloads
          documents={[
            { format: 'CSV', title: 'all reports', path: reportsCsvPath, fileName: 'deployed-agents-reports.csv' },
          ]}
        />
      }
      keyOf={({ siteId, month }) => `${siteId} ${month}`}
      empty={{
        title: 'No reports yet',
        next: 'A site stands here from its first contact on. Enrol a Site Manager; its first report comes by itself when the month is over.',
      }}
    />
  );
}
