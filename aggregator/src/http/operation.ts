/**
 * How an operation of the API is declared: one value says its address, who may use it, what it reads and what it answers, and
 * the same value validates, authorises and documents it. What an operation does is in the route file of its noun.
 */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { Problem, problemMediaType } from '@rollcall/shared/api/problem.ts';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Refusal } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import { type Action, mayEver } from '../core/permission.ts';
import type { AppContext, AppEnv, Caller } from './context.ts';
import { type ProblemCode, problemResponse, problemStatus } from './problem.ts';
import { readBody, readParams, readQuery } from './request-input.ts';

const Nothing = z.object({});
type Nothing = typeof Nothing;
/** A schema that was left out is `Nothing`: that is the default of its type parameter, which the compiler does not carry over. */
const orNothing = <Schema extends z.ZodType>(schema: Schema | undefined): Schema =>
  schema ?? (Nothing as z.ZodType as Schema);

type Input<Params, Query, Body> = { params?: Params; query?: Query; body?: Body };

type Common<Code extends ProblemCode> = {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** With parameters in braces: `/api/v1/sites/{siteId}`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  /** Codes the operation itself answers with, beside those every operation may (`everyRefusal`). */
  refusals?: readonly Code[];
};

/** `action` is what core/permission.ts decides about; an operation for everyone says `public`. */
type Signed = { action: Action };
type Answered<Answer> = { answer: Answer; status?: 200 | 201 };
type Filed = { files: readonly [string, ...string[]] };

/** What a handler is called with: everything parsed, the caller known. */
export type Call<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> = {
  params: z.output<Params>;
  query: z.output<Query>;
  body: z.output<Body>;
  caller: Caller;
  now: Instant;
};
type OpenCall<Body extends z.ZodType> = { body: z.output<Body>; remoteAddress: string; now: Instant };

export type JsonReply<Answer extends z.ZodType> = {
  ok: true;
  answer: z.input<Answer> /** Address of what was made. */;
  location?: string;
};
export type FileReply = {
  ok: true;
  file: {
    mediaType: string;
    name: string;
    content: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
  };
};
type Refused<Code extends ProblemCode> = Refusal<Code> & { retryAfterSeconds?: number };

/** Refusals every operation may answer with, before its own code runs: the first three by the server around the application. */
const everyRefusal = [
  'BAD_REQUEST',
  'REQUEST_TIMEOUT',
  'HEADERS_TOO_LARGE',
  'RATE_LIMITED',
  'INTERNAL',
  'STORE_UNAVAILABLE',
  'STOPPING',
  'HANDLER_TIMEOUT',
] as const satisfies readonly ProblemCode[];
const signedRefusal = [
  'UNAUTHENTICATED',
  'API_TOKEN_EXPIRED',
  'TOKEN_REVOKED',
  'NOT_ALLOWED',
  // A parameter that the operation does not have.
  'INVALID_INPUT',
] as const satisfies readonly ProblemCode[];
const bodyRefusal = ['BAD_JSON', 'UNSUPPORTED_MEDIA_TYPE', 'INVALID_INPUT'] as const satisfies readonly ProblemCode[];

/** Who asks, or why nobody knows; `auth.ts` makes one. */
export type SignIn = (context: AppContext) => Promise<{ ok: true; caller: Caller } | Refused<ProblemCode>>;

export class Api {
  readonly app: OpenAPIHono<AppEnv>;
  readonly #clock: Clock;
  readonly #signIn: SignIn;

  constructor(app: OpenAPIHono<AppEnv>, clock: Clock, signIn: SignIn) {
    this.app = app;
    this.#clock = clock;
    this.#signIn = signIn;
  }

