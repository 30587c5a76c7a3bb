// The one way to the aggregator: sends the token, parses every answer with the schema both sides share, and turns whatever
// goes wrong into one kind of error. Owns no path of a resource; those are resources.ts.
import { Problem } from '@rollcall/shared/api/problem.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { z } from 'zod';

const answerTimeoutMs = 20_000;
/** A document may have to be drawn first. */
const documentTimeoutMs = 60_000;

/** A value with the instant of the answer by the server's clock: "3 min ago" must not depend on this machine's. */
export type Answer<Value> = { value: Value; answeredAtMs: number };

type ApiDocument = { fileName: string | null; content: Blob };

export type ApiClient = {
  get<Value>(path: string, schema: z.ZodType<Value>, signal?: AbortSignal): Promise<Answer<Value>>;
  document(path: string, signal?: AbortSignal): Promise<ApiDocument>;
};

/**
 * Why a call failed. Codes are the server's (RFC 9457 problem) or one of `UNREACHABLE`, `TIMED_OUT`,
 * `ANSWER_NOT_UNDERSTOOD`. `status` is null where no answer came.
 */
export class ApiError extends RollcallError {
  readonly title: string;
  readonly status: number | null;
  readonly retryAfterMs: number | null;

  constructor(
    code: string,
    title: string,
    message: string,
    options: {
      retryable: boolean;
      hint?: string;
      cause?: unknown;
      status?: number;
      retryAfterMs?: number | null;
    },
  ) {
    super(code, message, options);
    this.name = 'ApiError';
    this.title = title;
    this.status = options.status ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

type ClientOptions = {
  /** Such as `https://rollcall.example`; empty for the page's own. */
  origin: string;
  token: string;
  fetch: typeof fetch;
  nowMs: () => number;
};

export function createApiClient({ origin, token, fetch, nowMs }: ClientOptions): ApiClient {
  return {
    async get(path, schema, signal) {
      const response = await call(path, answerTimeoutMs, signal);
      const body = await bodyOf(response, () => response.json());
      const parsed = schema.safeParse(body);
      if (!parsed.success) throw notUnderstood(response, parsed.error);
      return { value: parsed.data, answeredAtMs: serverTimeMs(response) ?? nowMs() };
    },

    async document(path, signal) {
      const response = await call(path, documentTimeoutMs, signal);
      const content = await bodyOf(response, () => response.blob());
      return { fileName: fileNameIn(response.headers.get('content-disposition')), content };
    },
  };

  async function call(path: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<Response> {
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    try {
      response = await fetch(origin + path, {
        headers: { accept: 'application/json, application/problem+json, */*;q=0.5', authorization: `Bearer ${token}` },
        // No answer stays behind in the browser's cache; and the token goes nowhere but where it was meant for.
        cache: 'no-store',
        redirect: 'error',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
    } catch (cause) {
      throw noAnswer(cause, timeout);
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  async function bodyOf<Body>(response: Response, read: () => Promise<Body>): Promise<Body> {
    try {
      return await read();
    } catch (cause) {
      if (cause instanceof SyntaxError) throw notUnderstood(response, cause);
      throw noAnswer(cause, undefined);
    }
  }
}

function noAnswer(cause: unknown, timeout: AbortSignal | undefined): unknown {
  const name = cause instanceof Error ? cause.name : '';
  // Somebody left the view: nothing failed.
  if (name === 'AbortError' && timeout?.aborted !== true) return cause;
  if (name === 'TimeoutError' || timeout?.aborted === true)
    return new ApiError('TIMED_OUT', 'No answer in time', 'The aggregator took too long to answer.', {
      retryable: true,
      hint: 'It may be busy. Try again in a moment.',
      cause,
    });
  return new ApiError('UNREACHABLE', 'The aggregator cannot be reached', 'The connection failed or was cut.', {
    retryable: true,
    hint: 'Check that it is running, and this machine’s network.',
    cause,
  });
}

function notUnderstood(response: Response, cause: unknown): ApiError {
  return new ApiError(
    'ANSWER_NOT_UNDERSTOOD',
    'The answer was not understood',
    `The aggregator answered with ${response.status}, but not in the form this page knows.`,
    {
      retryable: false,
      hint: 'Reload the page: the aggregator may have been updated since it was opened.',
      status: response.status,
      cause,
    },
  );
}

async function refusalOf(response: Response): Promise<ApiError> {
  const { status } = response;
  const options = {
    status,
    retryable: status === 408 || status === 429 || status >= 500,
    retryAfterMs: retryAfterMsIn(response.headers.get('retry-after')),
  };
  const problem = Problem.safeParse(await response.json().catch(() => null));
  if (!problem.success)
    return new ApiError(`HTTP_${status}`, 'The aggregator refused', `It answered with HTTP status ${status}.`, options);
  const { code, title, detail, hint } = problem.data;
  return new ApiError(code, title, detail ?? title, hint === undefined ? options : { ...options, hint });
}

/** Only the form in seconds; ours never sends a date. */
function retryAfterMsIn(header: string | null): number | null {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : null;
}

function serverTimeMs(response: Response): number | null {
  const ms = Date.parse(response.headers.get('date') ?? '');
  return Number.isNaN(ms) ? null : ms;
}

/** The name a `Content-Disposition` suggests: the UTF-8 form (RFC 6266) before the plain one, and never a path. */
export function fileNameIn(header: string | null): string | null {
  if (header === null) return null;
  const extended = /filename\*\s*=\s*UTF-8''([^;\s]+)/i.exec(header)?.[1];
  const plain = /filename\s*=\s*(?:"([^"]*)"|([^;\s]+))/i.exec(header);
  const name = decoded(extended) ?? plain?.[1] ?? plain?.[2] ?? '';
  return name.replace(/^.*[/\\]/s, '') || null;
}

function decoded(text: string | undefined): string | null {
  try {
    return text === undefined ? null : decodeURIComponent(text);
  } catch {
    return null;
  }
}
