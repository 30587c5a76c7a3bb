/** A Deployed Agents Report as a person reads it. */
import { agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { type DeployedAgentsReport, isSignedBy } from '@rollcall/shared/ledger/report.ts';
import { nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { fingerprint } from '../identity.ts';
import { counted, labelled, localTime, localTimeOr, table } from './print.ts';
import type { ReportShelf } from './site-disk.ts';

/** Signed by a key that this site's ledger says was its own. */
export const reportIsSigned = (report: DeployedAgentsReport, { siteKeys }: Pick<ReportShelf, 'siteKeys'>): boolean =>
  siteKeys.has(report.publicKey) && isSignedBy(report, report.publicKey, nodeVerifier);

const plural = { server: 'servers', workstation: 'workstations' } as const;

export function describeReport(report: DeployedAgentsReport, shelf: ReportShelf): string {
  const { timeZone, period, peaks, activeAtClose, exclusions, upTo } = report;
  const hostOf = (endpointId: string): string => shelf.hostNames.get(endpointId) ?? '(unknown)';
  const latest = shelf.reports.findLast(({ month }) => month === report.month)?.revision ?? report.revision;
  const revision =
    report.revision === latest
      ? `${report.revision}${report.revision === 1 ? '' : ' (corrected)'}`
      : `${report.revision} of ${latest} (corrected since)`;
  const parts = [
    `Deployed Agents Report for ${report.month}`,
    labelled([
      ['site', `${report.siteName} (${report.siteId})`],
      ['time zone', timeZone],
      ['period', `${localTime(period.start, timeZone)} to ${localTime(period.end, timeZone)}`],
      ['revision', revision],
      ['sealed', localTime(report.sealedAt, timeZone)],
      ['computed from', `entries 1 to ${upTo.seq} of the ledger`],
      ['active at close', `${kindCounts(activeAtClose)} (heard of in the last 24 h of the period)`],
      ['signature', signatureText(report, shelf)],
    ]),
    'Highest number of agents deployed at one time',
    table(
      ['kind', 'peak', 'first reached'],
      agentKinds.map((kind) => [plural[kind], peaks[kind].peak, localTimeOr(peaks[kind].at, timeZone, '-')]),
    ),
  ];
  for (const kind of agentKinds) {
    const { peak, at, endpoints } = peaks[kind];
    if (peak === 0 || at === null) continue;
    const rows = endpoints.map((endpointId) => [hostOf(endpointId), endpointId]).toSorted(byFirst);
    parts.push(`The ${counted(peak, kind)} deployed at ${localTime(at, timeZone)}`, table(['host', 'endpoint'], rows));
  }
  if (exclusions.length > 0)
    parts.push(
      'Left out by correction',
      table(
        ['host', 'endpoint', 'reason'],
        exclusions.map(({ endpointId, reason }) => [hostOf(endpointId), endpointId, reason]),
      ),
    );
  return parts.join('\n\n');
}

const kindCounts = (counts: { server: number; workstation: number }): string =>
  `${counted(counts.server, 'server')}, ${counted(counts.workstation, 'workstation')}`;

const byFirst = ([a = '']: readonly string[], [b = '']: readonly string[]): number => (a < b ? -1 : Number(a > b));

function signatureText(report: DeployedAgentsReport, shelf: ReportShelf): string {
  return reportIsSigned(report, shelf)
    ? `OK, by the site’s key ${fingerprint(report.publicKey)}`
    : 'WRONG: the report was changed, or another key signed it';
}
