/** What commands read from the data folder by themselves, also while the service runs or when it does not. */
import type { EndpointRow } from '@rollcall/shared/api/local.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import type { Reading } from '../core/site-clock.ts';
import type { SiteState } from '../core/site-state.ts';
import { readSiteFile } from '../identity.ts';
import { openSiteReader, type SiteReader } from '../ledger/site-store.ts';

/** Opens the folder's ledger for reading, hands it on, and closes it. @throws RollcallError `NOT_ENROLLED` and the reader's own. */
export function withSiteReader<Value>(dataFolder: string, use: (reader: SiteReader) => Value): Value {
  readSiteFile(dataFolder);
  const reader = openSiteReader(dataFolder);
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

/** The same for work that takes its time. */
export async function withSiteReaderOpen<Value>(
  dataFolder: string,
  use: (reader: SiteReader) => Promise<Value>,
): Promise<Value> {
  readSiteFile(dataFolder);
  const reader = openSiteReader(dataFolder);
  try {
    return await use(reader);
  } finally {
    reader.close();
  }
}

/** Both clocks of this machine now, by which a reader judges what is on disk. */
export const readingNow = (): Reading => ({ wall: systemClock.now(), steadyMs: systemClock.steadyMs() });

/** Every endpoint on the roll: those with an agent deployed first, then those that only registered, each by host name. */
export function endpointRows(state: SiteState): EndpointRow[] {
  const rows: EndpointRow[] = [];
  for (const agent of state.agents.values()) {
    const { endpointId, machineId, hostName, agentKind, origin, agentVersion, deployedAt } = agent;
    const lastHeardAt = state.soft.registrations.get(endpointId)?.lastHeardAt ?? null;
    rows.push({ endpointId, machineId, hostName, kind: agentKind, origin, agentVersion, deployedAt, lastHeardAt });
  }
  for (const { endpointId, machineId, hostName, lastHeardAt } of state.soft.registrations.values())
    if (!state.agents.has(endpointId))
      rows.push({
        endpointId,
        machineId,
        hostName,
        kind: null,
        origin: null,
        agentVersion: null,
        deployedAt: null,
        lastHeardAt,
      });
  const order = ({ kind, hostName, endpointId }: EndpointRow): string =>
    `${kind === null ? 1 : 0} ${hostName} ${endpointId}`;
  return rows.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

/** Reports with what is needed to show them: all revisions, host names of endpoints, the keys the site has had. */
export type ReportShelf = {
  reports: DeployedAgentsReport[];
  hostNames: ReadonlyMap<string, string>;
  siteKeys: ReadonlySet<PublicKey>;
};

export function readReportShelf(reader: SiteReader): ReportShelf {
  const hostNames = new Map<string, string>();
  const siteKeys = new Set<PublicKey>();
  for (const { kind, body } of reader.history()) {
    if (kind === 'agent-deployed' || kind === 'agent-changed') hostNames.set(body.endpointId, body.hostName);
    if (kind === 'site-enrolled') siteKeys.add(body.publicKey);
  }
  return { reports: reader.reports(), hostNames, siteKeys };
}

/** The latest revision of a month's report, or the one asked for. @throws RollcallError `MONTH_NOT_SEALED`, `REVISION_UNKNOWN`. */
export function pickReport(
  reports: readonly DeployedAgentsReport[],
  month: string,
  revision?: number,
): DeployedAgentsReport {
  const ofMonth = reports.filter((report) => report.month === month);
  const latest = ofMonth.at(-1);
  if (latest === undefined)
    throw new RollcallError('MONTH_NOT_SEALED', `there is no report of ${month}`, {
      retryable: false,
      hint: '`rollcall-site report list` shows the months there are; a month is sealed when it has ended',
    });
  const picked = revision === undefined ? latest : ofMonth.find((report) => report.revision === revision);
  if (picked === undefined)
    throw new RollcallError(
      'REVISION_UNKNOWN',
      `the report of ${month} has no revision ${revision}; its latest is ${latest.revision}`,
      {
        retryable: false,
      },
    );
  return picked;
}