  /** An operation that answers JSON. The answer is parsed by its schema on the way out, so nothing undeclared leaves. */
  json<
    Answer extends z.ZodType,
    Params extends z.ZodObject = Nothing,
    Query extends z.ZodObject = Nothing,
    Body extends z.ZodType = Nothing,
    Code extends ProblemCode = never,
  >(
    spec: Common<Code> & Signed & Answered<Answer> & Input<Params, Query, Body>,
    handle: (call: Call<Params, Query, Body>) => Promise<JsonReply<Answer> | Refused<Code>>,
  ): void {
    this.#document(spec, spec.action);
    this.#on(spec, async (context) => {
      const call = await this.#read(context, spec);
      if (!call.ok) return refused(call);
      const reply = await handle(call.call);
      return reply.ok ? jsonResponse(spec, reply) : refused(reply);
    });
  }

  /** An operation that answers a file. */
  file<Params extends z.ZodObject = Nothing, Query extends z.ZodObject = Nothing, Code extends ProblemCode = never>(
    spec: Common<Code> & Signed & Filed & Input<Params, Query, Nothing>,
    handle: (call: Call<Params, Query, Nothing>) => Promise<FileReply | Refused<Code>>,
  ): void {
    this.#document(spec, spec.action);
    this.#on(spec, async (context) => {
      const call = await this.#read(context, spec);
      if (!call.ok) return refused(call);
      const reply = await handle(call.call);
      return reply.ok ? fileResponse(reply) : refused(reply);
    });
  }

  /** An operation without sign-in. */
  open<Answer extends z.ZodType, Body extends z.ZodType = Nothing, Code extends ProblemCode = never>(
    spec: Common<Code> & Answered<Answer> & { body?: Body },
    handle: (call: OpenCall<Body>) => Promise<JsonReply<Answer> | Refused<Code>>,
  ): void {
    this.#document(spec, 'public');
    this.#on(spec, async (context) => {
      const body = await readBody(context, orNothing(spec.body), spec.body !== undefined);
      if (!body.ok) return refused(body);
      const reply = await handle({
        body: body.value,
        remoteAddress: context.get('remoteAddress'),
        now: this.#clock.now(),
      });
      return reply.ok ? jsonResponse(spec, reply) : refused(reply);
    });
  }

  async #read<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType>(
    context: AppContext,
    spec: Signed & Input<Params, Query, Body>,
  ): Promise<{ ok: true; call: Call<Params, Query, Body> } | Refused<ProblemCode>> {
    const signedIn = await this.#signIn(context);
    if (!signedIn.ok) return signedIn;
    const { caller } = signedIn;
    if (!mayEver(caller.scope.kind, spec.action))
      return {
        ok: false,
        code: 'NOT_ALLOWED',
        message: `an organisation of the kind ${caller.scope.kind} may not do this (${spec.action})`,
      };
    const params = readParams(context, orNothing(spec.params));
    if (!params.ok) return params;
    const query = readQuery(context, orNothing(spec.query));
    if (!query.ok) return query;
    const body = await readBody(context, orNothing(spec.body), spec.body !== undefined);
    if (!body.ok) return body;
    return {
      ok: true,
      call: { params: params.value, query: query.value, body: body.value, caller, now: this.#clock.now() },
    };
  }

  #on(spec: Common<ProblemCode>, respond: (context: AppContext) => Promise<Response>): void {
    this.app.on(spec.method.toUpperCase(), spec.path.replaceAll(/\{(.+?)\}/g, ':$1'), (context) => {
      context.set('operationPath', spec.path);
      return respond(context);
    });
  }

  #document(
    spec: Common<ProblemCode> & Partial<Answered<z.ZodType> & Filed> & Input<z.ZodObject, z.ZodObject, z.ZodType>,
    action: Action | 'public',
  ): void {
    const codes = new Set<ProblemCode>([
      ...(spec.refusals ?? []),
      ...everyRefusal,
      ...(action === 'public' ? [] : signedRefusal),
      ...(spec.body === undefined ? [] : bodyRefusal),
      // Also of an operation that reads none.
      ...(spec.method === 'get' ? [] : (['BODY_TOO_LARGE'] as const)),
      ...(spec.query !== undefined && 'cursor' in spec.query.shape ? (['CURSOR_INVALID'] as const) : []),
      ...(spec.params === undefined ? [] : (['NOT_FOUND'] as const)),
    ]);
    const problems = Map.groupBy(codes, (code) => problemStatus[code]);
    const content =
      spec.files === undefined
        ? { 'application/json': { schema: spec.answer ?? Nothing } }
        : Object.fromEntries(
            spec.files.map((mediaType) => [mediaType, { schema: { type: 'string' as const, format: 'binary' } }]),
          );
    this.app.openAPIRegistry.registerPath({
      method: spec.method,
      path: spec.path,
      operationId: operationId(spec.method, spec.path),
      tags: [spec.tag],
      summary: spec.summary,
      ...(spec.description === undefined ? {} : { description: spec.description }),
      'x-rollcall-action': action,
      security: action === 'public' ? [] : [{ apiToken: [] }],
      request: {
        ...(spec.params === undefined ? {} : { params: spec.params }),
        ...(spec.query === undefined ? {} : { query: spec.query }),
        ...(spec.body === undefined
          ? {}
          : { body: { required: true, content: { 'application/json': { schema: spec.body } } } }),
      },
      responses: {
        [spec.status ?? 200]: { description: spec.status === 201 ? 'Made.' : 'As asked.', content },
        ...Object.fromEntries(
          [...problems]
            .sort(([a], [b]) => a - b)
            .map(([status, all]) => [
              status,
              { description: all.join(', '), content: { [problemMediaType]: { schema: Problem } } },
            ]),
        ),
      },
    });
  }
}

/** `get /api/v1/sites/{siteId}/entries` → `getSitesSiteIdEntries`. */
function operationId(method: string, path: string): string {
  const words = path.replace(/^\/api\/v1/, '').match(/[A-Za-z0-9]+/g) ?? [];
  return method + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}

function jsonResponse<Answer extends z.ZodType>(spec: Answered<Answer>, reply: JsonReply<Answer>): Response {
  return new Response(JSON.stringify(spec.answer.parse(reply.answer)), {
    status: spec.status ?? 200,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(reply.location === undefined ? {} : { location: reply.location }),
    },
  });
}

function fileResponse({ file }: FileReply): Response {
  // RFC 6266: the plain name for old readers, the exact one in UTF-8 beside it.
  const plain = file.name.replaceAll(/[^A-Za-z0-9._-]/g, '_');
  const disposition = `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(file.name)}`;
  return new Response(file.content, {
    headers: { 'content-type': file.mediaType, 'content-disposition': disposition, 'cache-control': 'no-store' },
  });
}

const refused = ({ retryAfterSeconds, ...refusal }: Refused<ProblemCode>): Response =>
  problemResponse(refusal, retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) });
