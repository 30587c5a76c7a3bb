import { connect } from 'node:net';
import { request as httpRequest } from 'node:http';
import { networkInterfaces } from 'node:os';
import { localBodyBytesMax, localPaths, localRefusals, type SiteStatus } from '@rollcall/shared/api/local.ts';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { refuse, RollcallError } from '@rollcall/shared/domain/problem.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLocalApp } from './app.ts';
import { addressKey, defaultRateLimits, type RateLimits } from './rate-limits.ts';
import { listenLocally, type LocalServer } from './server.ts';
import type { SitePort } from './site-port.ts';

const operatorToken = 'operator-token-for-tests-0123456789';
const joinCode = 'join-code-for-tests';
const productKey = 'abcde-abcde-abcde-abcde-abcde';
const credential = 'credential-for-tests-0123456789';
const endpointId = 'ep_00000000000000000001';
const secrets = [operatorToken, joinCode, productKey, credential];
const agent = { kind: 'server', product: 'metered-agent', agentVersion: '1.2.3', hostName: 'web-1' };

/** A Site Manager that admits by the secrets above and remembers nothing. */
function fakeSite(): SitePort {
  return {
    registerEndpoint: async (request) =>
      request.joinCode === joinCode || request.productKey === productKey
        ? { ok: true, endpointId, credential }
        : refuse('JOIN_CODE_WRONG', 'the join code is not that of this site'),
    checkIn: async (given) =>
      given === credential
        ? {
            ok: true,
            at: '2026-03-01T00:00:00.000Z',
            deployed: true,
            keyState: 'active',
            allowed: { backup: true, deploy: true, restore: true },
            nextCheckInSeconds: 900,
          }
        : refuse('CREDENTIAL_WRONG', 'the credential is not known here'),
    removeEndpoint: async () => refuse('NOT_DEPLOYED', 'no agent is deployed there', 'look at the list'),
    correctReport: async () => refuse('MONTH_NOT_SEALED', 'not sealed'),
    confirmClock: async () => ({ ok: true, confirmed: true }),
    status: () => ({ siteName: 'Rome' }) as unknown as SiteStatus,
  };
}

let server: LocalServer;
let written: string[];

async function start(
  parts: { site?: Partial<SitePort>; rateLimits?: Partial<RateLimits>; clock?: Clock; host?: string } = {},
): Promise<void> {
  written = [];
  const logger = createLogger({ name: 'test', level: 'trace' }, { write: (line: string) => void written.push(line) });
  const clock = parts.clock ?? systemClock;
  const app = createLocalApp({
    site: { ...fakeSite(), ...parts.site },
    operatorToken,
    clock,
    logger,
    rateLimits: { ...defaultRateLimits, ...parts.rateLimits },
  });
  server = await listenLocally(app, { host: parts.host ?? '127.0.0.1', port: 0 }, systemClock);
}

type Answer = { status: number; headers: Headers; text: string; code: string | undefined };

async function ask(
  path: string,
  init: Omit<RequestInit, 'headers'> & { json?: unknown; bearer?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { json, bearer, ...rest } = init;
  const response = await fetch(`${server.url}${path}`, {
    ...rest,
    ...(json === undefined ? {} : { method: 'POST', body: JSON.stringify(json) }),
    headers: {
      ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
      ...rest.headers,
    },
  });
  const text = await response.text();
  const code = /"code":"([A-Z_]+)"/.exec(text)?.[1];
  return { status: response.status, headers: response.headers, text, code };
}

const registration = { machineId: 'machine-0001', hostName: 'web-1', joinCode };

beforeEach(() => start());
afterEach(() => server.close());

describe('what endpoints ask', () => {
  test('a machine that shows join code or product key gets a credential', async () => {
    for (const proof of [{ joinCode }, { joinCode: undefined, productKey }]) {
      const answer = await ask(localPaths.register, { json: { ...registration, ...proof } });
      expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { endpointId, credential }]);
      expect(answer.headers.get('cache-control')).toBe('no-store');
    }
  });

  test('a check-in with the credential is answered; null says that the agent is gone', async () => {
    const checkIn = vi.fn<SitePort['checkIn']>((given, sent) => fakeSite().checkIn(given, sent));
    await server.close();
    await start({ site: { checkIn } });
    expect((await ask(localPaths.checkIn, { json: { agent }, bearer: credential })).status).toBe(200);
    expect((await ask(localPaths.checkIn, { json: { agent: null }, bearer: credential })).status).toBe(200);
    expect(checkIn.mock.calls).toEqual([
      [credential, agent],
      [credential, null],
    ]);
  });

  test('health says that it lives, and nothing of the site', async () => {
    const answer = await ask(localPaths.health);
    expect([answer.status, answer.text]).toEqual([200, '{"status":"ok"}']);
  });
});

