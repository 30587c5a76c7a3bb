import { setTimeout as wait } from 'node:timers/promises';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import type { ByeCode } from '@rollcall/shared/protocol/bye.ts';
import { byeCodes } from '@rollcall/shared/protocol/bye.ts';
import { encode } from '@rollcall/shared/protocol/codec.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { appendEntriesMax, frameBytesMax } from '@rollcall/shared/protocol/limits.ts';
import { protocolVersion } from '@rollcall/shared/protocol/version.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayRig, newId, newSigner, type RigSite } from './testing/gateway-rig.ts';
import { type Identity, SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
beforeAll(async () => {
  // Contacts and leases are written on their own time; here nothing but what is tried may change the store.
  rig = await GatewayRig.start({ limits: { contactIntervalMs: 3_600_000, commandResendMs: 200 } });
});
afterAll(() => rig.dispose());

const identity = ({ site, signer, ledger }: RigSite): Identity => ({ siteId: site.id, signer, head: ledger.head });
const append = (...entries: LedgerEntry[]): string => encode({ kind: 'append', entries });

/** A site whose first four entries are held, connected, and the store as it is then. */
async function connected(): Promise<{ made: RigSite; client: SiteClient; before: string }> {
  const made = await rig.enrolledSite();
  for (const day of [11, 12, 13, 14, 15, 16]) made.ledger.deploy(day, 'server', `2026-01-${day}T00:00:00.000Z`);
  const client = await SiteClient.join(rig.port, identity(made));
  client.append(made.ledger.entries.slice(0, 4));
  await client.next('ack');
  await settled();
  return { made, client, before: rig.dump() };
}

/** The sweep, which comes every 50 ms here, has written contacts and leases, and nothing is on its way any more. */
async function settled(): Promise<void> {
  for (let before = ''; before !== rig.dump(); ) {
    before = rig.dump();
    await wait(120);
  }
}

/** A dump without the flags of sites and the findings of their refusals. */
const withoutFlag = (dump: string): string =>
  dump
    .replaceAll(/"flag":(null|"[A-Z_]+")/g, '"flag"')
    .replaceAll(/^\{.*"code":"ENTRY_REFUSED".*\}$/gm, '')
    .replaceAll(/\n+/g, '\n');

async function isServed(): Promise<void> {
  const client = await SiteClient.join(rig.port, identity(await rig.enrolledSite()));
  await client.close();
}

describe('a frame that is no message', () => {
  const rows: [string, (entries: readonly LedgerEntry[]) => string | Buffer, ByeCode][] = [
    ['longer than 1 MiB', () => `{"kind":"append","entries":"${'x'.repeat(frameBytesMax)}"}`, 'FRAME_TOO_LARGE'],
    ['a hundred times longer', () => 'x'.repeat(100 * frameBytesMax), 'FRAME_TOO_LARGE'],
    ['truncated', ([, , , , next]) => append(next!).slice(0, -5), 'BAD_FRAME'],
    ['empty', () => '', 'BAD_FRAME'],
    ['not JSON', () => 'GET / HTTP/1.1', 'BAD_FRAME'],
    ['nested without end', () => '['.repeat(200_000), 'BAD_FRAME'],
    ['JSON, but not an object', () => '[1,2,3]', 'BAD_FRAME'],
    ['without a kind', () => '{"seq":1}', 'BAD_FRAME'],
    ['with a number of the wrong type', ([, , , , next]) => append(next!).replace('"seq":5', '"seq":"5"'), 'BAD_FRAME'],
    ['with an entry that is null', () => '{"kind":"append","entries":[null]}', 'BAD_FRAME'],
    [
      'with too many entries',
      ([, , , , next]) => append(...Array<LedgerEntry>(appendEntriesMax + 1).fill(next!)),
      'BAD_FRAME',
    ],
    [
      'with SQL for a kind of entry',
      ([, , , , next]) => append({ ...next!, kind: "x'; DROP TABLE site_log;--" }),
      'BAD_FRAME',
    ],
    [
      'with a path for a kind of entry',
      ([, , , , next]) => append({ ...next!, kind: '../../etc/passwd' }),
      'BAD_FRAME',
    ],
    [
      'with a date that does not exist',
      ([, , , , next]) => append({ ...next!, at: '2026-02-30T00:00:00.000Z' }),
      'BAD_FRAME',
    ],
    ['binary', ([, , , , next]) => Buffer.from(append(next!)), 'BAD_FRAME'],
  ];

  it.each(rows)('%s ends the socket with its code, and changes nothing', async (_, frameOf, code) => {
    const { made, client, before } = await connected();
    const frame = frameOf(made.ledger.entries);
    client.socket.send(frame);
    expect(await client.bye()).toBe(code);
    expect(await client.closed).toEqual({ code: byeCodes[code].close, reason: code });
    await settled();
    expect(rig.dump()).toBe(before);
    await isServed();
  });

  it('in bytes that are not UTF-8 ends the socket', async () => {
    const { client, before } = await connected();
    client.socket.send(Buffer.from([0x7b, 0xff, 0xfe]), { binary: false });
    expect(await client.bye()).toBe('BAD_FRAME');
    expect(rig.dump()).toBe(before);
  });

  it('of an unknown kind is skipped', async () => {
    const { made, client, before } = await connected();
    for (let times = 0; times < 30; times++) client.send('{"kind":"weather","degrees":20}');
    client.append(made.ledger.entries.slice(0, 4));
    expect(await client.next('ack')).toMatchObject({ seq: 4 });
    expect(rig.dump()).toBe(before);
    await client.close();
  });
});

describe('a message out of place', () => {
  it('before the hello ends the socket', async () => {
    const { entries } = (await rig.enrolledSite()).ledger;
    await settled();
    const before = rig.dump();
    for (const message of [
      append(...entries),
      encode({
        kind: 'status',
        at: entries[0]!.at,
        deployed: { server: 0, workstation: 0 },
        active: { server: 0, workstation: 0 },
        lastCheckInAt: null,
      }),
    ]) {
      const client = new SiteClient(rig.port);
      await client.next('challenge');
      client.send(message);
      expect(await client.bye()).toBe('UNEXPECTED_MESSAGE');
    }
    expect(rig.dump()).toBe(before);
  });

  it('such as a second hello ends the socket', async () => {
    const { made, client, before } = await connected();
    client.send({
      kind: 'hello',
      siteId: made.site.id,
      instanceId: '1'.repeat(16),
      head: made.ledger.head,
      protocol: protocolVersion,
      software: 'x',
      signature: 'A'.repeat(86),
    });
    expect(await client.bye()).toBe('UNEXPECTED_MESSAGE');
    expect(rig.dump()).toBe(before);
  });

  it('such as a very long hello ends the socket before it is read', async () => {
    const client = new SiteClient(rig.port);
    await client.next('challenge');
    client.send(`{"kind":"hello","pad":"${'x'.repeat(10_000)}"}`);
    expect(await client.bye()).toBe('FRAME_TOO_LARGE');
  });
});

describe('a hello that proves nothing', () => {
  it.each([
    ['SIGNATURE_WRONG', 'signed by another key', (made: RigSite) => ({ ...identity(made), signer: newSigner() }), {}],
    ['SIGNATURE_WRONG', 'not signed at all', identity, { signature: 'A'.repeat(86) }],
    [
      'SITE_UNKNOWN',
      'of a site that does not exist',
      (made: RigSite) => ({ ...identity(made), siteId: newId('site') }),
      {},
    ],
    ['PROTOCOL_TOO_NEW', 'of a newer protocol', identity, { protocol: protocolVersion + 1 }],
  ])('is refused with %s: %s', async (code, _, identityOf, changes) => {
    const made = await rig.enrolledSite();
    const before = rig.dump();
    const client = new SiteClient(rig.port);
    await client.hello(identityOf(made), changes);
    const bye = await client.next('bye');
    expect(bye.code).toBe(code);
    expect(bye.retryAfterMs === null).toBe(!byeCodes[code as ByeCode].retry);
    expect(await client.closed).toMatchObject({ code: byeCodes[code as ByeCode].close });
    expect(rig.dump()).toBe(before);
  });

  it('is refused when it answers another challenge', async () => {
    const made = await rig.enrolledSite();
    const first = new SiteClient(rig.port);
    await first.hello(identity(made));
    await first.next('welcome');
    const replayed = first.received[0];
    const second = new SiteClient(rig.port);
    const { nonce } = await second.next('challenge');
    expect(replayed).not.toMatchObject({ nonce });
    const hello = {
      siteId: made.site.id,
      instanceId: '0'.repeat(16),
      head: { seq: made.ledger.head.seq, hash: made.ledger.head.hash },
      protocol: protocolVersion,
      software: 'test 1',
    };
    const oldNonce = replayed?.kind === 'challenge' ? replayed.nonce : '';
    second.send({ kind: 'hello', ...hello, signature: made.signer.sign(helloText(hello, oldNonce)) });
    expect(await second.bye()).toBe('SIGNATURE_WRONG');
    expect(rig.gateway.isConnected(made.site.id)).toBe(true);
  });

  it('is refused for a site that nobody enrolled', async () => {
    const made = await rig.enrolledSite();
    const site = { ...made.site, id: newId('site'), name: 'Not enrolled' };
    await rig.store.sites.createSite(site);
    const client = new SiteClient(rig.port);
    await client.hello({ ...identity(made), siteId: site.id });
    expect(await client.bye()).toBe('SITE_UNKNOWN');
  });
});

describe('an append that does not follow', () => {
  it.each([
    ['GAP', 'reordered', (e: LedgerEntry[]) => [e[5]!, e[4]!]],
    ['GAP', 'out of its turn', (e: LedgerEntry[]) => [e[5]!]],
  ])('is answered %s when %s, after which the right one is taken', async (code, _, pick) => {
    const { made, client, before } = await connected();
    const { entries } = made.ledger;
    client.append(pick(entries));
    expect(await client.next('reject')).toMatchObject({ code, expected: { seq: 4, hash: entries[4]!.prev } });
    expect(rig.dump()).toBe(before);
    client.append(entries.slice(4));
    expect(await client.next('ack')).toMatchObject({ seq: entries.length });
    await client.close();
  });

  it('is acknowledged without a change when it was replayed', async () => {
    const { made, client, before } = await connected();
    const { entries } = made.ledger;
    for (const replay of [entries.slice(0, 4), entries.slice(1, 3), entries.slice(3, 4)]) {
      client.append(replay);
      expect(await client.next('ack')).toMatchObject({ seq: 4 });
    }
    expect(rig.dump()).toBe(before);
    await client.close();
  });

  it.each([
    ['ENTRY_REFUSED', 'TIME_BACKWARDS', (e: LedgerEntry[]) => [{ ...e[4]!, at: '2026-01-01T00:00:00.000Z' }]],
    ['ENTRY_REFUSED', 'BAD_ENTRY', (e: LedgerEntry[]) => [{ ...e[4]!, body: { ...e[4]!.body, hostName: '\u0000' } }]],
    [
      'ENTRY_REFUSED',
      'BAD_ENTRY',
      (e: LedgerEntry[]) => [{ ...e[4]!, body: { ...e[4]!.body, hostName: 'x'.repeat(500_000) } }],
    ],
    ['ENTRY_REFUSED', 'BAD_ENTRY', (e: LedgerEntry[]) => [{ ...e[4]!, kind: 'note', body: { text: '\ud800' } }]],
    [
      'ENTRY_REFUSED',
      'BAD_ENTRY',
      (e: LedgerEntry[]) => [
        {
          ...e[4]!,
          kind: 'agent-removed',
          body: { endpointId: 'ep_99999999999999999999', agentKind: 'server', reason: 'stale' },
        },
      ],
    ],
    [
      'ENTRY_REFUSED',
      'BAD_ENTRY',
      (e: LedgerEntry[]) => [{ ...e[4]!, body: { ...e[4]!.body, endpointId: e[3]!.body['endpointId']! } }],
    ],
    [
      'ENTRY_REFUSED',
      'BAD_ENTRY',
      (e: LedgerEntry[]) => [{ ...e[4]!, kind: 'month-sealed', body: { month: '2026-01' } }],
    ],
  ])('ends the socket with %s and is answered %s when it breaks a rule', async (bye, code, pick) => {
    const { made, client, before } = await connected();
    client.append(pick(made.ledger.entries));
    expect(await client.next('reject')).toMatchObject({ code, expected: { seq: 4 } });
    expect(await client.bye()).toBe(bye);
    await settled();
    // Nothing of it is kept; what was wrong with it is there to be seen.
    expect(withoutFlag(rig.dump())).toBe(withoutFlag(before));
    expect((await rig.siteNow(made.site.id)).flag).toBe('ENTRY_REFUSED');
    const { rows } = await rig.store.sites.findings(rig.mspScope, { siteId: made.site.id }, { limit: 10 });
    expect(rows).toMatchObject([{ code: 'ENTRY_REFUSED', resolvedAt: null }]);
    expect(rows[0]?.message).toMatch(/entr(y|ies) [45]\b/);
    await isServed();
  });

  it('is told about at the next welcome, until the operator lifts the flag', async () => {
    const { made, client } = await connected();
    for (let times = 0; times < 2; times++) {
      const bad = times === 0 ? client : await SiteClient.join(rig.port, identity(made));
      bad.append([{ ...made.ledger.entries[4]!, at: '2026-01-01T00:00:00.000Z' }]);
      expect(await bad.bye()).toBe('ENTRY_REFUSED');
    }
    const told = await SiteClient.join(rig.port, identity(made));
    expect(await told.next('notice')).toMatchObject({ code: 'ENTRY_REFUSED' });
    expect(await rig.findingsOf(made.site.id)).toEqual(['ENTRY_REFUSED']);
    await told.close();
    await rig.store.sites.clearFlag(rig.mspScope, made.site.id, '2026-01-20T00:00:00.000Z');
    const { rows } = await rig.store.sites.findings(rig.mspScope, { siteId: made.site.id }, { limit: 10 });
    expect(rows).toMatchObject([{ resolvedAt: '2026-01-20T00:00:00.000Z' }]);
    const right = await SiteClient.join(rig.port, identity(made));
    right.append(made.ledger.entries.slice(4));
    expect(await right.next('ack')).toMatchObject({ seq: made.ledger.entries.length });
    expect((await rig.siteNow(made.site.id)).flag).toBeNull();
    await right.close();
  });

  it('keeps names in any script as they are', async () => {
    const { made, client } = await connected();
    const [, , , , next] = made.ledger.entries;
    const hostName = "srv-🦊-'; DROP TABLE site_log;--";
    client.append([{ ...next!, body: { ...next!.body, hostName } }]);
    expect(await client.next('ack')).toMatchObject({ seq: 5 });
    const deployments = await rig.store.sites.deployments(
      rig.mspScope,
      made.site.id,
      { current: true },
      { limit: 100 },
    );
    expect(deployments?.rows.map((row) => row.hostName)).toContain(hostName);
    await client.close();
  });
});

describe('too much', () => {
  it('of what leads to nothing ends the socket', async () => {
    const { client, before } = await connected();
    for (let times = 0; times < 1_000; times++) client.send('{"kind":"weather"}');
    expect(await client.bye()).toBe('RATE_LIMITED');
    expect(rig.dump()).toBe(before);
  });
});
