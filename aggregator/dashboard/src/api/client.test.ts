import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ApiError, createApiClient, fileNameIn } from './client.ts';

const Pong = z.object({ pong: z.number() });
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A client of a real server that answers as told. */
async function clientOf(handler: Handler) {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const origin = `http://127.0.0.1:${address.port}`;
  return createApiClient({ origin, token: 'rc_secret', fetch: (...call) => fetch(...call), nowMs: () => 42 });
}

const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

async function failureOf(call: Promise<unknown>): Promise<ApiError> {
  const error = await call.then(
    () => new Error('it did not fail'),
    (cause: unknown) => cause,
  );
  if (!(error instanceof ApiError)) throw error;
  return error;
}

describe('an answer', () => {
  it('is parsed, and dated by the clock of the server', async () => {
    const client = await clientOf(answer(200, { pong: 1, newer: true }, { date: 'Sun, 22 Nov 2026 12:00:00 GMT' }));
    expect(await client.get('/ping', Pong)).toEqual({
      value: { pong: 1 },
      answeredAtMs: Date.parse('2026-11-22T12:00:00.000Z'),
    });
  });

  it('without a date is dated by our own clock', async () => {
    const client = await clientOf((_request, response) => {
      response.sendDate = false;
      response.end('{"pong":1}');
    });
    expect((await client.get('/ping', Pong)).answeredAtMs).toBe(42);
  });

  it('is asked for with the token in the header and not in the address', async () => {
    let seen: IncomingMessage | undefined;
    const client = await clientOf((request, response) => {
      seen = request;
      response.end('{"pong":1}');
    });
    await client.get('/ping?limit=5', Pong);
    expect(seen?.headers.authorization).toBe('Bearer rc_secret');
    expect(seen?.url).toBe('/ping?limit=5');
  });

  it.each([
    ['not JSON', answer(200, '<html>')],
    ['another shape', answer(200, { pong: 'one' })],
  ])('that is %s is not understood, and not asked for again', async (_case, handler) => {
    const error = await failureOf((await clientOf(handler)).get('/ping', Pong));
    expect(error).toMatchObject({ code: 'ANSWER_NOT_UNDERSTOOD', retryable: false, status: 200 });
  });
});

describe('a refusal', () => {
  it('keeps what the problem document says', async () => {
    const problem = {
      type: 'urn:p',
      title: 'Not found',
      status: 404,
      code: 'NOT_FOUND',
      detail: 'No such site.',
      hint: 'Look.',
    };
    const error = await failureOf((await clientOf(answer(404, problem))).get('/ping', Pong));
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      title: 'Not found',
      message: 'No such site.',
      hint: 'Look.',
      status: 404,
      retryable: false,
    });
  });

  it.each([
    [401, false],
    [403, false],
    [404, false],
    [408, true],
    [409, false],
    [422, false],
    [429, true],
    [500, true],
    [503, true],
  ])('with %d may be tried again: %s', async (status, retryable) => {
    const error = await failureOf((await clientOf(answer(status, 'no problem document'))).get('/ping', Pong));
    expect(error).toMatchObject({ code: `HTTP_${status}`, status, retryable });
  });

  it.each([
    ['7', 7000],
    ['Sun, 22 Nov 2026 12:00:00 GMT', null],
    ['-1', null],
  ])('says when to come back: %s', async (header, retryAfterMs) => {
    const client = await clientOf(answer(503, {}, { 'retry-after': header }));
    expect((await failureOf(client.get('/ping', Pong))).retryAfterMs).toBe(retryAfterMs);
  });

  it('never repeats the token', async () => {
    const error = await failureOf((await clientOf(answer(401, {}))).get('/ping', Pong));
    expect(JSON.stringify([error.message, error.hint, error.title, error.stack])).not.toContain('rc_secret');
  });
});

describe('no answer', () => {
  it('is an aggregator that cannot be reached, when the connection is cut', async () => {
    const client = await clientOf((request) => request.socket.destroy());
    expect(await failureOf(client.get('/ping', Pong))).toMatchObject({
      code: 'UNREACHABLE',
      retryable: true,
      status: null,
    });
  });

  it('is the same when it is cut in the middle', async () => {
    const client = await clientOf((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"pong":');
      response.socket?.end();
    });
    expect(await failureOf(client.get('/ping', Pong))).toMatchObject({ code: 'UNREACHABLE', retryable: true });
  });

  it('is no failure when the reader went elsewhere', async () => {
    const leave = new AbortController();
    const client = await clientOf(() => leave.abort());
    await expect(client.get('/ping', Pong, leave.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('is what a redirect is: the token goes nowhere else', async () => {
    const client = await clientOf(answer(302, '', { location: '/elsewhere' }));
    expect((await failureOf(client.get('/ping', Pong))).code).toBe('UNREACHABLE');
  });
});

describe('a document', () => {
  it('comes with its bytes and its name', async () => {
    const client = await clientOf((_request, response) => {
      response.setHeader('content-disposition', 'attachment; filename="INV-2026-000001.pdf"');
      response.end(Buffer.from([0, 255, 10]));
    });
    const { fileName, content } = await client.document('/pdf');
    expect(fileName).toBe('INV-2026-000001.pdf');
    expect([...new Uint8Array(await content.arrayBuffer())]).toEqual([0, 255, 10]);
  });

  it.each([
    [null, null],
    ['attachment', null],
    ['attachment; filename=plain.csv', 'plain.csv'],
    ['attachment; filename="a b.csv"', 'a b.csv'],
    [`attachment; filename="x.csv"; filename*=UTF-8''S%C3%BCd.csv`, 'Süd.csv'],
    [`attachment; filename="x.csv"; filename*=UTF-8''%ZZ`, 'x.csv'],
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ['attachment; filename="C:\\temp\\a.pdf"', 'a.pdf'],
  ])('is named by %s: %s', (header, name) => {
    expect(fileNameIn(header)).toBe(name);
  });
});