describe('what is refused', () => {
  const longName = 'a'.repeat(1_000_000);
  test.each<[what: string, status: number, code: string, path: string, init: Parameters<typeof ask>[1]]>([
    ['an unknown path', 404, 'NOT_FOUND', '/endpoint/v2/register', {}],
    ['another method', 404, 'NOT_FOUND', localPaths.register, { method: 'DELETE' }],
    ['a path out of the tree', 404, 'NOT_FOUND', '/endpoint/v1/../../etc/passwd', {}],
    [
      'no JSON',
      400,
      'BAD_REQUEST',
      localPaths.register,
      { method: 'POST', body: '{', headers: { 'Content-Type': 'application/json' } },
    ],
    [
      'no body',
      400,
      'BAD_REQUEST',
      localPaths.register,
      { method: 'POST', headers: { 'Content-Type': 'application/json' } },
    ],
    [
      'bytes that are no UTF-8',
      400,
      'BAD_REQUEST',
      localPaths.register,
      { method: 'POST', body: new Uint8Array([0x22, 0xff, 0x22]), headers: { 'Content-Type': 'application/json' } },
    ],
    [
      'a form that a web page can send',
      400,
      'BAD_REQUEST',
      localPaths.register,
      { method: 'POST', body: JSON.stringify(registration), headers: { 'Content-Type': 'text/plain' } },
    ],
    ['a wrong type', 400, 'BAD_REQUEST', localPaths.register, { json: { ...registration, machineId: 7 } }],
    [
      'NUL in a host name',
      400,
      'BAD_REQUEST',
      localPaths.register,
      { json: { ...registration, hostName: 'a\u0000b' } },
    ],
    ['an array', 400, 'BAD_REQUEST', localPaths.register, { json: [registration] }],
    [
      'a name of a megabyte',
      413,
      'BODY_TOO_LARGE',
      localPaths.register,
      { json: { ...registration, hostName: longName } },
    ],
    [
      'a wrong join code',
      403,
      'JOIN_CODE_WRONG',
      localPaths.register,
      { json: { ...registration, joinCode: 'another-code' } },
    ],
    ['a check-in without credential', 401, 'CREDENTIAL_WRONG', localPaths.checkIn, { json: { agent } }],
    [
      'a check-in with a wrong credential',
      401,
      'CREDENTIAL_WRONG',
      localPaths.checkIn,
      { json: { agent }, bearer: 'wrong' },
    ],
    [
      'a check-in with another scheme',
      401,
      'CREDENTIAL_WRONG',
      localPaths.checkIn,
      { json: { agent }, headers: { Authorization: `Basic ${credential}` } },
    ],
    [
      'an unknown kind of agent',
      400,
      'BAD_REQUEST',
      localPaths.checkIn,
      { json: { agent: { ...agent, kind: 'toaster' } }, bearer: credential },
    ],
    ['operator calls without token', 401, 'CREDENTIAL_WRONG', localPaths.status, {}],
    [
      'operator calls with an endpoint’s credential',
      401,
      'CREDENTIAL_WRONG',
      localPaths.status,
      { bearer: credential },
    ],
    ['operator calls to nowhere', 404, 'NOT_FOUND', '/operator/v1/else', { bearer: operatorToken }],
    [
      'what the Site Manager refuses',
      409,
      'NOT_DEPLOYED',
      localPaths.removeEndpoint,
      { json: { endpointId, reason: 'operator' }, bearer: operatorToken },
    ],
    [
      'a month that is none',
      400,
      'BAD_REQUEST',
      localPaths.correctReport,
      { json: { month: '2026-13', exclude: [endpointId], reason: 'x' }, bearer: operatorToken },
    ],
  ])('%s', async (_, status, code, path, init) => {
    const answer = await ask(path, init);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(JSON.parse(answer.text)).toMatchObject({
      type: 'about:blank',
      status,
      code,
      title: expect.any(String),
      detail: expect.any(String),
    });
    if (status === 401) expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    for (const secret of secrets) expect(answer.text + written.join()).not.toContain(secret);
    expect((await ask(localPaths.health)).status).toBe(200);
  });

  test('a body without announced length is read up to the limit and cut off there', async () => {
    const padded = (spaces: number): Parameters<typeof ask>[1] => {
      const body = new ReadableStream({
        start(controller) {
          for (let sent = 0; sent < spaces; sent += 1024) controller.enqueue(new Uint8Array(1024).fill(0x20));
          controller.enqueue(new TextEncoder().encode(JSON.stringify(registration)));
          controller.close();
        },
      });
      return { method: 'POST', body, duplex: 'half', headers: { 'Content-Type': 'application/json' } };
    };
    expect((await ask(localPaths.register, padded(localBodyBytesMax - 1024))).status).toBe(200);
    expect((await ask(localPaths.register, padded(localBodyBytesMax))).code).toBe('BODY_TOO_LARGE');
  });

  test('headers past their limit', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const sent = httpRequest(
        `${server.url}${localPaths.health}`,
        { headers: { 'X-Long': 'a'.repeat(20_000) } },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        },
      );
      sent.on('error', reject);
      sent.end();
    });
    expect(status).toBe(431);
  });

  test('a client that never finishes its request is cut off', { timeout: 15_000 }, async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('POST /endpoint/v1/register HTTP/1.1\r\nHost: a\r\n');
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      socket.on('data', (chunk) => (text += String(chunk)));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });
    expect(answer).toContain('408');
  });

  test('every refusal has its status, and every 5xx and 429 says when to come back', async () => {
    for (const [code, status] of Object.entries(localRefusals)) {
      await server.close();
      await start({ site: { checkIn: async () => refuse(code as keyof typeof localRefusals, 'no') } });
      const answer = await ask(localPaths.checkIn, { json: { agent: null }, bearer: credential });
      expect([answer.status, answer.code]).toEqual([status, code]);
      expect(answer.headers.has('retry-after')).toBe(status === 429 || status >= 500);
    }
  });
});

