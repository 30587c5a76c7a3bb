/** The HTTP API as the commands use it: one request, parsed by the schemas the server validates with. */
import { Problem } from '@rollcall/shared/api/problem.ts';
import { pageLimitMax, pageOf } from '@rollcall/shared/api/page.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { z } from 'zod';
import { ProblemError } from './failure.ts';

const requestTimeoutMs = 60_000;

export type Query = Record<string, string | number | boolean | undefined>;

export class ApiClient {
  readonly #server: string;
  readonly #token: string;

  constructor(server: string, token: string) {
    this.#server = server;
    this.#token = token;
  }

  async get<Schema extends z.ZodType>(path: string, schema: Schema, query: Query = {}): Promise<z.output<Schema>> {
    return this.#json(await this.#send('GET', path, query), schema);
  }

  async post<Schema extends z.ZodType>(path: string, body: object, schema: Schema): Promise<z.output<Schema>> {
    return this.#json(await this.#send('POST', path, {}, body), schema);
  }

  async patch<Schema extends z.ZodType>(path: string, body: object, schema: Schema): Promise<z.output<Schema>> {
    return this.#json(await this.#send('PATCH', path, {}, body), schema);
  }

  /** Follows the pages of a list up to `limit` rows; `more` tells that there are others. */
  async list<Row extends z.ZodType>(
    path: string,
    row: Row,
    query: Query,
    limit: number,
  ): Promise<{ rows: z.output<Row>[]; more: boolean }> {
    const page = pageOf(row);
    const rows: z.output<Row>[] = [];
    let cursor: string | undefined;
    do {
      const next = await this.get(path, page, { ...query, cursor, limit: Math.min(pageLimitMax, limit - rows.length) });
      rows.push(...next.rows);
      cursor = next.nextCursor ?? undefined;
    } while (cursor !== undefined && rows.length < limit);
    return { rows, more: cursor !== undefined };
  }

  /** A file and the name the server gives it. */
  async download(path: string, query: Query = {}): Promise<{ name: string; content: Uint8Array }> {
    const response = await this.#send('GET', path, query);
    const named = /filename="([A-Za-z0-9_-][A-Za-z0-9._-]{0,120})"/.exec(
      response.headers.get('content-disposition') ?? '',
    )?.[1];
    return { name: named ?? 'rollcall-download', content: new Uint8Array(await response.arrayBuffer()) };
  }

  async #json<Schema extends z.ZodType>(response: Response, schema: Schema): Promise<z.output<Schema>> {
    const read = schema.safeParse(await response.json().catch(() => undefined));
    if (read.success) return read.data;
    throw new RollcallError(
      'ANSWER_UNREADABLE',
      `what answers at ${this.#server} is not an aggregator of this version`,
      {
        retryable: false,
        hint: 'check --server, and that this program and the aggregator are of the same version',
        cause: read.error,
      },
    );
  }

  async #send(method: string, path: string, query: Query, body?: object): Promise<Response> {
    const url = new URL(this.#server + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // The token goes to the server that was named, and to no other that this one points at.
        redirect: 'error',
        signal: AbortSignal.timeout(requestTimeoutMs),
      });
    } catch (cause) {
      throw new RollcallError(
        'AGGREGATOR_UNREACHABLE',
        `cannot reach the aggregator at ${this.#server}: ${whyOf(cause)}`,
        {
          retryable: true,
          hint: 'check that it runs, and --server or ROLLCALL_SERVER',
          cause,
        },
      );
    }
    if (response.ok) return response;
    const problem = Problem.safeParse(await response.json().catch(() => undefined));
    if (problem.success) throw new ProblemError(problem.data);
    throw new RollcallError(
      'ANSWER_UNREADABLE',
      `${this.#server} answered ${response.status} and not as an aggregator does`,
      { retryable: false, hint: 'check --server' },
    );
  }
}

/** The reason lies in the cause's cause: fetch itself says "fetch failed". */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${requestTimeoutMs / 1000} seconds`;
  const { cause } = error;
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
  return error.message;
}
