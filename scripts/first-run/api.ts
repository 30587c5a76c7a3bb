/** The few calls of the HTTP API that the first run makes, as any program would make them. */
import type { z } from 'zod';

const callTimeoutMs = 60_000;

export type Api = {
  get<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.infer<Schema>>;
  post<Schema extends z.ZodType>(path: string, body: unknown, schema: Schema): Promise<z.infer<Schema>>;
  /** A document as it is downloaded. */
  download(path: string): Promise<Uint8Array>;
};

/** The API as the organisation of a token sees it. */
export function apiOf(url: string, token: string): Api {
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(callTimeoutMs),
    });
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
    return response;
  };
  return {
    get: async (path, schema) => schema.parse(await (await call('GET', path)).json()),
    post: async (path, body, schema) => schema.parse(await (await call('POST', path, body)).json()),
    download: async (path) => new Uint8Array(await (await call('GET', path)).arrayBuffer()),
  };
}
