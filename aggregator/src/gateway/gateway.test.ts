import { setTimeout as wait } from 'node:timers/promises';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { verifyLease } from '@rollcall/shared/node/lease-token.ts';
import { appendEntriesMax, unacknowledgedEntriesMax } from '@rollcall/shared/protocol/limits.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { GroupCommit } from './group-commit.ts';
import { gatewayLimits } from './limits.ts';
import { MonthRecounts } from './month-recounts.ts';
import { appendEntries, stateOf } from './site-ingest.ts';
import { GatewayRig, newId, type RigOptions, type RigSite } from './testing/gateway-rig.ts';
import { type Identity, SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
const start = async (options: RigOptions = {}): Promise<GatewayRig> => (rig = await GatewayRig.start(options));
afterEach(() => rig.dispose());

const identity = ({ site, signer, ledger }: RigSite): Identity => ({ siteId: site.id, signer, head: ledger.head });

/** Waits until `look` finds what it looks for. */
async function until<Found>(
  look: () => Promise<Found | undefined | false> | Found | undefined | false,
): Promise<Found> {
  for (let tries = 0; tries < 400; tries++) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await wait(20);
  }
  throw new Error(`waited in vain: ${look.toString()}`);
}

describe('a site that connects', () => {
  it('goes on where it stood after its session came to rest, and is still refused another past', async () => {
    await start({ limits: { contactIntervalMs: 30 } });
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    made.ledger.deploy(2, 'server', '2026-01-11T00:00:00.000Z');
    client.append(made.ledger.entries);
    const { seq } = await client.next('ack');
    // A recorded contact is what lets the session rest.
    const contactOf = async () => (await rig.siteNow(made.site.id)).lastContactAt;
    const none = { server: 0, workstation: 0 };
    const status = {
      kind: 'status',
      at: '2026-01-12T00:00:00.000Z',
      deployed: none,
      active: none,
      lastCheckInAt: null,
    } as const;
    const first = await until(contactOf);
    client.send(status);
    await until(async () => (await contactOf()) !== first);
    made.ledger.deploy(1, 'workstation', '2026-01-12T00:00:00.000Z');
    client.append(made.ledger.entries.slice(seq));
    expect(await client.next('ack')).toMatchObject({ seq: seq + 1 });
    expect(await rig.siteNow(made.site.id)).toMatchObject({ deployed: { server: 1, workstation: 1 } });
    const second = await contactOf();
    client.send(status);
    await until(async () => (await contactOf()) !== second);
    const [last] = made.ledger.entries.slice(-1);
    client.append([{ ...last!, seq: last!.seq + 1, prev: 'f'.repeat(64) }]);
    expect(await client.next('reject')).toMatchObject({ code: 'FORK', expected: { seq: seq + 1 } });
  });

  it('is challenged, welcomed with all it should know, and acknowledged once its entries are stored', async () => {
    await start();
    const made = await rig.enrolledSite();
    const { site, ledger, keyId } = made;
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    const client = new SiteClient(rig.port);
    await client.hello(identity(made));
    const welcome = await client.next('welcome');
    expect(welcome).toMatchObject({
      acked: { seq: 0, hash: '0'.repeat(64) },
      settings: { staleAfterDays: 30 },
      commands: [],
      heartbeatIntervalMs: 30_000,
    });
    expect(welcome.leases).toHaveLength(1);
    const lease = await verifyLease(welcome.leases[0]!, [rig.leasePublicKey]);
    expect(lease).toMatchObject({ ok: true, lease: { siteId: site.id, keyId } });
    client.append(ledger.entries);
    expect(await client.next('ack')).toMatchObject({ seq: 2 });
    expect(await rig.siteNow(site.id)).toMatchObject({ ledger: { seq: 2 }, deployed: { server: 1, workstation: 0 } });
    expect(rig.gateway.isConnected(site.id)).toBe(true);
    expect(rig.gateway.connectedCount()).toBe(1);
    const seen = await until(async () => {
      const now = await rig.siteNow(site.id);
      return now.lastContactAt !== null && now;
    });
    expect(seen.software).toBe('test 1');
    const key = await until(async () => {
      const found = await rig.store.keys.key(rig.mspScope, keyId);
      return found?.leaseUntil !== null && found;
    });
    expect(lease).toMatchObject({ lease: { until: key.leaseUntil, issuedAt: key.leaseIssuedAt } });
    await client.close();
    await until(() => !rig.gateway.isConnected(site.id));
  });

  it('goes on where it stopped, also after a restart of the aggregator', async () => {
    await start();
    const made = await rig.enrolledSite();
    const { site, ledger } = made;
    const first = await SiteClient.join(rig.port, identity(made));
    first.append(ledger.entries);
    await first.next('ack');
    await rig.restart();
    expect(await first.bye()).toBe('GOING_AWAY');
    expect(await first.closed).toEqual({ code: 4001, reason: 'GOING_AWAY' });
    ledger.deploy(1, 'server', '2026-02-11T00:00:00.000Z');
    const second = new SiteClient(rig.port);
    await second.hello(identity(made));
    expect((await second.next('welcome')).acked).toEqual({ seq: 1, hash: ledger.entries[1]!.prev });
    second.append(ledger.entries.slice(1));
    expect(await second.next('ack')).toMatchObject({ seq: 3 });
    expect(await rig.siteNow(site.id)).toMatchObject({ ledger: { seq: 3 }, deployed: { server: 1 } });
  });

  it('has many appends on their way, which are stored in order and acknowledged one by one', async () => {
    await start();
    const made = await rig.enrolledSite();
    const { ledger } = made;
    for (let index = 0; index < 50; index++) ledger.deploy(index, 'server', '2026-01-11T00:00:00.000Z');
    const client = await SiteClient.join(rig.port, identity(made));
    for (const entry of ledger.entries) client.append([entry]);
    for (const { seq } of ledger.entries) expect(await client.next('ack')).toMatchObject({ seq });
  });

  it('shows its latest status as long as it is connected', async () => {
    await start();
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    const status = {
      at: '2026-03-01T00:00:00.000Z',
      deployed: { server: 1, workstation: 0 },
      active: { server: 1, workstation: 0 },
      lastCheckInAt: null,
    };
    client.send({ kind: 'status', ...status });
    expect(await until(() => rig.gateway.statusOf(made.site.id))).toMatchObject(status);
    await client.close();
    await until(() => rig.gateway.statusOf(made.site.id) === undefined);
  });
});

