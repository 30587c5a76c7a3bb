import type { Deployment } from '@rollcall/shared/api/site.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { describe, expect, it } from 'vitest';
import { reportCsv, reportCsvColumns, reportListCsv, reportListCsvColumns } from './report-csv.ts';

const row = {
  siteId: 'site_1',
  siteName: '=Site',
  accountId: 'acc_1',
  accountName: 'Account',
  mspId: 'org_1',
  mspName: 'MSP',
  month: '2026-03',
  timeZone: 'Europe/Rome',
  status: 'agreeing',
  revision: 2,
  reported: { server: 1, workstation: 0 },
  counted: { server: 2, workstation: 0 },
  receivedAt: '2026-04-01T00:00:05.000Z',
} as const;

const at = '2026-03-10T00:00:00.000Z';
const report: DeployedAgentsReport = {
  siteId: row.siteId,
  siteName: row.siteName,
  month: row.month,
  timeZone: row.timeZone,
  period: { start: '2026-02-28T23:00:00.000Z', end: '2026-03-31T22:00:00.000Z' },
  revision: 2,
  peaks: { server: { peak: 1, at, endpoints: ['ep_a'] }, workstation: { peak: 0, at: null, endpoints: [] } },
  activeAtClose: { server: 1, workstation: 0 },
  upTo: { seq: 9, hash: '0' },
  evidenceHash: '0',
  exclusions: [{ endpointId: 'ep_b', reason: 'replaced hardware' }],
  sealedAt: '2026-03-31T22:00:00.000Z',
  publicKey: '',
  signature: '',
};

const deployment = (
  endpointId: string,
  kind: Deployment['kind'],
  deployedAt: string,
  removedAt: string | null,
): Deployment => ({
  endpointId,
  hostName: `-${endpointId}`,
  machineId: 'machine-1',
  kind,
  origin: 'managed',
  agentVersion: '1.2.3',
  deployedAt,
  removedAt,
  removedReason: null,
});

async function* one<Row>(rows: Row[]): AsyncGenerator<Row[]> {
  yield rows;
}

describe('the list of reports as CSV', () => {
  it('has one row a site and month, with empty cells where no report came', async () => {
    const missing = { ...row, status: 'missing' as const, revision: null, reported: null, receivedAt: null };
    let text = '';
    for await (const piece of reportListCsv(one([row, missing]))) text += piece;
    expect(text.split('\r\n')).toEqual([
      `\u{feff}${reportListCsvColumns.join(',')}`,
      `2026-03,org_1,MSP,acc_1,Account,site_1,'=Site,Europe/Rome,agreeing,2,1,0,2,0,2026-04-01T00:00:05.000Z`,
      `2026-03,org_1,MSP,acc_1,Account,site_1,'=Site,Europe/Rome,missing,,,,2,0,`,
      '',
    ]);
  });
});

describe('one report as CSV', () => {
  const deployments = [
    deployment('ep_a', 'server', '2026-03-01T00:00:00.000Z', null),
    // Before the peak, on the same endpoint: not what was billed.
    deployment('ep_a', 'server', '2026-02-01T00:00:00.000Z', '2026-02-28T23:30:00.000Z'),
    deployment('ep_b', 'server', '2026-03-02T00:00:00.000Z', null),
    deployment('ep_c', 'workstation', at, at),
  ];
  const cells = (detail: Parameters<typeof reportCsv>[0]) =>
    reportCsv(detail, deployments)
      .split('\r\n')
      .slice(1, -1)
      .map((line) => line.split(','));
  const column = (name: (typeof reportCsvColumns)[number]) => reportCsvColumns.indexOf(name);

  it('tells which deployments stand behind the peak and which were excluded', () => {
    const rows = cells({ ...row, report });
    expect(
      rows.map((cell) => [
        cell[column('endpoint_id')],
        cell[column('at_peak')],
        cell[column('excluded')],
        cell[column('peak')],
      ]),
    ).toEqual([
      ['ep_a', 'yes', '', '1'],
      ['ep_a', 'no', '', '1'],
      ['ep_b', 'no', 'replaced hardware', '1'],
      ['ep_c', 'no', '', '0'],
    ]);
    expect(rows[0]?.[column('host_name')]).toBe(`'-ep_a`);
  });

  it('has the figures of both kinds, and whose they are, also where nothing was deployed', () => {
    const names = (cell: readonly string[]) =>
      (['msp_id', 'msp', 'account_id', 'account', 'site', 'status', 'revision'] as const).map(
        (name) => cell[column(name)],
      );
    const quiet = { ...report, peaks: { ...report.peaks, server: { peak: 0, at: null, endpoints: [] } } };
    const file = reportCsv({ ...row, counted: { server: 0, workstation: 0 }, report: quiet }, []);
    const rows = file
      .split('\r\n')
      .slice(1, -1)
      .map((line) => line.split(','));
    expect(rows).toHaveLength(2);
    for (const cell of rows) {
      expect(cell).toHaveLength(reportCsvColumns.length);
      expect(names(cell)).toEqual(['org_1', 'MSP', 'acc_1', 'Account', `'=Site`, 'agreeing', '2']);
      expect(cell[column('endpoint_id')]).toBe('');
    }
    expect(
      rows.map((cell) => (['kind', 'peak', 'counted', 'active_at_close'] as const).map((name) => cell[column(name)])),
    ).toEqual([
      ['server', '0', '0', '1'],
      ['workstation', '0', '0', '0'],
    ]);
  });

  it('has a row for a kind of which nothing was deployed beside the other', () => {
    const rows = reportCsv({ ...row, report }, deployments.slice(0, 1))
      .split('\r\n')
      .slice(1, -1);
    expect(rows.map((line) => [line.split(',')[column('kind')], line.split(',')[column('endpoint_id')]])).toEqual([
      ['server', 'ep_a'],
      ['workstation', ''],
    ]);
  });

  it('leaves the peak empty while there is no report', () => {
    const rows = cells({ ...row, status: 'missing', revision: null, reported: null, report: null });
    expect(rows.map((cell) => [cell[column('at_peak')], cell[column('peak')]])).toEqual(
      deployments.map(() => ['', '']),
    );
  });
});
