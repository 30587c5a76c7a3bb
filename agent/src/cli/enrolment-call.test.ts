import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import type { EnrolRequest } from '@rollcall/shared/protocol/enrol.ts';
import { enrolRefusals } from '@rollcall/shared/protocol/enrol.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { callEnrol } from './enrolment-call.ts';

const token = 'tok_secret_abcdefghijklmnop';
const request: EnrolRequest = {
  token,
  publicKey: 'A'.repeat(43),
  software: 'rollcall-site 0.1.0',
  hostName: 'host',
  head: { seq: 0, hash: '0'.repeat(64) },
  signature: 'A'.repeat(86),
};

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (status: number, body: string, headers: Record<string, string> = {}): Promise<string> =>
  serve((_, response) => response.writeHead(status, headers).end(body));

/** What the person reads: code, sentence, advice. */
async function failure(url: string): Promise<{ code: string; message: string; hint: string; retryable: boolean }> {
  try {
    await callEnrol(url, request);
  } catch (error) {
    const told = error as { code: string; message: string; hint: string; retryable: boolean };
    expect(`${told.message} ${told.hint}`).not.toContain(token);
    return told;
  }
  throw new Error('it was enrolled');
}

describe('an enrolment that is refused', () => {
  test.each(Object.entries(enrolRefusals))('%s is told with what to do', async (code, status) => {
    const told = await failure(await answering(status, JSON.stringify({ code, detail: `the reason of ${code}` })));
    expect(told).toMatchObject({ code, message: `the reason of ${code}`, hint: expect.any(String), retryable: false });
  });

  test('with a code that this version does not know is told too', async () => {
    const told = await failure(await answering(403, '{"code":"SITE_ON_THE_MOON","detail":"too far away"}'));
    expect(told).toMatchObject({
      code: 'ENROLMENT_REFUSED',
      message: expect.stringContaining('too far away (HTTP 403)'),
    });
  });
});

describe('an enrolment that does not get through', () => {
  test.each<
    [what: string, status: number, body: string, headers: Record<string, string>, code: string, message: string]
  >([
    [
      'a web page',
      200,
      '<html>welcome</html>',
      {},
      'NOT_AN_AGGREGATOR',
      'its answer is not that of a Rollcall aggregator',
    ],
    [
      'another API',
      200,
      '{"hello":"world"}',
      {},
      'NOT_AN_AGGREGATOR',
      'its answer is not that of a Rollcall aggregator',
    ],
    ['a page that is not there', 404, 'not found', {}, 'NOT_AN_AGGREGATOR', 'it has no /site/v1/enrol'],
    [
      'a path that is not there',
      404,
      '{"code":"NOT_FOUND","detail":"nothing here"}',
      {},
      'NOT_AN_AGGREGATOR',
      'it has no /site/v1/enrol',
    ],
    ['a sign-in', 401, 'who are you?', {}, 'NOT_AN_AGGREGATOR', 'it answers HTTP 401'],
    [
      'another address',
      301,
      '',
      { Location: 'https://other.example.com/x?token=1' },
      'NOT_AN_AGGREGATOR',
      'it sends callers on to https://other.example.com',
    ],
    ['too much', 200, 'x'.repeat(1_000_000), {}, 'NOT_AN_AGGREGATOR', 'is not a Rollcall aggregator'],
    [
      'a busy aggregator',
      503,
      '{"code":"BACKLOG_FULL"}',
      { 'Retry-After': '7' },
      'AGGREGATOR_BUSY',
      'cannot enrol anyone just now (HTTP 503)',
    ],
    ['a limit', 429, '', {}, 'AGGREGATOR_BUSY', 'cannot enrol anyone just now (HTTP 429)'],
  ])('%s', async (_, status, body, headers, code, message) => {
    const told = await failure(await answering(status, body, headers));
    expect(told).toMatchObject({ code, message: expect.stringContaining(message), hint: expect.any(String) });
  });

  test('the wait that a busy aggregator asks for is passed on', async () => {
    expect((await failure(await answering(503, '', { 'Retry-After': '7' }))).hint).toContain('in 7 s');
  });

  test('nobody listens', async () => {
    const url = await answering(200, '');
    await new Promise((resolve) => server?.close(resolve));
    const told = await failure(url);
    expect(told).toMatchObject({ code: 'AGGREGATOR_UNREACHABLE', retryable: true });
    expect(told.message).toBe(`cannot reach ${url}: nothing listens on 127.0.0.1 port ${new URL(url).port}`);
    expect(told.hint).toContain('running the same command again is safe');
  });

  test('the connection breaks', async () => {
    const told = await failure(await serve((_, response) => response.destroy()));
    expect(told).toMatchObject({
      code: 'AGGREGATOR_UNREACHABLE',
      message: expect.stringContaining('the connection broke'),
    });
  });

  test('something else speaks there', async () => {
    const tcp = createTcpServer((socket) => socket.once('data', () => socket.end('220 mail.example.com ESMTP\r\n')));
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const told = await failure(`http://127.0.0.1:${(tcp.address() as AddressInfo).port}`);
    tcp.close();
    expect(told).toMatchObject({ code: 'NOT_AN_AGGREGATOR' });
  });

  test('TLS is asked of what speaks none', async () => {
    const url = await answering(200, '');
    expect(await failure(url.replace('http:', 'https:'))).toMatchObject({
      code: 'TLS_FAILED',
      message: expect.stringContaining('cannot make a secure connection'),
    });
  });

  test('a name that no machine has', async () => {
    const told = await failure('https://rollcall.invalid');
    expect(told.code).toBe('AGGREGATOR_UNREACHABLE');
    expect(told.message).toMatch(/there is no machine of the name rollcall\.invalid|names cannot be looked up/);
  });
});
