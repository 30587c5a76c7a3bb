/** How the local API says no: RFC 9457 problem details with a stable code. What is refused and why is decided elsewhere. */
import { type LocalRefusalCode, localRefusals } from '@rollcall/shared/api/local.ts';

/** What every answer of the local API bears: nothing of it is kept by a cache or taken for another type. */
export const answerHeaders = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' } as const;

/** Seconds in Retry-After where nothing better is known. */
const retryAfterSeconds = {
  TIME_UNCONFIRMED: 2,
  STOPPING: 5,
  INTERNAL: 5,
  RATE_LIMITED: 10,
} as const satisfies Partial<Record<LocalRefusalCode, number>>;

const titles: Record<number, string> = {
  400: 'The request is wrong',
  401: 'The credential is wrong',
  403: 'Not admitted',
  404: 'Not found',
  409: 'Not possible now',
  413: 'The request is too large',
  429: 'Too many requests',
  500: 'The Site Manager failed',
  503: 'Not ready',
};

export type ProblemFacts = { code: LocalRefusalCode; message: string; hint?: string; retryAfterSeconds?: number };

/** The answer to a refused request. Every 5xx and 429 carries Retry-After, every 401 names its scheme (RFC 9110, 11.6.1). */
export function problemAnswer({ code, message, hint, retryAfterSeconds: given }: ProblemFacts): Response {
  const status = localRefusals[code];
  const headers = new Headers({ ...answerHeaders, 'Content-Type': 'application/problem+json' });
  const usual = code in retryAfterSeconds ? retryAfterSeconds[code as keyof typeof retryAfterSeconds] : undefined;
  const wait = given ?? usual;
  if (wait !== undefined) headers.set('Retry-After', String(Math.max(1, Math.ceil(wait))));
  if (status === 401) headers.set('WWW-Authenticate', 'Bearer');
  const problem = {
    type: 'about:blank',
    title: titles[status],
    status,
    code,
    detail: message,
    ...(hint === undefined ? {} : { hint }),
  };
  return new Response(JSON.stringify(problem), { status, headers });
}
