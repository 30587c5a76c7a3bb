/**
 * Acceptance A9, on the socket of the real aggregator: hostile frames, false identities, spoilt ledgers. Each gets its coded answer, both
 * processes live, and the stores are as they were. Fuzzing of codec and gateway is beside them; here it is one of each kind, end to end.
 */
import { request } from 'node:http';
import { SiteClient } from '@rollcall/aggregator/gateway/testing/site-client.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { frameBytesMax } from '@rollcall/shared/protocol/limits.ts';
import { protocolVersion } from '@rollcall/shared/protocol/version.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf } from '../support/api.ts';
import { Fortress } from '../support/fortress.ts';
import { type HandheldSite, newSigner } from '../support/handheld-site.ts';
import { siteView } from '../support/house.ts';

const someSite = `site_${'0'.repeat(20)}`;
const sqlTrick = `Robert'); DROP TABLE sites;--`;

let fortress: Fortress;

beforeAll(async () => {
  fortress = await Fortress.open();
}, 60_000);

afterAll(async () => {
  await fortress.end();
});

describe('a stranger on the socket', () => {
  const frames: readonly [what: string, frame: string | Buffer, code: string][] = [
    ['nothing', '', 'BAD_FRAME'],
    ['no JSON', 'GET / HTTP/1.1', 'BAD_FRAME'],
    ['JSON cut short', '{"kind":"hello","siteId":"si', 'BAD_FRAME'],
    ['a list', '[]', 'BAD_FRAME'],
    ['null', 'null', 'BAD_FRAME'],
    ['a kind that is a number', '{"kind":5}', 'BAD_FRAME'],
    ['a hello without fields', '{"kind":"hello"}', 'BAD_FRAME'],
    [
      'a hello of wrong types',
      '{"kind":"hello","siteId":1,"instanceId":[],"head":"x","protocol":"1","software":{},"signature":0}',
      'BAD_FRAME',
    ],
    ['SQL for an identifier', JSON.stringify({ kind: 'hello', siteId: sqlTrick }), 'BAD_FRAME'],
    ['a prototype', '{"kind":"hello","__proto__":{"siteId":"x"},"constructor":1}', 'BAD_FRAME'],
    ['a thousand levels', '['.repeat(1_000), 'BAD_FRAME'],
    ['bytes', Buffer.from([0, 1, 2, 255]), 'BAD_FRAME'],
    ['a hello of 9 KiB', JSON.stringify({ kind: 'hello', siteId: 'x'.repeat(9 * 1024) }), 'FRAME_TOO_LARGE'],
    ['an append', '{"kind":"append","entries":[]}', 'BAD_FRAME'],
    [
      'a status',
      JSON.stringify({
        kind: 'status',
        at: '2027-12-06T09:00:00.000Z',
        deployed: { server: 1, workstation: 0 },
        active: { server: 1, workstation: 0 },
        lastCheckInAt: null,
      }),
      'UNEXPECTED_MESSAGE',
    ],
  ];

  test.each(frames)('that says %s', async (_, frame, code) => {
    await fortress.withoutTrace(async () => {
      const client = new SiteClient(fortress.house.aggregator.port);
      await client.next('challenge');
      client.socket.send(frame);
      expect(await client.bye()).toBe(code);
      await client.closed;
    });
  });

  test('that sends a frame of more than 1 MiB', async () => {
    await fortress.withoutTrace(async () => {
      const client = new SiteClient(fortress.house.aggregator.port);
      await client.next('challenge');
      client.send(' '.repeat(frameBytesMax + 1));
      expect((await client.closed).code).toBe(4402);
    });
  });

  test('whose key is not that of the site, of no site, or who repeats what it heard', async () => {
    await fortress.withoutTrace(async () => {
      for (const [siteId, code] of [
        [fortress.site.id, 'SIGNATURE_WRONG'],
        [someSite, 'SITE_UNKNOWN'],
      ] as const) {
        const client = new SiteClient(fortress.house.aggregator.port);
        await client.hello(helloOf(siteId));
        expect(await client.bye()).toBe(code);
      }
      const newer = new SiteClient(fortress.house.aggregator.port);
      await newer.hello(helloOf(fortress.site.id), { protocol: 999 });
      expect(await newer.bye()).toBe('PROTOCOL_TOO_NEW');
    });
    // A right signature, of another connection's nonce.
    const handheld = await fortress.newHandheld();
    await fortress.withoutTrace(async () => {
      const [first, second] = [
        new SiteClient(fortress.house.aggregator.port),
        new SiteClient(fortress.house.aggregator.port),
      ];
      const { nonce } = await first.next('challenge');
      const { seq, hash } = handheld.ledger.head;
      const unsigned = {
        siteId: handheld.siteId,
        instanceId: '0'.repeat(16),
        head: { seq, hash },
        protocol: protocolVersion,
        software: 'test 1',
      };
      await second.next('challenge');
      second.send({ kind: 'hello', ...unsigned, signature: handheld.signer.sign(helloText(unsigned, nonce)) });
      expect(await second.bye()).toBe('SIGNATURE_WRONG');
      await first.close();
    });
  });

  test('who does not open it as one does', async () => {
    await fortress.withoutTrace(async () => {
      expect(await upgrade('/site/v1/socket', { 'Sec-WebSocket-Protocol': 'chat' })).toEqual([
        426,
        'SUBPROTOCOL_NEEDED',
      ]);
      expect(await upgrade('/site/v1/../../secret', { 'Sec-WebSocket-Protocol': 'rollcall.site.v1' })).toEqual([
        404,
        'NOT_FOUND',
      ]);
      expect(await upgrade('/site/v1/socket', { 'Sec-WebSocket-Protocol': 'rollcall.site.v1' }, 'POST')).toEqual([
        405,
        'METHOD_NOT_ALLOWED',
      ]);
    });
  });
});

