import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { GatewayRig, newId, newSigner, type RigSite } from './testing/gateway-rig.ts';
import { type Identity, SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
beforeEach(async () => {
  rig = await GatewayRig.start({ limits: { aliveCheckMs: 400 } });
});
afterEach(() => rig.dispose());

const identity = ({ site, signer, ledger }: RigSite): Identity => ({ siteId: site.id, signer, head: ledger.head });
const otherInstance = { instanceId: '1'.repeat(16) };

/** A site with three entries held, connected. */
async function original(): Promise<{ made: RigSite; client: SiteClient }> {
  const made = await rig.enrolledSite();
  made.ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
  made.ledger.deploy(2, 'server', '2026-01-12T00:00:00.000Z');
  const client = await SiteClient.join(rig.port, identity(made));
  client.append(made.ledger.entries);
  await client.next('ack');
  return { made, client };
}

const held = async (siteId: string): Promise<unknown> => (await rig.store.sites.session(siteId))?.state;

describe('a second machine with one identity', () => {
  it('is refused while the first one lives; both are told, and what is held stays', async () => {
    const { made, client } = await original();
    const before = await held(made.site.id);
    const copy = new SiteClient(rig.port);
    await copy.hello(identity(made), otherInstance);
    expect(await copy.next('bye')).toMatchObject({ code: 'CLONE_SUSPECTED', retryAfterMs: null });
    expect(await copy.closed).toMatchObject({ code: 4430 });
    expect(await client.next('notice')).toMatchObject({ code: 'CLONE_SUSPECTED' });
    expect((await rig.siteNow(made.site.id)).flag).toBe('CLONE_SUSPECTED');
    expect(await rig.findingsOf(made.site.id)).toEqual(['CLONE_SUSPECTED']);
    expect(await held(made.site.id)).toEqual(before);
    made.ledger.deploy(3, 'server', '2026-01-13T00:00:00.000Z');
    client.append(made.ledger.entries.slice(3));
    expect(await client.next('ack')).toMatchObject({ seq: 4 });
  });

  it('is let in when the first one is gone without a word', async () => {
    const { made } = await original();
    const dead = new SiteClient(rig.port, { autoPong: false });
    // The same program again, so the live one gives way; this one then plays dead.
    await dead.hello(identity(made));
    await dead.next('welcome');
    const next = new SiteClient(rig.port);
    await next.hello(identity(made), otherInstance);
    expect(await next.next('welcome')).toMatchObject({ acked: { seq: 3 } });
    expect(await dead.bye()).toBe('HEARTBEAT_LOST');
    expect((await rig.siteNow(made.site.id)).flag).toBeNull();
  });

  it('that comes while another is being looked at is asked to come back', async () => {
    const { made } = await original();
    const dead = new SiteClient(rig.port, { autoPong: false });
    await dead.hello(identity(made));
    await dead.next('welcome');
    const [second, third] = [new SiteClient(rig.port), new SiteClient(rig.port)];
    await second.hello(identity(made), otherInstance);
    await third.hello(identity(made), { instanceId: '2'.repeat(16) });
    expect(await third.next('bye')).toMatchObject({ code: 'BACKLOG_FULL', retryAfterMs: expect.any(Number) });
    await second.next('welcome');
  });

  it('does not count as one when it is the same program that came back', async () => {
    const { made, client } = await original();
    const again = await SiteClient.join(rig.port, identity(made));
    expect(await client.next('bye')).toMatchObject({ code: 'REPLACED', retryAfterMs: expect.any(Number) });
    expect(await client.closed).toMatchObject({ code: 4002 });
    expect((await rig.siteNow(made.site.id)).flag).toBeNull();
    expect(rig.gateway.isConnected(made.site.id)).toBe(true);
    made.ledger.deploy(3, 'server', '2026-01-13T00:00:00.000Z');
    again.append(made.ledger.entries.slice(3));
    expect(await again.next('ack')).toMatchObject({ seq: 4 });
  });
});

describe('two machines with one memory', () => {
  it('are both flagged when they have displaced each other a few times, and one stays connected', async () => {
    const { made, client } = await original();
    const clients = [client];
    for (let times = 0; times < 3; times++) {
      const next = await SiteClient.join(rig.port, identity(made));
      expect(await clients.at(-1)!.bye()).toBe('REPLACED');
      clients.push(next);
    }
    expect((await rig.siteNow(made.site.id)).flag).toBeNull();
    const refused = new SiteClient(rig.port);
    await refused.hello(identity(made));
    expect(await refused.next('bye')).toMatchObject({ code: 'CLONE_SUSPECTED', retryAfterMs: null });
    expect(await clients.at(-1)!.next('notice')).toMatchObject({ code: 'CLONE_SUSPECTED' });
    expect((await rig.siteNow(made.site.id)).flag).toBe('CLONE_SUSPECTED');
    // However often it comes back while the site is marked: the one that is in is not disturbed.
    for (let times = 0; times < 3; times++) {
      const again = new SiteClient(rig.port);
      await again.hello(identity(made));
      expect(await again.bye()).toBe('CLONE_SUSPECTED');
    }
    made.ledger.deploy(3, 'server', '2026-01-13T00:00:00.000Z');
    clients.at(-1)!.append(made.ledger.entries.slice(3));
    expect(await clients.at(-1)!.next('ack')).toMatchObject({ seq: 4 });
    expect(await rig.findingsOf(made.site.id)).toEqual(['CLONE_SUSPECTED']);
  });

  it('are not seen in a program whose line breaks again and again', async () => {
    const { made, client } = await original();
    client.socket.terminate();
    for (let times = 0; times < 10; times++) {
      const next = new SiteClient(rig.port, { autoPong: false });
      await next.hello(identity(made));
      await next.next('welcome');
    }
    const last = await SiteClient.join(rig.port, identity(made));
    expect((await rig.siteNow(made.site.id)).flag).toBeNull();
    expect(rig.gateway.isConnected(made.site.id)).toBe(true);
    await last.close();
  });

  it('make way for the one that is left when the other has gone, also while the site is marked', async () => {
    const { made, client } = await original();
    await rig.store.sites.flagSite(made.site.id, 'CLONE_SUSPECTED', {
      id: newId('finding'),
      siteId: made.site.id,
      code: 'CLONE_SUSPECTED',
      message: 'seen before',
      at: '2026-01-20T00:00:00.000Z',
    });
    const refused = new SiteClient(rig.port);
    await refused.hello(identity(made));
    expect(await refused.bye()).toBe('CLONE_SUSPECTED');
    await client.close();
    const dead = new SiteClient(rig.port, { autoPong: false });
    await dead.hello(identity(made));
    await dead.next('welcome');
    const left = await SiteClient.join(rig.port, identity(made));
    expect(await dead.bye()).toBe('REPLACED');
    await left.close();
  });
});

describe('a ledger that is not the one held', () => {
  it('is refused as a fork when another entry stands at the number held', async () => {
    const { made, client } = await original();
    await client.close();
    const before = await held(made.site.id);
    const copy = new SiteClient(rig.port);
    await copy.hello({ ...identity(made), head: { ...made.ledger.head, hash: 'f'.repeat(64) } });
    expect(await copy.next('bye')).toMatchObject({ code: 'FORK', retryAfterMs: null });
    expect((await rig.siteNow(made.site.id)).flag).toBe('FORK');
    expect(await held(made.site.id)).toEqual(before);
  });

  it('is refused as a fork when its next entry follows another past; the original goes on', async () => {
    const { made, client } = await original();
    await client.close();
    const copied = structuredClone(made.ledger.entries);
    made.ledger.deploy(3, 'server', '2026-01-13T00:00:00.000Z');
    const back = await SiteClient.join(rig.port, identity(made));
    back.append(made.ledger.entries.slice(3));
    await back.next('ack');
    await back.close();
    const before = await held(made.site.id);
    // The copy wrote entries 4 and 5 of its own while the original shipped its entry 4.
    const copy = new SiteClient(rig.port);
    await copy.hello({ ...identity(made), head: { ...made.ledger.head, seq: 5 } }, otherInstance);
    await copy.next('welcome');
    const [, second] = copied;
    copy.append([{ ...second!, seq: 5, prev: 'e'.repeat(64), at: '2026-01-14T00:00:00.000Z' }]);
    expect(await copy.next('reject')).toMatchObject({
      code: 'FORK',
      expected: { seq: 4, hash: made.ledger.head.hash },
    });
    expect(await copy.bye()).toBe('FORK');
    const again = new SiteClient(rig.port);
    await again.hello(identity(made));
    expect(await again.next('welcome')).toMatchObject({ acked: { seq: 4 } });
    // Whoever is let in while the site is marked hears of it.
    expect(await again.next('notice')).toMatchObject({ code: 'FORK' });
    expect(await held(made.site.id)).toEqual(before);
    expect(await rig.findingsOf(made.site.id)).toEqual(['FORK']);
  });

  it.each([1, 0])('is refused as behind when it ends with entry %i of those held', async (seq) => {
    const { made, client } = await original();
    await client.close();
    const before = await held(made.site.id);
    const hash = seq === 0 ? emptyHead.hash : made.ledger.entries[seq]!.prev;
    const restored = new SiteClient(rig.port);
    await restored.hello({ ...identity(made), head: { seq, hash, at: made.ledger.head.at } });
    expect(await restored.next('bye')).toMatchObject({ code: 'LEDGER_BEHIND', retryAfterMs: null });
    expect((await rig.siteNow(made.site.id)).flag).toBe('LEDGER_BEHIND');
    expect(await rig.findingsOf(made.site.id)).toEqual(['LEDGER_BEHIND']);
    expect(await held(made.site.id)).toEqual(before);
  });

  it('is refused as a fork when it is shorter and differs', async () => {
    const { made, client } = await original();
    const copy = new SiteClient(rig.port);
    await copy.hello(
      { ...identity(made), head: { seq: 2, hash: 'd'.repeat(64), at: made.ledger.head.at } },
      otherInstance,
    );
    expect(await copy.bye()).toBe('FORK');
    // The one that is in was not disturbed, and is told.
    expect(await client.next('notice')).toMatchObject({ code: 'FORK' });
    expect(rig.gateway.isConnected(made.site.id)).toBe(true);
  });

  it('is marked once, however often it is tried', async () => {
    const { made, client } = await original();
    await client.close();
    for (let times = 0; times < 3; times++) {
      const copy = new SiteClient(rig.port);
      await copy.hello({ ...identity(made), head: { ...made.ledger.head, hash: 'f'.repeat(64) } });
      expect(await copy.bye()).toBe('FORK');
    }
    expect(await rig.findingsOf(made.site.id)).toEqual(['FORK']);
  });

  it('is refused by its key once the original has enrolled again', async () => {
    const { made, client } = await original();
    const copy = new SiteClient(rig.port);
    await copy.hello(identity(made), otherInstance);
    expect(await copy.bye()).toBe('CLONE_SUSPECTED');
    const { text } = await rig.token({ siteId: made.site.id });
    const signer = newSigner();
    const request = {
      token: text,
      publicKey: signer.publicKey,
      head: { seq: made.ledger.head.seq, hash: made.ledger.head.hash },
    };
    const answer = await rig.gateway.enrol(
      { ...request, software: 'test 1', hostName: 'host', signature: signer.sign(enrolText(request)) },
      '127.0.0.1',
    );
    expect(answer).toMatchObject({ ok: true, response: { siteId: made.site.id } });
    expect(await client.bye()).toBe('GOING_AWAY');
    expect((await rig.siteNow(made.site.id)).flag).toBeNull();
    const stranger = new SiteClient(rig.port);
    await stranger.hello(identity(made));
    expect(await stranger.bye()).toBe('SIGNATURE_WRONG');
    made.ledger.signer = signer;
    made.ledger.enrol('2026-01-15T00:00:00.000Z');
    made.ledger.sealNext({});
    const back = await SiteClient.join(rig.port, { ...identity(made), signer });
    back.append(made.ledger.entries.slice(3));
    expect(await back.next('ack')).toMatchObject({ seq: 5 });
  });
});
