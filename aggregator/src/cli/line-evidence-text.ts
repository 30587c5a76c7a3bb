/** How `rollcall invoice evidence` shows why a line says what it says: the figure and what it rests on, then the endpoints. */
import type { LineEvidence } from '@rollcall/shared/api/invoice.ts';
import type { Column, Printer } from './printer.ts';

type Basis = Pick<LineEvidence['line'], 'basis' | 'revision' | 'countedUpTo'>;
type Endpoint = LineEvidence['endpoints'][number];

export function printEvidence(print: Printer, evidence: LineEvidence): void {
  if (print.json) {
    print.one(evidence, []);
    return;
  }
  print.one(evidence, fields);
  for (const { endpointId, reason } of evidence.report?.exclusions ?? [])
    print.remark(`excluded from the report: ${endpointId}: ${reason}`);
  print.rows(rowsOf(evidence), columns);
}

const fields: readonly Column<LineEvidence>[] = [
  ['SITE', ({ line }) => line.siteName],
  ['KIND', ({ line }) => line.kind],
  ['MONTH', ({ line }) => line.month],
  ['PEAK', ({ peak }) => peak],
  ['AT', ({ peakAt }) => peakAt],
  ['BASIS', ({ line }) => basisText(line)],
  ['BILLED BEFORE', ({ before }) => before && `${before.quantity} (${basisText(before)})`],
  ['CHANGE', ({ before, line }) => (before === null ? null : line.quantity)],
  ['COUNTED HERE', ({ counted }) => figureText(counted)],
  [
    'REPORT',
    ({ report }) => report && `${figureText(report)}, revision ${report.revision}, ledger entry ${report.seq}`,
  ],
  ['REPORT AGREES', ({ report }) => report && report.agreeing],
  [
    'DIFFERENCE',
    ({ difference, report, line }) => {
      if (report === null || line.basis !== 'report') return null;
      return difference === null
        ? 'none: report and ledger name the same endpoints'
        : `${difference.onlyReported.length} only reported, ${difference.onlyHeld.length} only in the ledger`;
    },
  ],
];

function basisText({ basis, revision, countedUpTo }: Basis): string {
  if (basis === 'report') return `signed report, revision ${revision}`;
  if (basis === 'estimate') return `estimate: counted up to ledger entry ${countedUpTo}`;
  return 'withdrawn: the site does not belong to the month any more';
}

const figureText = ({ peak, at }: { peak: number; at: string | null }): string =>
  at === null ? String(peak) : `${peak} at ${at}`;

type Row = Endpoint & { counts: 'yes' | 'new' | 'no longer' };

/** Everybody behind the figure and, on a note, behind the one before it. */
function rowsOf({ endpoints, before }: LineEvidence): Row[] {
  const [now, then] = [idsOf(endpoints), idsOf(before?.endpoints ?? [])];
  return [
    ...endpoints.map(
      (endpoint): Row => ({
        ...endpoint,
        counts: before === null || then.has(endpoint.endpointId) ? 'yes' : 'new',
      }),
    ),
    ...(before?.endpoints ?? [])
      .filter(({ endpointId }) => !now.has(endpointId))
      .map((endpoint): Row => ({ ...endpoint, counts: 'no longer' })),
  ];
}

const idsOf = (endpoints: readonly Endpoint[]): Set<string> => new Set(endpoints.map(({ endpointId }) => endpointId));

const columns: readonly Column<Row>[] = [
  ['ENDPOINT', (row) => row.endpointId],
  ['HOST', (row) => row.hostName],
  ['MACHINE', (row) => row.machineId],
  ['DEPLOYED', (row) => row.deployedAt],
  ['REMOVED', (row) => row.removedAt],
  ['LEDGER ENTRY', (row) => row.deployedSeq],
  ['COUNTS', (row) => row.counts],
];