describe('a connected site is told', () => {
  const wish = async ({ keyId }: RigSite, to: 'active' | 'deactivated'): Promise<string> => {
    const id = newId('command');
    const name = to === 'active' ? 'reactivate-key' : 'deactivate-key';
    const wished = await rig.store.keys.wishKey(rig.mspScope, keyId, to, {
      id,
      name,
      keyId,
      issuedAt: '2026-03-01T00:00:00.000Z',
    });
    expect(wished).toMatchObject({ ok: true });
    return id;
  };

  it('a command at once, again until it is answered, and never a lease of a key that is to be deactivated', async () => {
    await start({ limits: { commandResendMs: 200 } });
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    const id = await wish(made, 'deactivated');
    rig.gateway.siteChanged(made.site.id);
    for (let times = 0; times < 3; times++)
      expect(await client.next('command')).toMatchObject({
        command: { id, name: 'deactivate-key', keyId: made.keyId },
      });
    made.ledger.record({
      at: '2026-01-11T00:00:00.000Z',
      kind: 'command-applied',
      body: { commandId: id, outcome: 'applied' },
    });
    client.append(made.ledger.entries);
    await client.next('ack');
    await wait(500);
    const sent = client.received.length;
    await wait(500);
    expect(client.received.slice(sent)).toEqual([]);
    expect(client.received.filter(({ kind }) => kind === 'lease')).toEqual([]);
    await wish(made, 'active');
    rig.gateway.siteChanged(made.site.id);
    const reactivation = [await client.nextOf('lease', 'command'), await client.nextOf('lease', 'command')];
    expect(reactivation.map(({ kind }) => kind).sort()).toEqual(['command', 'lease']);
  });

  it('the commands that were given while it slept, in its welcome', async () => {
    await start();
    const made = await rig.enrolledSite();
    const id = await wish(made, 'deactivated');
    const client = new SiteClient(rig.port);
    await client.hello(identity(made));
    expect(await client.next('welcome')).toMatchObject({ commands: [{ id, keyId: made.keyId }], leases: [] });
  });

  it('changed settings, once', async () => {
    await start();
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    await rig.store.sites.changeSite(rig.mspScope, made.site.id, { settings: { staleAfterDays: 7 } });
    rig.gateway.siteChanged(made.site.id);
    expect(await client.next('settings')).toMatchObject({ settings: { staleAfterDays: 7 } });
    rig.gateway.siteChanged(made.site.id);
    await client.next('lease');
    await client.next('lease');
    expect(client.received.filter(({ kind }) => kind === 'settings')).toHaveLength(1);
  });

  it('new leases before a twenty-fourth of the present one has passed', async () => {
    const leaseMs = 24_000;
    await start({ leaseMs });
    const made = await rig.enrolledSite();
    const client = new SiteClient(rig.port);
    await client.hello(identity(made));
    const leases = (await client.next('welcome')).leases;
    for (let times = 0; times < 3; times++) leases.push((await client.next('lease')).lease);
    const issued: number[] = [];
    for (const signed of leases) {
      const checked = await verifyLease(signed, [rig.leasePublicKey]);
      if (!checked.ok) throw new Error(checked.code);
      expect(Date.parse(checked.lease.until) - Date.parse(checked.lease.issuedAt)).toBe(leaseMs);
      issued.push(Date.parse(checked.lease.issuedAt));
    }
    for (const [index, ms] of issued.slice(1).entries()) {
      expect(ms - issued[index]!).toBeGreaterThan(200);
      // The machine that runs the tests may be late by some; the product's own limit is 1,000 ms.
      expect(ms - issued[index]!).toBeLessThan(1_000 + 400);
    }
  });

  it('no lease once its site is closed', async () => {
    await start();
    const made = await rig.enrolledSite();
    await rig.store.sites.closeSite(rig.mspScope, made.site.id, '2026-03-01T00:00:00.000Z');
    const client = new SiteClient(rig.port);
    await client.hello(identity(made));
    expect(await client.next('welcome')).toMatchObject({ leases: [] });
  });

  it('to connect again when it was changed at its root', async () => {
    await start();
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    rig.gateway.siteReset(made.site.id);
    expect(await client.next('bye')).toMatchObject({ code: 'GOING_AWAY', retryAfterMs: expect.any(Number) });
    expect(rig.gateway.isConnected(made.site.id)).toBe(false);
  });
});

