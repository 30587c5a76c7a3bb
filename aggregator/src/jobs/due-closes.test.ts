import type { DueClose } from '@rollcall/shared/api/invoice.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OrganisationRecord } from '../store/store.ts';
import { openTemporaryStore, type TemporaryStore } from '../store/testing.ts';
import { dueCloses } from './due-closes.ts';
import { closeMonth } from './month-close.ts';
import { BillingWorld, type LedgerSite, scopeOf } from './testing/billing-world.ts';

let temporary: TemporaryStore;
let world: BillingWorld;
beforeEach(async () => {
  temporary = await openTemporaryStore();
  world = new BillingWorld(temporary.store);
});
afterEach(() => temporary.dispose());

/** All pages of so many rows. */
async function allDue(seller: OrganisationRecord, limit = 100): Promise<DueClose[]> {
  const rows: DueClose[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 500; pages++) {
    const page = await dueCloses(world, scopeOf(seller), { limit, cursor });
    expect(page.rows.length).toBeLessThanOrEqual(limit);
    rows.push(...page.rows);
    if (page.nextCursor === null) return rows;
    cursor = page.nextCursor;
  }
  throw new Error('the list does not end');
}

const brief = (rows: readonly DueClose[]) =>
  rows.map(({ month, buyerName, outcome, netMinor }) => `${month} ${buyerName} ${outcome} ${netMinor}`);

async function close(seller: OrganisationRecord, month: string, withoutMissing = false): Promise<void> {
  const closed = await closeMonth(world, scopeOf(seller), { month, withoutMissing });
  if (!closed.ok) throw new Error(closed.message);
}

/** A site that lives from January on, two servers each month, sealed up to March; it is May. */
async function threeMonths(): Promise<{ vendor: OrganisationRecord; msp: OrganisationRecord; site: LedgerSite }> {
  const vendor = await world.vendor();
  const msp = await world.below(vendor, 'msp', 'MSP');
  await world.agree(vendor, msp, { validFrom: '2025-01' });
  const site = await world.site(msp, 'Rome', '2026-01-05T08:00:00.000Z');
  site.deploy('2026-01-06T08:00:00.000Z', 'server', 2);
  for (const month of ['2026-01', '2026-02', '2026-03']) site.seal(month);
  await site.send();
  world.clock.setWall('2026-05-10T08:00:00.000Z');
  return { vendor, msp, site };
}

describe('what is due', () => {
  it('is every month that is over and not closed, from the first that anybody lived in, the newest first', async () => {
    const { vendor, msp } = await threeMonths();
    expect(brief(await allDue(vendor))).toEqual([
      '2026-04 MSP held 0',
      '2026-03 MSP finalised 1900',
      '2026-02 MSP finalised 1900',
      '2026-01 MSP finalised 1900',
    ]);
    expect(await allDue(msp)).toEqual([]);
    expect((await world.store.billing.invoices(scopeOf(vendor), {}, { limit: 10 })).rows).toEqual([]);
  });

  it('is no more what was closed, and again what changed since', async () => {
    const { vendor, site } = await threeMonths();
    for (const month of ['2026-01', '2026-02', '2026-03', '2026-04']) await close(vendor, month);
    // The draft of April waits for its report; to go on without is an invoice, or nothing to bill.
    expect(brief(await allDue(vendor))).toEqual(['2026-04 MSP held 0']);
    site.correct(
      '2026-02',
      '2026-05-02T00:00:00.000Z',
      [...(site.reports.get('2026-02')?.peaks.server.endpoints ?? [])].slice(1),
    );
    await site.send();
    const rows = await allDue(vendor);
    expect(brief(rows)).toEqual(['2026-04 MSP held 0', '2026-02 MSP credited -950']);
    expect(rows[1]).toMatchObject({ currency: 'EUR', number: 'INV-2026-000002', missingCount: 0 });
    await close(vendor, '2026-02');
    expect(brief(await allDue(vendor))).toEqual(['2026-04 MSP held 0']);
  });

  it('is nothing before there is anybody to bill', async () => {
    const vendor = await world.vendor();
    expect(await allDue(vendor)).toEqual([]);
    const msp = await world.below(vendor, 'msp', 'MSP');
    await world.agree(vendor, msp);
    expect(await allDue(vendor)).toEqual([]);
  });

  it('comes in pages, each row once, whatever their size', async () => {
    const { vendor } = await threeMonths();
    for (const name of ['A', 'B', 'C']) {
      const buyer = await world.below(vendor, 'msp', name);
      await world.agree(vendor, buyer);
      const site = await world.site(buyer, `Site of ${name}`, '2026-02-05T08:00:00.000Z');
      site.seal('2026-02');
      site.seal('2026-03');
      await site.send();
    }
    const whole = brief(await allDue(vendor));
    expect(whole).toHaveLength(4 + 3 * 3);
    for (const limit of [1, 2, 3, 5]) expect(brief(await allDue(vendor, limit))).toEqual(whole);
  });

  it('ends a page that takes long, and goes on from there', async () => {
    const { vendor } = await threeMonths();
    const { billing } = world.store;
    // Each look takes a second.
    const slow = {
      ...billing,
      billableSites: (...of: Parameters<typeof billing.billableSites>) => {
        world.clock.advance(1_000);
        return billing.billableSites(...of);
      },
    };
    const deps = { clock: world.clock, chance: world.chance, logger: world.logger, store: { billing: slow } };
    const first = await dueCloses(deps, scopeOf(vendor), { limit: 100 });
    expect(first.rows.length).toBeLessThan(3);
    expect(first.nextCursor).not.toBeNull();
    const rest: DueClose[] = [];
    for (let cursor = first.nextCursor; cursor !== null; ) {
      const page = await dueCloses(deps, scopeOf(vendor), { limit: 100, cursor });
      rest.push(...page.rows);
      cursor = page.nextCursor;
    }
    expect(brief([...first.rows, ...rest])).toHaveLength(4);
  });

  it('is also an edge that cannot be closed, with the reason', async () => {
    const { vendor } = await threeMonths();
    const { billing } = world.store;
    const broken = { ...billing, billableSites: () => Promise.reject(new RangeError('an amount is too large')) };
    const deps = { clock: world.clock, chance: world.chance, logger: world.logger, store: { billing: broken } };
    const { rows } = await dueCloses(deps, scopeOf(vendor), { limit: 1 });
    expect(rows).toMatchObject([{ outcome: 'failed', failure: { code: 'NOT_BILLABLE' }, netMinor: null }]);
  });

  it.each(['garbage', Buffer.from('["2026-13",""]').toString('base64url')])('refuses the cursor %s', async (cursor) => {
    const { vendor } = await threeMonths();
    await expect(dueCloses(world, scopeOf(vendor), { limit: 10, cursor })).rejects.toMatchObject({
      code: 'CURSOR_INVALID',
    });
  });
});