describe('an enrolled site that turned bad', () => {
  test('unknown kinds are skipped, replayed entries are taken once, a gap is told and filled', async () => {
    const handheld = await fortress.newHandheld();
    const { ledger } = handheld;
    for (let index = 1; index <= 5; index++) ledger.deploy(index, 'server', fortress.house.clock.now());
    const client = await joined(handheld);
    client.send('{"kind":"telepathy","entries":[1,2,3]}');
    client.append(ledger.entries.slice(0, 3));
    expect(await client.next('ack')).toMatchObject({ seq: 3 });
    // Again, and once more with one that is new.
    client.append(ledger.entries.slice(0, 3));
    expect(await client.next('ack')).toMatchObject({ seq: 3 });
    client.append(ledger.entries.slice(1, 4));
    expect(await client.next('ack')).toMatchObject({ seq: 4 });
    // The last before the one before it.
    client.append(ledger.entries.slice(5, 6));
    expect(await client.next('reject')).toMatchObject({ code: 'GAP', expected: { seq: 4 } });
    client.append(ledger.entries.slice(4, 6));
    expect(await client.next('ack')).toMatchObject({ seq: 6 });
    expect(fortress.house.heldTexts(handheld.siteId).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await siteView(fortress.tenants.msp, handheld.siteId)).deployed).toEqual({ server: 5, workstation: 0 });
    await client.close();
    await fortress.mustLive();
  });

  const wrongEntries: readonly [what: string, spoil: (handheld: HandheldSite) => object, code: string, bye: string][] =
    [
      ['another past', ({ ledger }) => ({ prev: 'f'.repeat(64), seq: ledger.head.seq + 1 }), 'FORK', 'FORK'],
      ['a date before the last', () => ({ at: '2020-01-01T00:00:00.000Z' }), 'TIME_BACKWARDS', 'ENTRY_REFUSED'],
      [
        'a body that is not its kind’s',
        () => ({ kind: 'agent-deployed', body: { endpointId: sqlTrick } }),
        'BAD_ENTRY',
        'ENTRY_REFUSED',
      ],
      [
        'an agent that was never there',
        () => ({
          kind: 'agent-removed',
          body: { endpointId: `ep_${'9'.repeat(20)}`, agentKind: 'server', reason: 'uninstalled' },
        }),
        'BAD_ENTRY',
        'ENTRY_REFUSED',
      ],
      [
        'a report signed by nobody',
        () => ({ kind: 'month-sealed', body: { month: '2027-11', signature: 'A'.repeat(86) } }),
        'BAD_ENTRY',
        'ENTRY_REFUSED',
      ],
    ];

  test.each(wrongEntries)('an entry with %s is refused whole', async (_, spoil, code, bye) => {
    const handheld = await fortress.newHandheld();
    const client = await joined(handheld);
    client.append(handheld.ledger.entries);
    await client.next('ack');
    const held = fortress.house.heldTexts(handheld.siteId);
    const { seq, hash } = handheld.ledger.head;
    const honest = {
      seq: seq + 1,
      at: fortress.house.clock.now(),
      kind: 'contact-lost',
      body: { since: fortress.house.clock.now() },
      prev: hash,
    };
    client.send(JSON.stringify({ kind: 'append', entries: [{ ...honest, ...spoil(handheld) }] }));
    expect(await client.next('reject')).toMatchObject({ code, expected: { seq, hash } });
    expect(await client.bye()).toBe(bye);
    expect(fortress.house.heldTexts(handheld.siteId)).toEqual(held);
    await fortress.mustLive();
  });

  test.each([
    [
      'a second hello',
      JSON.stringify({
        kind: 'hello',
        siteId: someSite,
        instanceId: '0'.repeat(16),
        head: { seq: 0, hash: '0'.repeat(64) },
        protocol: 1,
        software: 'x',
        signature: 'A'.repeat(86),
      }),
      'UNEXPECTED_MESSAGE',
    ],
    ['half a frame', '{"kind":"append","entries":[{"seq":1,', 'BAD_FRAME'],
    ['an append of nothing', '{"kind":"append","entries":[]}', 'BAD_FRAME'],
    [
      'an entry of wrong types',
      '{"kind":"append","entries":[{"seq":"1","at":0,"kind":"x","body":[],"prev":null}]}',
      'BAD_FRAME',
    ],
    [
      'more than 500 entries',
      JSON.stringify({
        kind: 'append',
        entries: Array.from({ length: 501 }, () => ({
          seq: 1,
          at: '2027-12-06T09:00:00.000Z',
          kind: 'x',
          body: {},
          prev: '0'.repeat(64),
        })),
      }),
      'BAD_FRAME',
    ],
  ])('%s ends its socket', async (_, frame, code) => {
    const handheld = await fortress.newHandheld();
    await fortress.withoutTrace(async () => {
      const client = await joined(handheld);
      client.send(frame);
      expect(await client.bye()).toBe(code);
    });
  });
});

const helloOf = (siteId: string, signer = newSigner()) => ({
  siteId,
  signer,
  head: { seq: 0, hash: '0'.repeat(64), at: '1970-01-01T00:00:00.000Z' },
});

const joined = ({ siteId, signer, ledger }: HandheldSite): Promise<SiteClient> =>
  SiteClient.join(fortress.house.aggregator.port, { siteId, signer, head: ledger.head });

/** Status and code of a refused upgrade. */
function upgrade(
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<[status: number, code: string]> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port: fortress.house.aggregator.port,
      path,
      method,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        ...headers,
      },
    });
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve([response.statusCode ?? 0, codeOf(text)]));
    });
    asked.on('upgrade', () => reject(new Error('it was let in')));
    asked.on('error', reject);
    asked.end();
  });
}