describe('a site that falls silent', () => {
  it('is pinged, and dropped when it does not answer', async () => {
    await start({ limits: { heartbeatIntervalMs: 1_000 } });
    const made = await rig.enrolledSite();
    const lively = await SiteClient.join(rig.port, identity(made));
    const other = await rig.enrolledSite();
    const deaf = new SiteClient(rig.port, { autoPong: false });
    await deaf.hello(identity(other));
    await deaf.next('welcome');
    expect(await deaf.bye()).toBe('HEARTBEAT_LOST');
    expect(rig.gateway.isConnected(other.site.id)).toBe(false);
    expect(rig.gateway.isConnected(made.site.id)).toBe(true);
    await lively.close();
  });

  it('is dropped when it does not say hello', async () => {
    await start({ limits: { handshakeTimeoutMs: 300 } });
    const client = new SiteClient(rig.port);
    await client.next('challenge');
    expect(await client.bye()).toBe('HANDSHAKE_TIMEOUT');
    expect(await client.closed).toMatchObject({ code: 4003 });
  });

  it('is cut off when it does not read what it is sent', async () => {
    await start({
      limits: { sendBufferBytesMax: 64 * 1024, idleMessagesBurst: 1_000_000, heartbeatIntervalMs: 600_000 },
    });
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    client.socket.pause();
    const gone = until(() => !rig.gateway.isConnected(made.site.id));
    // Each answer is short, and the kernel's buffers take the first megabytes of them.
    const ahead = [{ ...made.ledger.entries[0]!, seq: 5 }];
    const flood = setInterval(() => {
      for (let times = 0; times < 100 && rig.gateway.isConnected(made.site.id); times++) client.append(ahead);
    }, 5);
    await gone.finally(() => clearInterval(flood));
    client.socket.resume();
    expect((await client.closed).code).toBe(1006);
    expect(client.received.filter(({ kind }) => kind === 'bye')).toEqual([]);
  });
});

