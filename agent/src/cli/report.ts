/** `rollcall-site report`: the Deployed Agents Reports of this site, shown, exported, corrected. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { base32Text } from '@rollcall/shared/domain/id.ts';
import { Month } from '@rollcall/shared/domain/month.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { exportFormat, exportLines } from '@rollcall/shared/ledger/export-file.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { nodeDigest, systemChance } from '@rollcall/shared/node/crypto.ts';
import { writeFileForOthers } from '../durable-file.ts';
import { readSiteFile, signerOf } from '../identity.ts';
import type { SiteReader } from '../ledger/site-store.ts';
import { readEndpointId } from './endpoints.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { OperatorClient } from './operator-client.ts';
import { counted, localTime, type Print, table } from './print.ts';
import { describeReport, reportIsSigned } from './report-text.ts';
import { pickReport, readReportShelf, withSiteReader, withSiteReaderOpen } from './site-disk.ts';

/** Characters of chance in the name of a file that is not whole yet. */
const freshCharacters = 12;

export function listReports(dataFolder: string, options: { json?: boolean }, print: Print): ExitCode {
  const { siteName, timeZone } = readSiteFile(dataFolder);
  const reports = withSiteReader(dataFolder, (reader) => reader.reports());
  // Later revisions stand after what they correct, and the list is by month.
  const sorted = reports.toSorted((a, b) =>
    a.month === b.month ? a.revision - b.revision : a.month < b.month ? -1 : 1,
  );
  const latest = new Map(sorted.map(({ month, revision }) => [month, revision]));
  if (options.json === true) {
    const rows = sorted.map(({ month, revision, peaks, activeAtClose, sealedAt, upTo }) => ({
      month,
      revision,
      latest: latest.get(month) === revision,
      peaks: { server: peaks.server.peak, workstation: peaks.workstation.peak },
      activeAtClose,
      sealedAt,
      upToSeq: upTo.seq,
    }));
    print(JSON.stringify(rows));
    return exitCodes.done;
  }
  if (sorted.length === 0) {
    print(`Site "${siteName}" has no report yet: a month is sealed when it has ended.`);
    return exitCodes.done;
  }
  const rows = sorted.map(({ month, revision, peaks, sealedAt }) => [
    month,
    revision,
    peaks.server.peak,
    peaks.workstation.peak,
    localTime(sealedAt, timeZone),
    latest.get(month) === revision ? '' : 'corrected since',
  ]);
  print(`Site "${siteName}": highest number of agents deployed at one time, by month\n`);
  print(table(['month', 'revision', 'servers', 'workstations', 'sealed', ''], rows));
  return exitCodes.done;
}

export function showReport(
  dataFolder: string,
  monthText: string,
  options: { revision?: number; json?: boolean },
  print: Print,
): ExitCode {
  const month = readMonth(monthText);
  const shelf = withSiteReader(dataFolder, readReportShelf);
  const report = pickReport(shelf.reports, month, options.revision);
  print(options.json === true ? JSON.stringify(report) : describeReport(report, shelf));
  return reportIsSigned(report, shelf) ? exitCodes.done : exitCodes.notGenuine;
}

/**
 * Writes the entries from number 1 up to the latest report of the month, or all. Into a file that is there whole or not at
 * all, or to standard output. @throws RollcallError `MONTH_NOT_SEALED`, `IDENTITY_BROKEN`, `FILE_UNWRITABLE`.
 */
export async function exportReport(
  dataFolder: string,
  monthText: string | undefined,
  options: { all?: boolean; output?: string },
  print: Print,
): Promise<ExitCode> {
  if ((monthText === undefined) === (options.all !== true))
    throw new RollcallError('OPTIONS_WRONG', 'give either a month such as 2026-03 or --all', { retryable: false });
  const month = monthText === undefined ? undefined : readMonth(monthText);
  const site = readSiteFile(dataFolder);
  return withSiteReaderOpen(dataFolder, async (reader) => {
    const { last, publicKey } = endOfExport(reader, month);
    const signer = signerOf(dataFolder, publicKey);
    if (signer === undefined)
      throw new RollcallError(
        'IDENTITY_BROKEN',
        'the private key that these entries were signed with is missing from the data folder',
        {
          retryable: false,
          hint: 'export everything with --all, which is signed by the key in use now',
        },
      );
    const header = {
      format: exportFormat,
      siteId: site.siteId,
      siteName: site.siteName,
      publicKey,
      entries: last,
      exportedAt: systemClock.now(),
    } as const;
    const lines = exportLines(header, entriesUpTo(reader, last), nodeDigest, signer);
    if (options.output === undefined || options.output === '-') {
      await pipeline(Readable.from(lines), process.stdout, { end: false });
      return exitCodes.done;
    }
    writeFileForOthers(options.output, lines, base32Text(systemChance(freshCharacters), freshCharacters));
    print(
      `wrote ${counted(last, 'entry', 'entries')} to ${options.output}; anyone can check it with \`rollcall-site verify\``,
    );
    return exitCodes.done;
  });
}

export async function correctReport(
  dataFolder: string,
  monthText: string,
  options: { exclude: string[]; reason: string },
  print: Print,
): Promise<ExitCode> {
  const month = readMonth(monthText);
  const exclude = options.exclude.map(readEndpointId);
  const report = await new OperatorClient(dataFolder).correctReport({ month, exclude, reason: options.reason });
  const { server, workstation } = report.peaks;
  print(
    `the report of ${month} is now revision ${report.revision}: ${counted(server.peak, 'server')}, ${counted(workstation.peak, 'workstation')}, ` +
      `${counted(report.exclusions.length, 'endpoint')} left out`,
  );
  return exitCodes.done;
}

/** The last entry to export, and the key the site signed with there. */
function endOfExport(reader: SiteReader, month: string | undefined): { last: number; publicKey: string } {
  let publicKey = '';
  let found: { last: number; publicKey: string } | undefined;
  for (const { kind, body, seq } of reader.history()) {
    if (kind === 'site-enrolled') publicKey = body.publicKey;
    const ends =
      month === undefined || ((kind === 'month-sealed' || kind === 'report-corrected') && body.month === month);
    if (ends) found = { last: seq, publicKey };
  }
  if (found === undefined) {
    pickReport([], month ?? '');
    throw new RangeError('a ledger has at least the entry of its enrolment');
  }
  return found;
}

function* entriesUpTo(reader: SiteReader, last: number): Generator<LedgerEntry> {
  for (const entry of reader.entries()) {
    if (entry.seq > last) return;
    yield entry;
  }
}

/** @throws RollcallError `OPTIONS_WRONG`. */
function readMonth(text: string): Month {
  const read = Month.safeParse(text);
  if (read.success) return read.data;
  throw new RollcallError('OPTIONS_WRONG', `${JSON.stringify(text)} is not a month such as 2026-03`, {
    retryable: false,
  });
}
