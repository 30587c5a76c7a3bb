/** Problems over HTTP (RFC 9457): the one table of codes with their status, and how a refusal becomes a response. */
import { type Problem, problemMediaType } from '@rollcall/shared/api/problem.ts';
import type { Refusal } from '@rollcall/shared/domain/problem.ts';
import { enrolRefusals } from '@rollcall/shared/protocol/enrol.ts';

/** Status of every code the API answers with. A code without a line here does not compile. */
export const problemStatus = {
  BAD_REQUEST: 400,
  BAD_JSON: 400,
  CURSOR_INVALID: 400,
  UNAUTHENTICATED: 401,
  TOKEN_REVOKED: 401,
  API_TOKEN_EXPIRED: 401,
  NOT_ALLOWED: 403,
  NOT_FOUND: 404,
  DASHBOARD_NOT_BUILT: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  NAME_TAKEN: 409,
  SITE_HAS_KEY: 409,
  SITE_CLOSED: 409,
  TREE_TOO_DEEP: 409,
  AGREEMENT_EXISTS: 409,
  MONTH_INVOICED: 409,
  MONTH_NOT_OVER: 409,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INVALID_INPUT: 422,
  CHILD_KIND_WRONG: 422,
  NOT_AN_MSP: 422,
  CURRENCY_DIFFERS: 422,
  TOO_MANY_ROWS: 422,
  RATE_LIMITED: 429,
  HEADERS_TOO_LARGE: 431,
  INTERNAL: 500,
  EVIDENCE_TOO_LARGE: 500,
  PRINTING_BUSY: 503,
  STORE_UNAVAILABLE: 503,
  STOPPING: 503,
  HANDLER_TIMEOUT: 504,
  ...enrolRefusals,
} as const satisfies Record<string, number>;
export type ProblemCode = keyof typeof problemStatus;

const titles: Partial<Record<number, string>> = {
  400: 'The request cannot be read',
  401: 'Sign in with an API token',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Not a method of this address',
  408: 'The request took too long to arrive',
  409: 'In conflict with what is there',
  410: 'No longer valid',
  413: 'Too large',
  415: 'Not a media type that is read here',
  422: 'The request is not valid',
  429: 'Too many requests',
  431: 'The header is too large',
  500: 'Something went wrong here',
  503: 'Not available at the moment',
  504: 'It took too long',
};

export type FieldError = { field: string; message: string };
type ProblemRefusal = Refusal<ProblemCode> & { errors?: FieldError[] };

export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(problemStatus, code);

/** The problem document of a refusal. */
export function problemOf(refusal: ProblemRefusal): Problem {
  const status = problemStatus[refusal.code];
  return {
    type: `urn:rollcall:problem:${refusal.code.toLowerCase().replaceAll('_', '-')}`,
    title: titles[status] ?? 'Refused',
    status,
    code: refusal.code,
    detail: refusal.message,
    ...(refusal.hint === undefined ? {} : { hint: refusal.hint }),
    ...(refusal.errors === undefined ? {} : { errors: refusal.errors.slice(0, 100) }),
  };
}

/** A refusal as a response of its own media type; never cached. */
export function problemResponse(refusal: ProblemRefusal, headers: Record<string, string> = {}): Response {
  const problem = problemOf(refusal);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { 'content-type': problemMediaType, 'cache-control': 'no-store', ...headers },
  });
}
