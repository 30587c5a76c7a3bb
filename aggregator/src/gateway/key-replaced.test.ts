import { enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayRig, newSigner, type RigOptions, type RigSite } from './testing/gateway-rig.ts';
import { type Identity, SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
afterEach(() => rig.dispose());

const start = async (options: RigOptions = {}): Promise<void> => {
  rig = await GatewayRig.start({ limits: { contactIntervalMs: 50 }, ...options });
};
const identity = ({ site, signer, ledger }: RigSite): Identity => ({ siteId: site.id, signer, head: ledger.head });

/** A site whose first entry is held, connected. */
async function connected(): Promise<{ made: RigSite; client: SiteClient }> {
  const made = await rig.enrolledSite();
  const client = await SiteClient.join(rig.port, identity(made));
  client.append(made.ledger.entries);
  await client.next('ack');
  made.ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
  return { made, client };
}

/** Enrols the site with another key past the gateway, which hears nothing of it. */
async function replaceKeyUnheard({ site, ledger }: RigSite, heldSeq = 1): Promise<void> {
  const { token } = await rig.token({ siteId: site.id });
  const done = await rig.store.sites.applyEnrolment({
    tokenId: token.id,
    usesBefore: 0,
    newSite: null,
    siteId: site.id,
    before: {
      enrolledAt: (await rig.siteNow(site.id)).enrolledAt,
      ledgerHead: { seq: heldSeq, hash: ledger.entries[heldSeq]?.prev ?? ledger.head.hash },
    },
    publicKey: newSigner().publicKey,
    at: '2026-01-12T00:00:00.000Z',
    newKey: null,
  });
  expect(done).toEqual({ ok: true });
}

/** Enrols the site with another key through the gateway. */
async function replaceKey({ site, ledger }: RigSite): Promise<void> {
  const { text } = await rig.token({ siteId: site.id });
  const signer = newSigner();
  const head = { seq: ledger.head.seq, hash: ledger.head.hash };
  const unsigned = { token: text, publicKey: signer.publicKey, head };
  const signature = signer.sign(enrolText(unsigned));
  const answer = await rig.gateway.enrol({ ...unsigned, software: 'test 1', hostName: 'host', signature }, '127.0.0.1');
  expect(answer).toMatchObject({ ok: true });
}

describe('a session whose key was replaced', () => {
  it('gets no acknowledgement, and nothing of it is kept', async () => {
    await start();
    const { made, client } = await connected();
    await replaceKeyUnheard(made);
    client.append(made.ledger.entries.slice(1));
    expect(await client.next('bye')).toMatchObject({ code: 'SIGNATURE_WRONG', retryAfterMs: null });
    expect((await rig.siteNow(made.site.id)).ledger.seq).toBe(1);
  });

  it('gets none either when it had rested', async () => {
    await start();
    const { made, client } = await connected();
    // The sweep after a contact lets the state of a session at rest go.
    const { lastContactAt } = await rig.siteNow(made.site.id);
    client.socket.pong();
    await expect.poll(async () => (await rig.siteNow(made.site.id)).lastContactAt).not.toBe(lastContactAt);
    await replaceKeyUnheard(made);
    client.append(made.ledger.entries.slice(1));
    expect(await client.bye()).toBe('SIGNATURE_WRONG');
    expect((await rig.siteNow(made.site.id)).ledger.seq).toBe(1);
  });

  it('gets no lease, no settings and no command', async () => {
    await start();
    const { made, client } = await connected();
    await replaceKeyUnheard(made);
    await rig.store.sites.changeSite(rig.mspScope, made.site.id, { settings: { staleAfterDays: 5 } });
    const before = client.received.length;
    rig.gateway.siteChanged(made.site.id);
    expect(await client.bye()).toBe('SIGNATURE_WRONG');
    expect(client.received.slice(before).map(({ kind }) => kind)).toEqual(['bye']);
  });

  it('is not let in where it was about to be when the key was replaced', async () => {
    let meanwhile: (() => Promise<void>) | undefined;
    await start({
      wrapStore: (store) => ({
        ...store,
        sites: {
          ...store.sites,
          async session(siteId) {
            const record = await store.sites.session(siteId);
            const act = meanwhile;
            meanwhile = undefined;
            await act?.();
            return record;
          },
        },
      }),
    });
    const made = await rig.enrolledSite();
    meanwhile = () => replaceKey(made);
    const client = new SiteClient(rig.port);
    await client.hello(identity(made));
    expect(await client.bye()).toBe('SIGNATURE_WRONG');
    expect(client.received.map(({ kind }) => kind)).toEqual(['challenge', 'bye']);
    expect(rig.gateway.isConnected(made.site.id)).toBe(false);
  });
});

describe('a site that was closed while its session joined', () => {
  it('is welcomed as it is by then', async () => {
    let meanwhile: (() => Promise<void>) | undefined;
    await start({
      wrapStore: (store) => ({
        ...store,
        sites: {
          ...store.sites,
          async session(siteId) {
            const record = await store.sites.session(siteId);
            const act = meanwhile;
            meanwhile = undefined;
            await act?.();
            return record;
          },
        },
      }),
    });
    const made = await rig.enrolledSite();
    meanwhile = async () => {
      await rig.store.sites.closeSite(rig.mspScope, made.site.id, '2026-01-12T00:00:00.000Z');
      rig.gateway.siteReset(made.site.id);
    };
    const client = new SiteClient(rig.port);
    await client.hello(identity(made));
    expect((await client.next('welcome')).leases).toEqual([]);
  });
});
