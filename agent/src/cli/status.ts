/** `rollcall-site status`: how the site stands; asked of the running service, or read from its disk when it does not run. */
import type { SiteStatus } from '@rollcall/shared/api/local.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { previewStart } from '../core/preview.ts';
import { siteStatus } from '../core/site-status.ts';
import { readSiteFile } from '../identity.ts';
import { software } from '../software.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { OperatorClient } from './operator-client.ts';
import { counted, labelled, localTime, localTimeOr, type Print, table } from './print.ts';
import { readingNow, withSiteReader } from './site-disk.ts';

export async function statusCommand(dataFolder: string, options: { json?: boolean }, print: Print): Promise<ExitCode> {
  const running = await askService(dataFolder);
  const status = running ?? readDisk(dataFolder);
  const isRunning = running !== undefined;
  print(options.json === true ? JSON.stringify({ running: isRunning, ...status }) : describeStatus(status, isRunning));
  return isRunning ? exitCodes.done : exitCodes.notRunning;
}

async function askService(dataFolder: string): Promise<SiteStatus | undefined> {
  try {
    return await new OperatorClient(dataFolder).status();
  } catch (error) {
    if (error instanceof RollcallError && error.code === 'SERVICE_NOT_RUNNING') return undefined;
    throw error;
  }
}

function readDisk(dataFolder: string): SiteStatus {
  const { aggregatorUrl } = readSiteFile(dataFolder);
  return withSiteReader(dataFolder, (reader) => {
    const reading = readingNow();
    const state = reader.load(reading);
    const { seq } = state.head;
    // Leases ran out, months ended and machines fell silent whether or not the service was there to write it down.
    previewStart(state, reading, nodeDigest);
    const status = siteStatus(state, reading, { aggregatorUrl, software });
    return { ...status, ledger: { ...status.ledger, seq } };
  });
}

function describeStatus(status: SiteStatus, isRunning: boolean): string {
  const { timeZone, ledger, deployed, active, peakSoFar, settings } = status;
  const waiting = ledger.seq - ledger.acknowledgedSeq;
  const time = (instant: string): string => localTime(instant, timeZone);
  const parts = [
    `Site "${status.siteName}" (${status.siteId})`,
    labelled([
      ['service', isRunning ? `running, ${status.software}` : 'NOT RUNNING; by its disk and the clock of this machine'],
      ['aggregator', `${status.aggregatorUrl}, ${status.connected ? 'connected' : 'not connected'}`],
      ['last contact', localTimeOr(status.lastContactAt, timeZone, 'never')],
      [
        'ledger',
        `${counted(ledger.seq, 'entry', 'entries')}, ${waiting === 0 ? 'all held by the aggregator' : `${waiting} still to be sent`}`,
      ],
      ['deployed now', kindCounts(deployed)],
      ['active', `${kindCounts(active)} (heard of in the last 24 h)`],
      [`peak of ${status.month}`, `${kindCounts(peakSoFar)} so far`],
      ['stale after', settings.staleAfterDays === 0 ? 'never' : counted(settings.staleAfterDays, 'day')],
      ['time', `${time(status.now)} (${timeZone})`],
    ]),
    'Product keys',
    status.keys.length === 0
      ? '  none with a lease yet: keys come from the portal at the next contact'
      : table(
          ['key', 'product', 'state', 'lease until'],
          status.keys.map((key) => [`…${key.keyHint}`, key.product, key.state, time(key.leaseUntil)]),
        ),
  ];
  if (!isRunning)
    parts.push(
      'The service does not run: start it with `rollcall-site run`, or by the service manager of this machine.\n' +
        'What stands here is how it would find things now. Contact, and with it keys, come back by themselves once it runs.',
    );
  if (isRunning && status.conditions.length === 0) parts.push('All is well.');
  if (status.conditions.length > 0)
    parts.push(
      'To see to, worst first',
      labelled(
        status.conditions.map(
          ({ code, message, since }) => [code, since === null ? message : `${message} (since ${time(since)})`] as const,
        ),
      ),
    );
  return parts.join('\n\n');
}

const kindCounts = (counts: { server: number; workstation: number }): string =>
  `${counted(counts.server, 'server')}, ${counted(counts.workstation, 'workstation')}`;
