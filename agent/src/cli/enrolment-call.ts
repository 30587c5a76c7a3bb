/** The one HTTPS call of an enrolment, and what each way of its failing means to the person who ran the command. */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import {
  type EnrolRefusalCode,
  enrolRefusals,
  type EnrolRequest,
  EnrolResponse,
} from '@rollcall/shared/protocol/enrol.ts';
import { sitePaths } from '@rollcall/shared/protocol/version.ts';
import { EnvHttpProxyAgent } from 'undici';
import { z } from 'zod';

const connectTimeoutMs = 10_000;
const answerTimeoutMs = 30_000;
const wholeCallTimeoutMs = 60_000;
const answerBytesMax = 64 * 1024;

const again = 'running the same command again is safe';

/** What to do about each refusal. */
const refusalHints: Record<EnrolRefusalCode, string> = {
  TOKEN_UNKNOWN: 'check that the token was copied whole and belongs to this aggregator',
  TOKEN_EXPIRED: 'ask for a new enrolment token',
  TOKEN_USED: 'it enrolled another machine, or this one with another key: ask for a new enrolment token',
  TOKEN_WITHDRAWN: 'ask for a new enrolment token',
  SIGNATURE_WRONG: 'something between here and the aggregator changes requests: try without the proxy',
  SITE_NAME_NEEDED: 'this token makes new sites: name this one with --site-name',
  TIME_ZONE_NEEDED: 'this token makes new sites: give the zone with --time-zone, such as Europe/Rome',
  SITE_NAME_TAKEN: 'choose another name with --site-name',
  SITE_HAS_LEDGER: 'restore the data folder of the machine that ran this site, or make a new site in the portal',
};

const Problem = z.object({ code: z.string().max(60), detail: z.string().max(1000).optional() });

/**
 * Asks the aggregator to enrol this machine.
 * @throws RollcallError with one sentence and what to do: the refusal's own code, `AGGREGATOR_UNREACHABLE`, `TLS_FAILED`,
 * `NOT_AN_AGGREGATOR`, `AGGREGATOR_BUSY`.
 */
export async function callEnrol(aggregatorUrl: string, request: EnrolRequest): Promise<EnrolResponse> {
  const url = `${aggregatorUrl}${sitePaths.enrol}`;
  // Proxy-aware: HTTPS_PROXY, HTTP_PROXY and NO_PROXY hold, as for every command of this kind.
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: answerTimeoutMs,
    bodyTimeout: answerTimeoutMs,
    maxResponseSize: answerBytesMax,
  });
  try {
    const init: RequestInit = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify(request),
      // A token is shown to the address that was typed and to no other.
      redirect: 'manual',
      signal: AbortSignal.timeout(wholeCallTimeoutMs),
    };
    // Node's types describe the undici inside Node and ours are of undici 7.30: the two differ in what fetch never calls.
    Object.assign(init, { dispatcher });
    const response = await fetch(url, init);
    return readAnswer(aggregatorUrl, response, await response.text());
  } catch (error) {
    throw error instanceof RollcallError ? error : networkError(aggregatorUrl, error);
  } finally {
    await dispatcher.destroy();
  }
}

function readAnswer(aggregatorUrl: string, response: Response, text: string): EnrolResponse {
  const { status, headers } = response;
  if (status >= 300 && status < 400) {
    const target = headers.get('location') ?? 'nowhere';
    throw notAnAggregator(
      aggregatorUrl,
      `it sends callers on to ${originOf(target)}`,
      'give that address with --server if it is your aggregator’s',
    );
  }
  const body = parseJson(text);
  if (status === 200 || status === 201) {
    const answer = EnrolResponse.safeParse(body);
    if (answer.success) return answer.data;
    throw notAnAggregator(aggregatorUrl, 'its answer is not that of a Rollcall aggregator');
  }
  const problem = Problem.safeParse(body);
  if (problem.success && isRefusal(problem.data.code)) {
    const { code, detail } = problem.data;
    throw new RollcallError(code, detail ?? `the aggregator refused: ${code}`, {
      retryable: false,
      hint: refusalHints[code],
    });
  }
  if (status === 429 || status >= 500) {
    const wait = headers.get('retry-after');
    throw new RollcallError('AGGREGATOR_BUSY', `${aggregatorUrl} cannot enrol anyone just now (HTTP ${status})`, {
      retryable: true,
      hint: `try again ${wait !== null && /^\d{1,6}$/.test(wait) ? `in ${wait} s` : 'later'}; ${again}`,
    });
  }
  if (problem.success && status !== 404)
    throw new RollcallError(
      'ENROLMENT_REFUSED',
      `${aggregatorUrl} refused: ${problem.data.detail ?? problem.data.code} (HTTP ${status})`,
      {
        retryable: false,
        hint: 'the Site Manager may be older or newer than the aggregator: install the current version',
      },
    );
  throw notAnAggregator(
    aggregatorUrl,
    status === 404 ? `it has no ${sitePaths.enrol} (HTTP 404)` : `it answers HTTP ${status}`,
  );
}

