/**
 * The local API's routes: parses what comes, asks the Site Manager, writes its answer. Rules of the roll and of keys are the
 * core's; the socket it listens on is `server.ts`.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { getConnInfo } from '@hono/node-server/conninfo';
import {
  CheckInRequest,
  CorrectReportRequest,
  localBodyBytesMax,
  localPaths,
  type LocalRefusalCode,
  RegisterRequest,
  RemoveEndpointRequest,
} from '@rollcall/shared/api/local.ts';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { type Context, Hono } from 'hono';
import type { z } from 'zod';
import { answerHeaders, problemAnswer } from './problem-details.ts';
import { defaultRateLimits, RateGuard, type RateLimits, type RateVerdict } from './rate-limits.ts';
import type { SitePort } from './site-port.ts';

/** Longest time the Site Manager may take for one request; every change it makes can safely be asked for again. */
const answerTimeoutMs = 10_000;

/** Longest bearer text that is looked at. */
const bearerCharactersMax = 500;

export type LocalApiParts = {
  site: SitePort;
  /** What the operator's commands show to be let in; it stands in a file that only they can read. */
  operatorToken: string;
  clock: Clock;
  logger: Logger;
  rateLimits?: RateLimits;
};

export function createLocalApp({
  site,
  operatorToken,
  clock,
  logger,
  rateLimits = defaultRateLimits,
}: LocalApiParts): Hono {
  const app = new Hono();
  const guard = new RateGuard(rateLimits);
  const operatorDigest = digestOf(operatorToken);

  app.use(async (context, next) => {
    const verdict = await guard.request(addressOf(context));
    if (verdict.limited) return tooMany(verdict);
    await next();
    return undefined;
  });

  /** Asks the Site Manager within a time limit and writes what it says. */
  const answer = async <Value extends object>(
    context: Context,
    question: Promise<Outcome<Value, LocalRefusalCode>>,
  ): Promise<Response> => {
    const outcome = await withinTime(question, clock, answerTimeoutMs);
    if (outcome === 'TIMED_OUT')
      return problemAnswer({ code: 'INTERNAL', message: 'the Site Manager did not answer in time; ask again' });
    if (!outcome.ok) {
      if (guesses.has(outcome.code)) await guard.failure('proof', addressOf(context));
      return problemAnswer(outcome);
    }
    const { ok: _, ...value } = outcome;
    return context.json(value, 200, answerHeaders);
  };

  app.get(localPaths.health, (context) => context.json({ status: 'ok' }, 200, answerHeaders));

  app.post(localPaths.register, async (context) => {
    const failed = await guard.failedTooOften('proof', addressOf(context));
    if (failed.limited) return tooMany(failed);
    const request = await readBody(context, RegisterRequest);
    return request.ok ? answer(context, site.registerEndpoint(request.body)) : problemAnswer(request);
  });

  app.post(localPaths.checkIn, async (context) => {
    const credential = bearerOf(context);
    if (credential === undefined) return problemAnswer(credentialMissing);
    const verdict = await guard.credential(digestOf(credential).toString('hex'));
    if (verdict.limited) return tooMany(verdict);
    const request = await readBody(context, CheckInRequest);
    return request.ok ? answer(context, site.checkIn(credential, request.body.agent)) : problemAnswer(request);
  });

  app.use('/operator/*', async (context, next) => {
    if (!onThisMachine(context)) return problemAnswer(notFound);
    const failed = await guard.failedTooOften('operator-token', addressOf(context));
    if (failed.limited) return tooMany(failed);
    const token = bearerOf(context);
    if (token === undefined || !timingSafeEqual(digestOf(token), operatorDigest)) {
      await guard.failure('operator-token', addressOf(context));
      return problemAnswer(operatorUnknown);
    }
    await next();
    return undefined;
  });

  app.get(localPaths.status, (context) => context.json(site.status(), 200, answerHeaders));
  app.post(localPaths.removeEndpoint, async (context) => {
    const request = await readBody(context, RemoveEndpointRequest);
    return request.ok ? answer(context, site.removeEndpoint(request.body)) : problemAnswer(request);
  });
  app.post(localPaths.correctReport, async (context) => {
    const request = await readBody(context, CorrectReportRequest);
    return request.ok ? answer(context, site.correctReport(request.body)) : problemAnswer(request);
  });
  app.post(localPaths.confirmClock, (context) => answer(context, site.confirmClock()));

  app.notFound(() => problemAnswer(notFound));
  app.onError((error) => {
    // The request is not logged: it may hold a credential or a key.
    logger.error({ err: error }, 'a request to the local API failed');
    return problemAnswer({ code: 'INTERNAL', message: 'the Site Manager failed at this request; its log says why' });
  });
  return app;
}

