/** `rollcall-site enrol`: makes this machine a site. Every step can be repeated; the key is made and kept before the call. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { Name } from '@rollcall/shared/domain/name.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { EnrolmentTokenText, type EnrolRequest, enrolText } from '@rollcall/shared/protocol/enrol.ts';
import type { WireHead } from '@rollcall/shared/protocol/hello.ts';
import { z } from 'zod';
import { AggregatorUrl, type SiteConfig } from '../config.ts';
import { fingerprint, isEnrolled, keyForEnrolment, readSiteFile, saveIdentity } from '../identity.ts';
import { initialiseLedger, openSiteReader, openSiteStore, recordReenrolment } from '../ledger/site-store.ts';
import { software } from '../software.ts';
import { callEnrol } from './enrolment-call.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { labelled, type Print } from './print.ts';

export type EnrolOptions = {
  server?: string;
  token?: string;
  tokenFile?: string;
  siteName?: string;
  timeZone?: string;
  again?: boolean;
};

const tokenVariable = 'ROLLCALL_ENROLMENT_TOKEN';

/** @throws RollcallError for everything that keeps the site from being enrolled. */
export async function enrolCommand(
  config: SiteConfig,
  options: EnrolOptions,
  environment: Record<string, string | undefined>,
  { print, warn }: { print: Print; warn: Print },
): Promise<ExitCode> {
  const { dataFolder } = config;
  const known = isEnrolled(dataFolder) ? readSiteFile(dataFolder) : undefined;
  if (known !== undefined && options.again !== true)
    throw new RollcallError('ALREADY_ENROLLED', `${dataFolder} is enrolled already, as the site "${known.siteName}"`, {
      retryable: false,
      hint: 'with --again and a new token it is enrolled once more with a new key; another site needs another --data-folder',
    });
  const wishes = readOptions(options, known?.aggregatorUrl, environment);
  const head = ledgerHead(dataFolder);
  const signer = keyForEnrolment(dataFolder);
  const unsigned = { token: wishes.token, publicKey: signer.publicKey, head };
  const request: EnrolRequest = {
    ...unsigned,
    ...(wishes.siteName === undefined ? {} : { siteName: wishes.siteName }),
    ...(wishes.timeZone === undefined ? {} : { timeZone: wishes.timeZone }),
    software,
    hostName: hostname() || 'unknown',
    signature: signer.sign(enrolText(unsigned)),
  };
  if (!isPrivateWay(wishes.server))
    warn(
      `warning: ${wishes.server} is not encrypted: the enrolment token goes in clear, and so does all that the service sends there later. Use https:// unless nobody else is on the way.`,
    );
  const response = await callEnrol(wishes.server, request);
  if (known !== undefined && known.siteId !== response.siteId)
    throw new RollcallError(
      'TOKEN_OF_OTHER_SITE',
      `the token is that of the site "${response.siteName}", not of "${known.siteName}"`,
      {
        retryable: false,
        hint: 'ask for a token of this site, or enrol the other site with another --data-folder',
      },
    );
  const { siteId, siteName, timeZone, settings, aggregatorPublicKeys } = response;
  const facts = {
    siteId,
    siteName,
    timeZone,
    settings,
    publicKey: signer.publicKey,
    software,
    at: response.serverTime,
  };
  if (head.seq === 0) initialiseLedger(dataFolder, facts);
  else recordReenrolment(dataFolder, facts);
  saveIdentity(dataFolder, {
    version: 1,
    siteId,
    siteName,
    timeZone,
    aggregatorUrl: wishes.server,
    aggregatorPublicKeys,
    publicKey: signer.publicKey,
    settings,
  });
  print(`enrolled as the site "${siteName}"\n`);
  print(
    labelled([
      ['site', siteId],
      ['time zone', timeZone],
      ['aggregator', wishes.server],
      ['data folder', dataFolder],
      ['public key', signer.publicKey],
      ['fingerprint', fingerprint(signer.publicKey)],
    ]),
  );
  print(
    '\nNext: start the service (`rollcall-site run`), then give endpoints the code that `rollcall-site endpoints join-code` shows.',
  );
  return exitCodes.done;
}

/** Encrypted, or never leaving this machine. */
function isPrivateWay(server: string): boolean {
  const { protocol, hostname: host } = new URL(server);
  return protocol === 'https:' || host === '[::1]' || /^(127(\.\d+){3}|(.*\.)?localhost)$/.test(host);
}

type Wishes = { server: string; token: string; siteName?: string; timeZone?: string };

const Wishes = z.object({
  server: AggregatorUrl,
  token: EnrolmentTokenText,
  siteName: Name.optional(),
  timeZone: TimeZone.optional(),
});

/** Reads the options, and names everything that is wrong with them at once; never shows the token. */
function readOptions(
  options: EnrolOptions,
  knownServer: string | undefined,
  environment: Record<string, string | undefined>,
): Wishes {
  const token =
    options.token ?? (options.tokenFile === undefined ? environment[tokenVariable] : readTokenFile(options.tokenFile));
  const server = options.server ?? knownServer;
  const missing = [
    ...(server === undefined
      ? ['--server: the address of the aggregator is needed, such as https://rollcall.example.com']
      : []),
    ...(token === undefined || token === ''
      ? [`--token: an enrolment token is needed (or --token-file FILE, or the variable ${tokenVariable})`]
      : []),
  ];
  const read = Wishes.safeParse({ ...options, server, token: token?.trim() });
  if (read.success) {
    const { siteName, timeZone, ...needed } = read.data;
    return {
      ...needed,
      ...(siteName === undefined ? {} : { siteName }),
      ...(timeZone === undefined ? {} : { timeZone }),
    };
  }
  const flags: Record<string, string> = {
    server: '--server',
    token: '--token',
    siteName: '--site-name',
    timeZone: '--time-zone',
  };
  const given = {
    server,
    token: token === '' ? undefined : token,
    siteName: options.siteName,
    timeZone: options.timeZone,
  };
  const wrong = read.error.issues
    .filter(({ path: [name] }) => typeof name === 'string' && given[name as keyof typeof given] !== undefined)
    .map(({ path: [name], message }) => `${flags[String(name)]}: ${message}`);
  throw new RollcallError('OPTIONS_WRONG', `this cannot be enrolled:\n  ${[...missing, ...wrong].join('\n  ')}`, {
    retryable: false,
  });
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new RollcallError('FILE_UNREADABLE', `cannot read the token from ${path}`, {
      retryable: false,
      hint: 'the file needs to hold the token and nothing else, and this user must be able to read it',
      cause,
    });
  }
}

/**
 * Where this folder's ledger stands. Opens it for writing when there is one, so that a running service is noticed before the
 * token is used up.
 */
function ledgerHead(dataFolder: string): WireHead {
  try {
    openSiteReader(dataFolder).close();
  } catch (error) {
    if (error instanceof RollcallError && error.code === 'NOT_ENROLLED')
      return { seq: emptyHead.seq, hash: emptyHead.hash };
    throw error;
  }
  const store = openSiteStore(dataFolder);
  try {
    const { seq, hash } = store.head();
    return { seq, hash };
  } finally {
    store.close();
  }
}
