/** The whole aggregator on a real port: what lies below and around the application. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byeCodes } from '@rollcall/shared/protocol/bye.ts';
import { enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import { generateSigningKey, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Aggregator, createAggregator } from './aggregator.ts';
import { AggregatorConfig } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'rollcall-aggregator-'));
const running: Aggregator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((aggregator) => aggregator.stop()));
});
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

let databases = 0;
async function start(settings: Partial<AggregatorConfig> = {}): Promise<Aggregator> {
  const config = AggregatorConfig.parse({
    database: `sqlite:${join(folder, `${++databases}.db`)}`,
    port: 0,
    dashboardFolder: folder,
    ...settings,
  });
  const aggregator = await createAggregator(config, { logger: createLogger({ name: 'test', level: 'silent' }) });
  running.push(aggregator);
  return aggregator;
}

/** Sends bytes as they are and reads what comes until the other side closes. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = await opened(port);
  socket.write(bytes);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

async function opened(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

const problemOf = (answer: string): { status: number; code: string } =>
  JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));

describe('an aggregator', () => {
  it('answers HTTP and upgrades sites on one port', async () => {
    const { url } = await start();
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok' });
    const socket = new WebSocket(url.replace('http', 'ws') + sitePaths.socket, subprotocol);
    const [frame] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(frame.toString())).toMatchObject({ kind: 'challenge' });
    socket.close();
    await once(socket, 'close');
  });

  it('refuses an upgrade that is no site’s', async () => {
    const { url } = await start();
    const socket = new WebSocket(`${url.replace('http', 'ws')}/elsewhere`, subprotocol);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(404);
  });

  it('is the only one on its database, and leaves it to the next when it stops', async () => {
    const database = `sqlite:${join(folder, `${++databases}.db`)}`;
    const first = await start({ database });
    await expect(start({ database })).rejects.toMatchObject({ code: 'DATABASE_IN_USE' });
    expect(await (await fetch(`${first.url}/health`)).json()).toMatchObject({ status: 'ok' });
    await first.stop();
    await start({ database });
  });

  it('takes as many handshakes and enrolments of one address a minute as it is set to', async () => {
    const { url } = await start({ handshakesPerMinute: 2, enrolmentsPerMinute: 3 });
    const upgrade = async (): Promise<number> => {
      const socket = new WebSocket(url.replace('http', 'ws') + sitePaths.socket, subprotocol);
      const status = await Promise.race([
        once(socket, 'message').then(() => 101),
        once(socket, 'unexpected-response').then(([, response]) => (response as { statusCode: number }).statusCode),
      ]);
      socket.on('error', () => undefined);
      socket.terminate();
      return status;
    };
    expect([await upgrade(), await upgrade(), await upgrade()]).toEqual([101, 101, 429]);
    const signer = signerFromPem(generateSigningKey().privateKeyPem);
    const unsigned = {
      token: 'rce_00000000000000000000',
      publicKey: signer.publicKey,
      head: { seq: 0, hash: '0'.repeat(64) },
    };
    const body = JSON.stringify({
      ...unsigned,
      software: 'test 1',
      hostName: 'host',
      signature: signer.sign(enrolText(unsigned)),
    });
    const enrol = async (): Promise<number> =>
      (await fetch(url + sitePaths.enrol, { method: 'POST', headers: { 'content-type': 'application/json' }, body }))
        .status;
    expect([await enrol(), await enrol(), await enrol(), await enrol()]).toEqual([404, 404, 404, 429]);
  });

  it('enrols nobody by a token it does not know, and says so', async () => {
    const { url } = await start();
    const response = await fetch(url + sitePaths.enrol, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: 'rce_0000000000000000000000000' }),
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([422, 'INVALID_INPUT']);
  });

  it('keeps its lease key and its data over a restart', async () => {
    const database = `sqlite:${join(folder, 'restarted.db')}`;
    const pem = (aggregator: Aggregator) => aggregator.store.secrets.privateKeyPem('lease-signing', () => 'another');
    const first = await start({ database });
    const before = await pem(first);
    await first.stop();
    expect(await pem(await start({ database }))).toBe(before);
    expect(before).toContain('PRIVATE KEY');
  });

  it('says in one sentence that its port is taken, and lets go of the database', async () => {
    const { port } = await start();
    const database = `sqlite:${join(folder, 'released.db')}`;
    await expect(start({ port, database })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `port ${port} on 127.0.0.1 is taken by another program`,
    });
    await start({ database });
  });

  it('says in one sentence that its database cannot be used', async () => {
    await expect(start({ database: `sqlite:${folder}` })).rejects.toMatchObject({ code: 'DATABASE_UNUSABLE' });
    await expect(start({ database: 'postgres://rollcall:geheim@127.0.0.1:1/rollcall' })).rejects.toSatisfy(
      (error: Error & { code: string }) => error.code === 'STORE_UNAVAILABLE' && !error.message.includes('geheim'),
    );
  });
});

describe('a request that is none', () => {
  it.each([
    ['not HTTP at all', 'hello\r\n\r\n', 400, 'BAD_REQUEST'],
    [
      'headers beyond the limit',
      `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'HEADERS_TOO_LARGE',
    ],
    [
      'two lengths',
      'POST /api/v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      400,
      'BAD_REQUEST',
    ],
  ])('%s is answered with a problem', async (_case, bytes, status, code) => {
    const { port } = await start();
    const answer = await exchange(port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(problemOf(answer)).toMatchObject({ status, code });
  });

  it.each([
    ['its headers', 'GET /health HTTP/1.1\r\nhost: x\r\n'],
    [
      'its body',
      'POST /site/v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    ],
  ])('%s never coming to an end, is given up on', async (_what, bytes) => {
    const { port } = await start({ requestTimeoutSeconds: 1 });
    const answer = await exchange(port, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 (408|504) /);
  });

  it('is refused by its announced length, before its body comes', async () => {
    const { port } = await start();
    const answer = await exchange(
      port,
      'POST /site/v1/enrol HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n',
    );
    expect(problemOf(answer)).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' });
  });

  it('is refused as soon as its unannounced length is too much', async () => {
    const { port } = await start({ bodyBytesMax: 1024 });
    const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
    const answer = await exchange(
      port,
      `POST /site/v1/enrol HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
    );
    expect(answer).toContain('BODY_TOO_LARGE');
  });
});

describe('stopping', () => {
  it('says goodbye to the sites, ends idle connections, and takes no new one', async () => {
    const aggregator = await start();
    const { url, port } = aggregator;
    const site = new WebSocket(url.replace('http', 'ws') + sitePaths.socket, subprotocol);
    await once(site, 'message');
    const idle = (await opened(port)).resume();
    const closed = once(site, 'close') as Promise<[number]>;
    const idleClosed = once(idle, 'close');
    const began = performance.now();
    await Promise.all([aggregator.stop(), aggregator.stop()]);
    // The limit for what is under way is 10 s: nothing is.
    expect(performance.now() - began).toBeLessThan(5_000);
    expect((await closed)[0]).toBe(byeCodes.GOING_AWAY.close);
    await idleClosed;
    await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed');
  });

  it('cuts what does not end in time', async () => {
    const aggregator = await start({ stopTimeoutSeconds: 1 });
    const slow = await opened(aggregator.port);
    slow.on('error', () => undefined).resume();
    slow.write(
      'POST /site/v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    );
    const closed = once(slow, 'close');
    // Until the request is under way: what comes later is answered 503 at once.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const began = performance.now();
    await aggregator.stop();
    expect(performance.now() - began).toBeGreaterThan(900);
    await closed;
  });
});
