/** `rollcall-site verify`: are these files what a site wrote? Needs neither network nor data folder. */
import { createReadStream } from 'node:fs';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { type BrokenExport, ExportCheck, type VerifiedExport } from '@rollcall/shared/ledger/export-check.ts';
import { PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { fingerprint } from '../identity.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { labelled, type Print, table } from './print.ts';

export type VerifyOptions = { publicKey?: string; json?: boolean };

/**
 * Checks every file, and says of each what it is; done where all are genuine. A file is a path, or `-` for standard input.
 * @throws RollcallError `FILE_UNREADABLE` once the others were checked, `KEY_MALFORMED`.
 */
export async function verifyCommand(files: readonly string[], options: VerifyOptions, print: Print): Promise<ExitCode> {
  const expectedKey = options.publicKey === undefined ? undefined : readKeyOption(options.publicKey);
  let exitCode: ExitCode = exitCodes.done;
  let unreadable: RollcallError | undefined;
  for (const [index, file] of files.entries()) {
    const name = file === '-' ? 'standard input' : file;
    let verdict: VerifiedExport | BrokenExport;
    try {
      verdict = await checkFile(file, expectedKey);
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      unreadable ??= error;
      continue;
    }
    if (!verdict.ok) exitCode = exitCodes.notGenuine;
    if (options.json === true) print(JSON.stringify({ file, ...asJson(verdict) }));
    else {
      const said = verdict.ok ? describeYes(name, verdict, expectedKey !== undefined) : describeNo(name, verdict);
      print(index === 0 ? said : `\n${said}`);
    }
  }
  if (unreadable !== undefined) throw unreadable;
  return exitCode;
}

async function checkFile(file: string, expectedKey: PublicKey | undefined): Promise<VerifiedExport | BrokenExport> {
  const check = new ExportCheck(nodeDigest, nodeVerifier);
  try {
    const chunks: AsyncIterable<Buffer> = file === '-' ? process.stdin : createReadStream(file);
    for await (const chunk of chunks) if (!check.push(chunk)) break;
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    const why = readErrors['code' in cause ? String(cause.code) : ''] ?? cause.message;
    throw new RollcallError('FILE_UNREADABLE', `cannot read ${file}: ${why}`, { retryable: false, cause });
  }
  return check.finish(expectedKey);
}

const readErrors: Record<string, string> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not',
};

function readKeyOption(text: string): PublicKey {
  const read = PublicKey.safeParse(text);
  if (read.success) return read.data;
  throw new RollcallError(
    'KEY_MALFORMED',
    '--public-key takes the 43 characters that the portal shows as the public key of the site',
    {
      retryable: false,
    },
  );
}

function describeYes(file: string, { header, head, reports }: VerifiedExport, keyGiven: boolean): string {
  const facts = labelled([
    ['site', `${header.siteName} (${header.siteId})`],
    ['signed by', `${header.publicKey}${keyGiven ? ' (the key you gave)' : ''}`],
    ['fingerprint', fingerprint(header.publicKey)],
    ['entries', `1 to ${head.seq}; the last of ${head.at}`],
    ['exported', header.exportedAt],
    ['checked', 'form, chain, signatures; peaks and evidence of every report recounted from the entries'],
  ]);
  const rows = reports.map(({ month, revision, peaks }) => [
    month,
    revision,
    peaks.server.peak,
    peaks.workstation.peak,
  ]);
  const months =
    reports.length === 0
      ? '  no month is sealed in it yet'
      : table(['month', 'revision', 'servers', 'workstations'], rows);
  const caution = keyGiven
    ? ''
    : '\n\nWhoever changes a whole file can sign it with a key of their own: compare the key with the one the portal\nshows for this site, or give it with --public-key.';
  return `yes: ${file} is what the site wrote, unchanged\n\n${facts}\n\nDeployed Agents Reports (highest number deployed at one time)\n\n${months}${caution}`;
}

function describeNo(file: string, broken: BrokenExport): string {
  const where = broken.seq === undefined ? `line ${broken.line}` : `entry ${broken.seq} (line ${broken.line})`;
  const first = broken.seq === undefined ? 'the first thing wrong' : 'the first wrong entry';
  return `no: ${file} is not what the site wrote\n\n${labelled([
    [first, where],
    ['what is wrong', `${broken.message} (${broken.code})`],
  ])}`;
}

function asJson(verdict: VerifiedExport | BrokenExport): object {
  if (!verdict.ok) return verdict;
  const { header, head } = verdict;
  const reports = verdict.reports.map(({ month, revision, peaks }) => ({
    month,
    revision,
    servers: peaks.server.peak,
    workstations: peaks.workstation.peak,
  }));
  return { ok: true, ...header, fingerprint: fingerprint(header.publicKey), headHash: head.hash, reports };
}
