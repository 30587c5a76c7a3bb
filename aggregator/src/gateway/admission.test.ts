import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayRig, type RigOptions } from './testing/gateway-rig.ts';
import { SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
const start = async (options: RigOptions = {}): Promise<void> => {
  rig = await GatewayRig.start(options);
};
afterEach(() => rig.dispose());

type Answer = { status: number; headers: string; body: unknown };

/** Speaks HTTP by hand and reads until the other side closes. */
async function upgrade(
  options: { method?: string; path?: string; protocol?: string | null; headers?: string[] } = {},
): Promise<Answer> {
  const { method = 'GET', path = sitePaths.socket, protocol = subprotocol, headers = [] } = options;
  const socket = connect(rig.port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ...(protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...headers,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  await once(socket, 'close');
  const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), headers: head, body: body === '' ? null : JSON.parse(body) };
}

describe('admission', () => {
  it.each([
    [404, 'NOT_FOUND', { path: '/' }],
    [404, 'NOT_FOUND', { path: `${sitePaths.socket}/../../etc/passwd` }],
    [405, 'METHOD_NOT_ALLOWED', { method: 'POST' }],
    [426, 'SUBPROTOCOL_NEEDED', { protocol: null }],
    [426, 'SUBPROTOCOL_NEEDED', { protocol: 'rollcall.site.v0, chat' }],
  ])('answers %i %s to an upgrade of %j', async (status, code, request) => {
    await start();
    const answer = await upgrade(request);
    expect(answer).toMatchObject({ status, body: { status, code, type: 'about:blank' } });
    expect(answer.headers).toContain('Content-Type: application/problem+json');
    if (status === 426) expect(answer.headers).toContain(`Sec-WebSocket-Protocol: ${subprotocol}`);
  });

  it('takes the subprotocol among others, and a query behind the path', async () => {
    await start();
    const client = new SiteClient(rig.port, {
      path: `${sitePaths.socket}?from=test`,
      protocols: ['chat', subprotocol],
    });
    await client.next('challenge');
    expect(client.socket.protocol).toBe(subprotocol);
    await client.close();
  });

  it('answers 503 with Retry-After when all places are taken, and lets in again when one is free', async () => {
    await start({ limits: { connectionsMax: 2 } });
    const first = new SiteClient(rig.port);
    const second = new SiteClient(rig.port);
    await Promise.all([first.next('challenge'), second.next('challenge')]);
    const answer = await upgrade();
    expect(answer).toMatchObject({ status: 503, body: { code: 'TOO_MANY_CONNECTIONS' } });
    expect(answer.headers).toMatch(/Retry-After: \d+/);
    await first.close();
    await wait(50);
    const third = new SiteClient(rig.port);
    await third.next('challenge');
    await Promise.all([second.close(), third.close()]);
  });

  it('answers 429 with Retry-After to an address with too many connections', async () => {
    await start({ limits: { connectionsPerAddressMax: 1 } });
    const first = new SiteClient(rig.port);
    await first.next('challenge');
    const answer = await upgrade();
    expect(answer).toMatchObject({ status: 429, body: { code: 'TOO_MANY_CONNECTIONS' } });
    expect(answer.headers).toMatch(/Retry-After: \d+/);
    await first.close();
  });

  it('answers 429 with Retry-After to an address that opens them too fast', async () => {
    await start({ limits: { handshakesPerMinuteMax: 3 } });
    for (let times = 0; times < 3; times++) {
      const client = new SiteClient(rig.port);
      await client.next('challenge');
      await client.close();
    }
    const answer = await upgrade();
    expect(answer).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED' } });
    expect(Number(/Retry-After: (\d+)/.exec(answer.headers)?.[1])).toBeGreaterThan(50);
  });

  it('does not believe what a client says of its address, unless a proxy of ours stands in front', async () => {
    await start({ limits: { handshakesPerMinuteMax: 1 } });
    const first = new SiteClient(rig.port, { headers: { 'x-forwarded-for': '192.0.2.1' } });
    await first.next('challenge');
    expect(await upgrade({ headers: ['X-Forwarded-For: 192.0.2.2'] })).toMatchObject({ status: 429 });
    await first.close();
    await rig.dispose();
    await start({ limits: { handshakesPerMinuteMax: 1 }, trustedProxies: 1 });
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      const client = new SiteClient(rig.port, { headers: { 'x-forwarded-for': `10.0.0.1, ${address}` } });
      await client.next('challenge');
      await client.close();
    }
    expect(await upgrade({ headers: ['X-Forwarded-For: 203.0.113.9, 192.0.2.2'] })).toMatchObject({ status: 429 });
  });

  it('counts an IPv6 customer by its network, whichever of its addresses it comes from', async () => {
    await start({ limits: { handshakesPerMinuteMax: 1 }, trustedProxies: 1 });
    const first = new SiteClient(rig.port, { headers: { 'x-forwarded-for': '2001:db8:0:1::1' } });
    await first.next('challenge');
    expect(await upgrade({ headers: ['X-Forwarded-For: 2001:0db8:0000:0001:ffff::2'] })).toMatchObject({ status: 429 });
    const neighbour = new SiteClient(rig.port, { headers: { 'x-forwarded-for': '2001:db8:0:2::1' } });
    await neighbour.next('challenge');
    await Promise.all([first.close(), neighbour.close()]);
  });

  it('answers 503 while it stops', async () => {
    await start();
    const client = new SiteClient(rig.port);
    await client.next('challenge');
    const stopping = rig.gateway.stop();
    expect(await upgrade()).toMatchObject({ status: 503, body: { code: 'GOING_AWAY' } });
    expect(await client.bye()).toBe('GOING_AWAY');
    await stopping;
  });
});
