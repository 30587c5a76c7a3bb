/** `rollcall-site endpoints`: who is on the roll, who shall not be, and what a new one shows to come on it. */
import { EndpointId } from '@rollcall/shared/domain/id.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { joinCode, readSiteFile } from '../identity.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { OperatorClient } from './operator-client.ts';
import { counted, localTime, localTimeOr, type Print, table } from './print.ts';
import { endpointRows, readingNow, withSiteReader } from './site-disk.ts';

export function listEndpoints(dataFolder: string, options: { json?: boolean }, print: Print): ExitCode {
  const { rows, timeZone, siteName } = withSiteReader(dataFolder, (reader) => {
    const state = reader.load(readingNow());
    return { rows: endpointRows(state), timeZone: state.identity.timeZone, siteName: state.identity.siteName };
  });
  if (options.json === true) {
    print(JSON.stringify(rows));
    return exitCodes.done;
  }
  const deployed = rows.filter(({ kind }) => kind !== null);
  const waiting = rows.length - deployed.length;
  print(
    `Site "${siteName}": ${counted(deployed.length, 'deployed agent')}${waiting === 0 ? '' : `, ${waiting} registered without one`}`,
  );
  if (rows.length === 0) {
    print('\nNo endpoint has registered yet: give agents the code that `rollcall-site endpoints join-code` shows.');
    return exitCodes.done;
  }
  const head = ['endpoint', 'host', 'kind', 'origin', 'version', 'deployed', 'last heard of'];
  const cells = rows.map((row) => [
    row.endpointId,
    row.hostName,
    row.kind ?? '-',
    row.origin ?? '-',
    row.agentVersion ?? '-',
    row.deployedAt === null ? '-' : localTime(row.deployedAt, timeZone),
    localTimeOr(row.lastHeardAt, timeZone, 'never'),
  ]);
  print(`\n${table(head, cells)}\n\nTimes are those of ${timeZone}.`);
  return exitCodes.done;
}

export const removalReasons = ['replaced', 'operator'] as const;

/** The removal counts from now on; what was deployed until now stays counted. */
export async function removeEndpoint(
  dataFolder: string,
  endpoint: string,
  reason: (typeof removalReasons)[number],
  print: Print,
): Promise<ExitCode> {
  const endpointId = readEndpointId(endpoint);
  await new OperatorClient(dataFolder).removeEndpoint({ endpointId, reason });
  print(`removed ${endpointId} (reason: ${reason}); if an agent there checks in again, it is deployed again`);
  return exitCodes.done;
}

export function showJoinCode(dataFolder: string, print: Print): ExitCode {
  readSiteFile(dataFolder);
  print(joinCode(dataFolder));
  return exitCodes.done;
}

/** @throws RollcallError `OPTIONS_WRONG`. */
export function readEndpointId(text: string): string {
  const read = EndpointId.safeParse(text);
  if (read.success) return read.data;
  throw new RollcallError('OPTIONS_WRONG', `${JSON.stringify(text)} is not the identifier of an endpoint`, {
    retryable: false,
    hint: '`rollcall-site endpoints` shows them; they begin with ep_',
  });
}
