import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { afterEach, describe, expect, it } from 'vitest';
import type { Store } from '../store/store.ts';
import { recountsAtOnceMax } from './limits.ts';
import { MonthRecounts } from './month-recounts.ts';
import { GatewayRig, type RigSite } from './testing/gateway-rig.ts';
import { type Identity, SiteClient } from './testing/site-client.ts';

let rig: GatewayRig;
afterEach(() => rig.dispose());

const identity = ({ site, signer, ledger }: RigSite): Identity => ({ siteId: site.id, signer, head: ledger.head });

/** A gateway that tells which months were read, and how many were held at most. */
async function start(): Promise<{ read: string[]; heldMost: () => number }> {
  const read: string[] = [];
  let [held, most] = [0, 0];
  const wrapStore = (store: Store): Store => ({
    ...store,
    ingest: {
      ...store.ingest,
      async heldMonth(siteId, month, ...others) {
        read.push(month);
        most = Math.max(most, ++held);
        try {
          return await store.ingest.heldMonth(siteId, month, ...others);
        } finally {
          held--;
        }
      },
    },
  });
  rig = await GatewayRig.start({ wrapStore });
  return { read, heldMost: () => most };
}

/** A site whose January is sealed and held, connected. */
async function sealedSite(): Promise<{ made: RigSite; client: SiteClient }> {
  const made = await rig.enrolledSite();
  made.ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
  made.ledger.sealNext({});
  const client = await SiteClient.join(rig.port, identity(made));
  client.append(made.ledger.entries);
  await client.next('ack');
  return { made, client };
}

describe('a batch full of corrections', () => {
  it.each<[string, string, (entry: LedgerEntry, index: number) => LedgerEntry]>([
    ['does not follow', 'FORK', (entry, index) => ({ ...entry, seq: entry.seq + index, prev: 'a'.repeat(64) })],
    ['leaves entries out', 'GAP', (entry, index) => ({ ...entry, seq: entry.seq + 100 + index })],
  ])('that %s costs no look at a month', async (_, code, spoil) => {
    const { read } = await start();
    const { made, client } = await sealedSite();
    made.ledger.correct('2026-01', [], '2026-02-04T00:00:00.000Z');
    const correction = made.ledger.entries.at(-1)!;
    read.length = 0;
    client.append(
      Array.from({ length: 500 }, (__, index) => {
        const month = `20${String(30 + Math.floor(index / 12)).padStart(2, '0')}-${String((index % 12) + 1).padStart(2, '0')}`;
        return spoil({ ...correction, body: { month } }, index);
      }),
    );
    expect(await client.next('reject')).toMatchObject({ code });
    expect(read).toEqual([]);
  });

  it('gets through where they are right, one month held at a time, and others are served meanwhile', async () => {
    const { read, heldMost } = await start();
    const { made, client } = await sealedSite();
    const other = await rig.enrolledSite();
    const otherClient = await SiteClient.join(rig.port, identity(other));
    const from = made.ledger.entries.length;
    made.ledger.sealUntil('2026-07-01T00:00:00.000Z');
    for (let times = 0; times < 40; times++)
      for (const month of ['2026-01', '2026-03', '2026-05']) made.ledger.correct(month, [], '2026-07-01T12:00:00.000Z');
    read.length = 0;
    client.append(made.ledger.entries.slice(from));
    otherClient.append(other.ledger.entries);
    const order: string[] = [];
    await Promise.all([
      client.next('ack').then(({ seq }) => order.push(`many ${seq}`)),
      otherClient.next('ack').then(() => order.push('other')),
    ]);
    expect(order).toEqual(['other', `many ${made.ledger.entries.length}`]);
    expect(read).toHaveLength(made.ledger.entries.length - from);
    expect(heldMost()).toBe(1);
    const revisions = await rig.store.reports.revisions(rig.mspScope, made.site.id, '2026-05');
    expect(revisions?.map(({ revision, agreeing }) => [revision, agreeing])).toEqual(
      Array.from({ length: 41 }, (_, index) => [index + 1, true]),
    );
    expect(await rig.findingsOf(made.site.id)).toEqual(Array(120).fill('REPORT_CORRECTED').slice(0, 100));
  });
});

describe('recounts of many sites', () => {
  it('take turns, and one that fails gives its turn back', async () => {
    rig = await GatewayRig.start();
    const recounts = new MonthRecounts();
    let [held, most, counted] = [0, 0, 0];
    const store = {
      async heldMonth() {
        most = Math.max(most, ++held);
        await new Promise((resolve) => setImmediate(resolve));
        held--;
        if (counted % 3 === 1) throw new Error('the store is gone');
        return { latest: null, intervals: [] };
      },
    };
    const site = { siteId: 'site_00000000000000000001', timeZone: 'UTC' };
    const done = await Promise.allSettled(
      Array.from({ length: 40 }, () => recounts.recount(store, site, '2026-01', () => (counted += 1))),
    );
    expect(most).toBe(recountsAtOnceMax);
    expect(done.some(({ status }) => status === 'rejected')).toBe(true);
    counted = 0;
    await expect(recounts.recount(store, site, '2026-01', () => 'counted')).resolves.toBe('counted');
  });
});
