/** The HTTP API as any organisation’s program calls it: parsed answers, or the refusal with its code. `npm start` uses it too. */
import type { Page } from '@rollcall/shared/api/page.ts';
import { Problem } from '@rollcall/shared/api/problem.ts';
import type { z } from 'zod';

const callTimeoutMs = 30_000;

/** A call that was refused. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(call: string, status: number, body: string) {
    super(`${call} answered ${status}: ${body.slice(0, 2_000)}`);
    this.status = status;
    this.code = codeOf(body);
  }
}

export class Api {
  readonly url: string;
  readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  async get<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
    return schema.parse(await (await this.call('GET', path)).json());
  }

  async post<Schema extends z.ZodType>(path: string, body: unknown, schema: Schema): Promise<z.output<Schema>> {
    return schema.parse(await (await this.call('POST', path, body)).json());
  }

  async patch<Schema extends z.ZodType>(path: string, body: unknown, schema: Schema): Promise<z.output<Schema>> {
    return schema.parse(await (await this.call('PATCH', path, body)).json());
  }

  /** All rows of a list, page by page. */
  async list<Row>(path: string, page: z.ZodType<Page<Row>>): Promise<Row[]> {
    const rows: Row[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query = `${path.includes('?') ? '&' : '?'}limit=500${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const read: Page<Row> = await this.get(`${path}${query}`, page);
      rows.push(...read.rows);
      cursor = read.nextCursor;
    }
    return rows;
  }

  /** A document as it is downloaded. */
  async download(path: string): Promise<{ mediaType: string; content: Buffer }> {
    const response = await this.call('GET', path);
    return {
      mediaType: response.headers.get('content-type') ?? '',
      content: Buffer.from(await response.arrayBuffer()),
    };
  }

  /** @throws ApiRefusal */
  async call(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(callTimeoutMs),
    });
    if (!response.ok) throw new ApiRefusal(`${method} ${path}`, response.status, await response.text());
    return response;
  }
}

/** The code of a problem document; what stands there where it is none. */
export function codeOf(body: string): string {
  try {
    const problem = Problem.safeParse(JSON.parse(body));
    return problem.success ? problem.data.code : `no problem document: ${body.slice(0, 200)}`;
  } catch {
    return `no JSON: ${body.slice(0, 200)}`;
  }
}