describe('a store that fails', () => {
  it('leads to no acknowledgement, and nothing is lost when the site tries again', async () => {
    let failing = false;
    await start({
      wrapStore: (store) => ({
        ...store,
        ingest: {
          ...store.ingest,
          apply: (plans) => (failing ? Promise.reject(new Error('the disk is gone')) : store.ingest.apply(plans)),
        },
      }),
    });
    const made = await rig.enrolledSite();
    const { ledger } = made;
    ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    const client = await SiteClient.join(rig.port, identity(made));
    failing = true;
    client.append(ledger.entries);
    const bye = await client.next('bye');
    expect(bye).toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterMs: expect.any(Number) });
    expect(client.received.filter(({ kind }) => kind === 'ack')).toEqual([]);
    failing = false;
    const again = await SiteClient.join(rig.port, identity(made));
    again.append(ledger.entries);
    expect(await again.next('ack')).toMatchObject({ seq: 2 });
    expect(await rig.siteNow(made.site.id)).toMatchObject({ ledger: { seq: 2 }, deployed: { server: 1 } });
  });

  it('that is slow holds the acknowledgement back until the commit is done', async () => {
    let commit: () => void = () => undefined;
    await start({
      wrapStore: (store) => ({
        ...store,
        ingest: {
          ...store.ingest,
          apply: async (plans) => {
            await new Promise<void>((resolve) => {
              commit = resolve;
            });
            return store.ingest.apply(plans);
          },
        },
      }),
    });
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    client.append(made.ledger.entries);
    await wait(300);
    expect(client.received.filter(({ kind }) => kind === 'ack')).toEqual([]);
    commit();
    await client.next('ack');
  });

  it('that is slow bounds how much one site sends ahead, and how much all do together', async () => {
    await start({
      limits: { backlogCharactersMax: 5_000, commitTimeoutMs: 1_000 },
      wrapStore: (store) => ({ ...store, ingest: { ...store.ingest, apply: () => new Promise(() => undefined) } }),
    });
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    const entries = Array<LedgerEntry>(appendEntriesMax).fill({ ...made.ledger.entries[0]!, seq: 2 });
    client.append(made.ledger.entries);
    client.append(entries);
    expect(await client.next('reject')).toMatchObject({ code: 'BACKLOG_FULL', expected: { seq: 0 } });
    expect(await client.next('bye')).toMatchObject({ code: 'BACKLOG_FULL', retryAfterMs: expect.any(Number) });
  });

  it('that is slow bounds how many entries of one site wait', async () => {
    await start({
      limits: { commitTimeoutMs: 1_000 },
      wrapStore: (store) => ({ ...store, ingest: { ...store.ingest, apply: () => new Promise(() => undefined) } }),
    });
    const made = await rig.enrolledSite();
    const client = await SiteClient.join(rig.port, identity(made));
    const entries = Array<LedgerEntry>(appendEntriesMax).fill({ ...made.ledger.entries[0]!, seq: 2 });
    client.append(made.ledger.entries);
    for (let waiting = 1; waiting <= unacknowledgedEntriesMax; waiting += appendEntriesMax) client.append(entries);
    expect(await client.next('reject')).toMatchObject({ code: 'BACKLOG_FULL' });
    expect(await client.bye()).toBe('BACKLOG_FULL');
    expect(client.received.filter(({ kind }) => kind === 'reject')).toHaveLength(1);
  });

  it('that never answers is given up after a while, for those that wait and for those that come', async () => {
    await start({
      limits: { commitTimeoutMs: 300 },
      wrapStore: (store) => ({ ...store, ingest: { ...store.ingest, apply: () => new Promise(() => undefined) } }),
    });
    const [first, second] = [await rig.enrolledSite(), await rig.enrolledSite()];
    for (const made of [first, second]) {
      const client = await SiteClient.join(rig.port, identity(made));
      client.append(made.ledger.entries);
      expect(await client.bye()).toBe('STORE_UNAVAILABLE');
    }
  });

  it('whose head moved under the session is read again, and the append goes on from there', async () => {
    let meanwhile: (() => Promise<void>) | undefined;
    await start({
      wrapStore: (store) => ({
        ...store,
        ingest: {
          ...store.ingest,
          apply: async (plans) => {
            const act = meanwhile;
            meanwhile = undefined;
            await act?.();
            return store.ingest.apply(plans);
          },
        },
      }),
    });
    const made = await rig.enrolledSite();
    made.ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    const client = await SiteClient.join(rig.port, identity(made));
    // Another writer takes the first entry while this one is about to commit both.
    meanwhile = async () => {
      const session = await rig.store.sites.session(made.site.id);
      const groupCommit = new GroupCommit(rig.store.ingest, systemClock, gatewayLimits);
      const publicKey = made.signer.publicKey;
      const parts = {
        store: rig.store,
        groupCommit,
        recounts: new MonthRecounts(),
        clock: systemClock,
        digest: nodeDigest,
        verifier: nodeVerifier,
      };
      const enrolledAt = session!.site.enrolledAt!;
      const site = { state: stateOf(session!, publicKey), publicKey, enrolledAt, ledgerSeq: 2 };
      expect(await appendEntries(parts, site, made.ledger.entries.slice(0, 1))).toMatchObject({ ok: true });
    };
    client.append(made.ledger.entries);
    expect(await client.next('ack')).toMatchObject({ seq: 2 });
    expect(await rig.siteNow(made.site.id)).toMatchObject({ ledger: { seq: 2 }, deployed: { server: 1 } });
  });
});