const isRefusal = (code: string): code is EnrolRefusalCode => Object.hasOwn(enrolRefusals, code);

function notAnAggregator(
  aggregatorUrl: string,
  why: string,
  hint = 'check the address given with --server, and that this program is as new as the aggregator',
): RollcallError {
  return new RollcallError('NOT_AN_AGGREGATOR', `${aggregatorUrl} is not a Rollcall aggregator: ${why}`, {
    retryable: false,
    hint,
  });
}

const tlsCodes = /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|EPROTO$)/;

/** What a failed connection means, by the code at the end of the chain of causes. */
function networkError(aggregatorUrl: string, error: unknown): RollcallError {
  const codes = codesOf(error);
  const { hostname, port, protocol } = new URL(aggregatorUrl);
  const has = (...wanted: string[]): boolean => wanted.some((code) => codes.includes(code));
  const unreachable = (why: string, hint: string): RollcallError =>
    new RollcallError('AGGREGATOR_UNREACHABLE', `cannot reach ${aggregatorUrl}: ${why}`, {
      retryable: true,
      hint: `${hint}; ${again}`,
      cause: error,
    });
  if (codes.some((code) => tlsCodes.test(code)))
    return new RollcallError('TLS_FAILED', `cannot make a secure connection to ${aggregatorUrl}: ${tlsReason(codes)}`, {
      retryable: false,
      hint: 'check the address and the clock of this machine; a certificate of your own is made known with NODE_EXTRA_CA_CERTS',
      cause: error,
    });
  if (has('ENOTFOUND'))
    return unreachable(`there is no machine of the name ${hostname}`, 'check the address given with --server');
  if (has('EAI_AGAIN')) return unreachable('names cannot be looked up', 'check the network of this machine');
  if (has('ECONNREFUSED'))
    return unreachable(
      `nothing listens on ${hostname} port ${port || (protocol === 'https:' ? 443 : 80)}`,
      'check address and port given with --server',
    );
  if (has('UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT', 'TimeoutError'))
    return unreachable('no answer in time', 'check that firewalls let this machine out, or set HTTPS_PROXY');
  if (has('ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN'))
    return unreachable('there is no way to it from here', 'check the network of this machine');
  if (has('HTTPParserError', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'))
    return notAnAggregator(aggregatorUrl, 'its answer is not that of a Rollcall aggregator');
  return unreachable(
    `the connection broke (${codes.at(-1) ?? deepestMessage(error)})`,
    'check the network of this machine and its proxy',
  );
}

function tlsReason(codes: readonly string[]): string {
  const has = (pattern: RegExp): boolean => codes.some((code) => pattern.test(code));
  if (has(/EXPIRED|NOT_YET_VALID/)) return 'its certificate is not valid at the time this machine’s clock shows';
  if (has(/ALTNAME|HOSTNAME/)) return 'its certificate is that of another name';
  if (has(/SELF_SIGNED|UNABLE_TO|DEPTH_ZERO/)) return 'nobody whom this machine trusts signed its certificate';
  return `it does not speak TLS as expected (${codes.find((code) => tlsCodes.test(code)) ?? ''})`;
}

function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let current: unknown = error; current instanceof Error && codes.length < 20; current = current.cause) {
    // These two come without a code.
    if (current.name === 'TimeoutError' || current.name === 'HTTPParserError') codes.push(current.name);
    if ('code' in current && typeof current.code === 'string') codes.push(current.code);
    if (current instanceof AggregateError) codes.push(...current.errors.flatMap(codesOf).slice(0, 10));
  }
  return codes;
}

/** Where no code says it: fetch refuses some ports with nothing but a sentence. */
function deepestMessage(error: unknown): string {
  let message = 'no reason given';
  for (let current: unknown = error; current instanceof Error; current = current.cause) message = current.message;
  return message;
}

function originOf(location: string): string {
  return URL.canParse(location) ? new URL(location).origin : 'another page of its own';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