describe('when the Site Manager fails', () => {
  test('an error is logged without the request and answered without its text', async () => {
    await server.close();
    const failing = async (): Promise<never> => {
      throw new RollcallError('STORE_FAILED', 'disk is full at /secret/path', { retryable: true });
    };
    await start({ site: { registerEndpoint: failing } });
    const answer = await ask(localPaths.register, { json: registration });
    expect([answer.status, answer.code]).toEqual([500, 'INTERNAL']);
    expect(answer.headers.has('retry-after')).toBe(true);
    expect(answer.text).not.toContain('/secret/path');
    expect(written.join()).toContain('disk is full');
    for (const secret of secrets) expect(written.join()).not.toContain(secret);
  });

  test('an answer that does not come is given up', async () => {
    await server.close();
    const clock = new ManualClock('2026-03-01T00:00:00.000Z');
    const asked = Promise.withResolvers<void>();
    const never = (): Promise<never> => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    await start({ clock, site: { checkIn: never } });
    const answer = ask(localPaths.checkIn, { json: { agent }, bearer: credential });
    await asked.promise;
    clock.advance(10_000);
    expect((await answer).code).toBe('INTERNAL');
  });
});

describe('what an operator asks', () => {
  test('is answered with the token', async () => {
    expect((await ask(localPaths.status, { bearer: operatorToken })).text).toBe('{"siteName":"Rome"}');
    const confirmed = await ask(localPaths.confirmClock, { json: {}, bearer: operatorToken });
    expect([confirmed.status, confirmed.text]).toEqual([200, '{"confirmed":true}']);
  });

  test('is told what to do where the Site Manager knows', async () => {
    const answer = await ask(localPaths.removeEndpoint, {
      json: { endpointId, reason: 'replaced' },
      bearer: operatorToken,
    });
    expect(JSON.parse(answer.text)).toMatchObject({ detail: 'no agent is deployed there', hint: 'look at the list' });
  });

  test('is answered on this machine, whatever address of it was used', async () => {
    await server.close();
    await start({ host: '0.0.0.0' });
    const own = Object.values(networkInterfaces())
      .flat()
      .filter((entry) => entry?.family === 'IPv4');
    for (const entry of own) {
      const url = `http://${entry?.address}:${new URL(server.url).port}${localPaths.status}`;
      const response = await fetch(url, { headers: { Authorization: `Bearer ${operatorToken}` } });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  });
});

describe('who asks too often', () => {
  test('a credential is slowed down, others are not', async () => {
    await server.close();
    await start({ rateLimits: { perCredential: 3 } });
    const codes = [];
    for (let count = 0; count < 5; count++)
      codes.push((await ask(localPaths.checkIn, { json: { agent }, bearer: credential })).status);
    expect(codes).toEqual([200, 200, 200, 429, 429]);
    const limited = await ask(localPaths.checkIn, { json: { agent }, bearer: credential });
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(limited.code).toBe('RATE_LIMITED');
    expect((await ask(localPaths.checkIn, { json: { agent }, bearer: 'another' })).status).toBe(401);
  });

  test('an address is slowed down', async () => {
    await server.close();
    await start({ rateLimits: { perAddress: 2 } });
    expect([(await ask('/health')).status, (await ask('/health')).status, (await ask('/health')).status]).toEqual([
      200, 200, 429,
    ]);
  });

  test('everyone together is slowed down', async () => {
    await server.close();
    await start({ rateLimits: { inAll: 1 } });
    expect([(await ask('/health')).status, (await ask('/health')).status]).toEqual([200, 429]);
  });

  test('a guesser of join codes is locked out, and so is the right code from there; check-ins and the operator go on', async () => {
    await server.close();
    await start({ rateLimits: { failuresPerAddress: 3 } });
    const guess = (): Promise<Answer> =>
      ask(localPaths.register, { json: { ...registration, joinCode: 'guessed-code' } });
    expect([(await guess()).status, (await guess()).status, (await guess()).status, (await guess()).status]).toEqual([
      403, 403, 403, 429,
    ]);
    expect((await ask(localPaths.register, { json: registration })).status).toBe(429);
    expect((await ask(localPaths.status, { bearer: operatorToken })).status).toBe(200);
    expect((await ask(localPaths.checkIn, { json: { agent }, bearer: credential })).status).toBe(200);
  });

  test('a guesser of operator tokens is locked out of what operators ask, and keeps nobody from registering', async () => {
    await server.close();
    await start({ rateLimits: { failuresPerAddress: 2 } });
    const guess = (): Promise<Answer> => ask(localPaths.status, { bearer: 'guessed' });
    expect([(await guess()).status, (await guess()).status, (await guess()).status]).toEqual([401, 401, 429]);
    expect((await ask(localPaths.status, { bearer: operatorToken })).status).toBe(429);
    expect((await ask(localPaths.register, { json: registration })).status).toBe(200);
  });

  test('machines with stale credentials keep nobody from registering anew, nor the operator out', async () => {
    const stale = Array.from({ length: defaultRateLimits.failuresPerAddress + 5 }, (_, n) => `stale-credential-${n}`);
    for (const bearer of stale) expect((await ask(localPaths.checkIn, { json: { agent }, bearer })).status).toBe(401);
    expect((await ask(localPaths.register, { json: registration })).status).toBe(200);
    expect((await ask(localPaths.status, { bearer: operatorToken })).status).toBe(200);
  });

  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2:ffff::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

describe('the socket', () => {
  test('a taken port is told in one sentence with what to do', async () => {
    const port = Number(new URL(server.url).port);
    const app = createLocalApp({
      site: fakeSite(),
      operatorToken,
      clock: systemClock,
      logger: createLogger({ name: 'test', level: 'silent' }),
    });
    await expect(listenLocally(app, { host: '127.0.0.1', port }, systemClock)).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `port ${port} on 127.0.0.1 is taken by another program`,
      hint: expect.stringContaining('--local-api-port'),
    });
  });

  test('an address of another machine cannot be listened on', async () => {
    const app = createLocalApp({
      site: fakeSite(),
      operatorToken,
      clock: systemClock,
      logger: createLogger({ name: 'test', level: 'silent' }),
    });
    await expect(listenLocally(app, { host: '192.0.2.1', port: 0 }, systemClock)).rejects.toMatchObject({
      code: 'ADDRESS_UNUSABLE',
    });
  });

  test('closing waits for the request under way', async () => {
    await server.close();
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<{ ok: true; confirmed: true }>();
    await start({
      site: {
        confirmClock: () => {
          asked.resolve();
          return answer.promise;
        },
      },
    });
    const confirmed = ask(localPaths.confirmClock, { json: {}, bearer: operatorToken });
    await asked.promise;
    const closed = server.close();
    answer.resolve({ ok: true, confirmed: true });
    expect((await confirmed).status).toBe(200);
    await closed;
    await start();
  });
});