/** Refusals that a guesser would collect. */
const guesses: ReadonlySet<LocalRefusalCode> = new Set(['JOIN_CODE_WRONG', 'PRODUCT_KEY_WRONG']);

const bodyTooLarge = refuse('BODY_TOO_LARGE', `a request has at most ${localBodyBytesMax} bytes`);
const credentialMissing = refuse('CREDENTIAL_WRONG', 'the request bears no credential: register first');
const operatorUnknown = refuse('CREDENTIAL_WRONG', 'operator calls need the operator token of the data folder');
const notFound = refuse('NOT_FOUND', 'there is nothing here');

const tooMany = (verdict: RateVerdict & { limited: true }): Response =>
  problemAnswer({ code: 'RATE_LIMITED', message: 'too many requests', retryAfterSeconds: verdict.waitSeconds });

const digestOf = (text: string): Buffer => hash('sha256', text, 'buffer');

const addressOf = (context: Context): string => getConnInfo(context).remote.address ?? 'unknown';

/** Operator calls are for this machine: the token goes unencrypted, so it has no business on a network. */
function onThisMachine(context: Context): boolean {
  const { remoteAddress, localAddress } = context.env.incoming.socket;
  const address = String(remoteAddress ?? '').replace(/^::ffff:/i, '');
  return (
    address === '::1' || address.startsWith('127.') || (remoteAddress !== undefined && remoteAddress === localAddress)
  );
}

function bearerOf(context: Context): string | undefined {
  const header = context.req.header('authorization') ?? '';
  if (header.length > bearerCharactersMax) return undefined;
  return /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(header)?.[1];
}

/** Reads a JSON body by its schema. The message names fields, never what stood in them. */
async function readBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): Promise<Outcome<{ body: z.infer<Schema> }, 'BAD_REQUEST' | 'BODY_TOO_LARGE'>> {
  if (!/^application\/json\s*(;|$)/i.test(context.req.header('content-type') ?? ''))
    return refuse('BAD_REQUEST', 'send JSON with Content-Type: application/json');
  const bytes = await readBytes(context.req.raw, localBodyBytesMax);
  if (bytes === undefined) return bodyTooLarge;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError)
      return refuse('BAD_REQUEST', 'the body is not JSON in UTF-8');
    throw error;
  }
  const read = schema.safeParse(value);
  if (read.success) return { ok: true, body: read.data };
  const issues = read.error.issues.slice(0, 10).map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  return refuse('BAD_REQUEST', issues.join('; ').slice(0, 1000));
}

/** The body's bytes, counted as they come whether or not a length was announced; undefined when they are too many. */
async function readBytes(request: Request, bytesMax: number): Promise<Buffer | undefined> {
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) return undefined;
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of request.body ?? []) {
    total += chunk.length;
    if (total > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

async function withinTime<Value>(
  question: Promise<Value>,
  clock: Clock,
  limitMs: number,
): Promise<Value | 'TIMED_OUT'> {
  let cancel = (): void => undefined;
  const timeout = new Promise<'TIMED_OUT'>((resolve) => {
    cancel = clock.after(limitMs, () => resolve('TIMED_OUT'));
  });
  try {
    return await Promise.race([question, timeout]);
  } finally {
    cancel();
  }
}
