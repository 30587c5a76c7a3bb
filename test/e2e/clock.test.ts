/**
 * Acceptance A4, wrong clocks: a site's clock set back an hour or forward a year, while it runs and across a restart, with contact and
 * without. Each is recorded, extends no lease, loses no count, and the month's report is right.
 */
import { describe, expect, test } from 'vitest';
import { Endpoint } from '../support/endpoint.ts';
import { inHouse, reportReceived } from '../support/house.ts';
import { until } from '../support/program.ts';
import { recountMonth } from '../support/recount.ts';
import type { SiteSeat } from '../support/site-seat.ts';

const hourMs = 3_600_000;
const yearMs = 365 * 86_400_000;
/** Wall clock, network and this test's own steps may differ by so much from the jump itself. */
const aboutMs = 30_000;
const storyTimeoutMs = 120_000;

const month = '2027-09';
const monthEnd = '2027-09-30T22:00:00.000Z';
const before = (instant: string, ms: number): string => new Date(Date.parse(instant) - ms).toISOString();

const jumps = [
  { name: 'set back an hour', byMs: -hourMs, direction: 'backward' },
  { name: 'set forward a year', byMs: yearMs, direction: 'forward' },
] as const;

describe.each(jumps)('a clock $name', ({ byMs, direction }) => {
  test.concurrent(
    'while the site runs in contact',
    async () => {
      await inHouse({ now: before(monthEnd, 10 * hourMs) }, async (house) => {
        const tenants = await house.furnish(month);
        const { id, seat } = await house.addSite(tenants, 'Orologio');
        await seat.startInContact();
        const [server, pc] = [new Endpoint('srv-1'), new Endpoint('pc-1')];
        const first = await server.join(seat.url, { joinCode: seat.joinCode }, 'server');

        seat.clock.moveBy(byMs);
        const second = await pc.join(seat.url, { joinCode: seat.joinCode }, 'workstation');
        truthful(house.clock.now(), first.at, second.at);
        expect(second).toMatchObject({ deployed: true });
        await seat.untilSynchronised();
        anomalies(seat, [{ direction, noticed: 'running', byMs }]);
        await leaseHolds(seat, house.clock.now());
        // The wall clock stays wrong; the operator is told, and so is the aggregator's.
        await seat.untilStatus('the operator sees it', ({ conditions }) =>
          conditions.some(({ code }) => code === 'CLOCK_WRONG'),
        );
        const third = await server.mustCheckIn(seat.url, null);
        truthful(house.clock.now(), second.at, third.at);
        anomalies(seat, [{ direction, noticed: 'running', byMs }]);

        // Started again just before the month's end, the clock as wrong as before.
        await seat.untilSynchronised();
        await seat.stop();
        await house.aggregator.stop();
        house.clock.set(before(monthEnd, 8_000));
        seat.clock.set(house.clock.now());
        seat.clock.moveBy(byMs);
        await house.aggregator.start();
        await seat.startInContact();
        const detail = await reportReceived(tenants.msp, id, month);
        expect(detail).toMatchObject({ status: 'agreeing', reported: { server: 1, workstation: 1 } });
        const ledger = seat.ledger();
        expect(seat.entriesOf('month-sealed').map(({ at, body }) => [at, body.month])).toEqual([[monthEnd, month]]);
        expect(recountMonth(ledger, detail.report?.period ?? { start: '', end: '' })).toEqual(detail.report?.peaks);
        expect(house.clock.now() >= monthEnd, 'no month is sealed before it is over').toBe(true);
        expect(Date.parse(detail.report?.sealedAt ?? '')).toBeLessThan(Date.parse(house.clock.now()) + aboutMs);
        await seat.untilSynchronised();
        expect(house.heldTexts(id)).toEqual(seat.ledgerTexts());
      });
    },
    storyTimeoutMs,
  );

  test.concurrent(
    'while the site runs without contact',
    async () => {
      await inHouse({ now: before(monthEnd, 10 * hourMs) }, async (house) => {
        const tenants = await house.furnish(month);
        const { id, seat } = await house.addSite(tenants, 'Orologio');
        await seat.startInContact();
        const [server, pc] = [new Endpoint('srv-1'), new Endpoint('pc-1')];
        const first = await server.join(seat.url, { joinCode: seat.joinCode }, 'server');
        await pc.register(seat.url, { joinCode: seat.joinCode });
        await seat.untilSynchronised();
        await house.aggregator.stop();
        const lease = (await seat.untilStatus('contact ends', ({ connected }) => !connected)).keys[0];

        seat.clock.moveBy(byMs);
        const heard = await server.mustCheckIn(seat.url, 'server');
        truthful(house.clock.now(), first.at, heard.at);
        anomalies(seat, [{ direction, noticed: 'running', byMs }]);
        expect((await seat.status()).keys[0]).toMatchObject({
          leaseIssuedAt: lease?.leaseIssuedAt,
          leaseUntil: lease?.leaseUntil,
        });
        if (direction === 'forward') {
          // By the later of the two clocks the lease is over: shortened, never extended.
          expect(heard).toMatchObject({ keyState: 'disabled-offline', deployed: true, allowed: { restore: true } });
          expect(await pc.checkIn(seat.url, 'workstation')).toMatchObject({ ok: false, code: 'KEY_DISABLED' });
        } else {
          expect(heard).toMatchObject({ keyState: 'active' });
        }
        expect(seat.entriesOf('month-sealed')).toEqual([]);

        // Set right again: what only the wrong clock had begun is taken back.
        seat.clock.set(house.clock.now());
        expect(await server.mustCheckIn(seat.url, 'server')).toMatchObject({ keyState: 'active' });
        expect(await pc.mustCheckIn(seat.url, 'workstation')).toMatchObject({ deployed: true });
        anomalies(seat, [{ direction, noticed: 'running', byMs }]);
        await house.aggregator.start();
        await seat.untilSynchronised();
        expect(house.heldTexts(id)).toEqual(seat.ledgerTexts());
        expect(recountMonth(seat.ledger(), { start: first.at, end: monthEnd })).toMatchObject({
          server: { peak: 1 },
          workstation: { peak: 1 },
        });
      });
    },
    storyTimeoutMs,
  );

  test.concurrent(
    'while the site is off',
    async () => {
      await inHouse({ now: before(monthEnd, 10 * hourMs) }, async (house) => {
        const tenants = await house.furnish(month);
        const { id, seat } = await house.addSite(tenants, 'Orologio');
        await seat.startInContact();
        const server = new Endpoint('srv-1');
        const first = await server.join(seat.url, { joinCode: seat.joinCode }, 'server');
        await seat.untilSynchronised();
        await house.aggregator.stop();
        const lease = (await seat.untilStatus('contact ends', ({ connected }) => !connected)).keys[0];
        await seat.stop();
        const written = seat.ledgerTexts();

        seat.clock.moveBy(byMs);
        await seat.start();
        const heard = await server.checkIn(seat.url, 'server');
        if (direction === 'backward') {
          expect(heard).toMatchObject({ ok: true, answer: { keyState: 'active' } });
          truthful(house.clock.now(), first.at, heard.ok ? heard.answer.at : '');
          anomalies(seat, [{ direction, noticed: 'start', byMs }]);
        } else {
          // A machine that was off for a year looks the same: nothing is written down until somebody vouches for the time.
          expect(heard).toMatchObject({ ok: false, status: 503, code: 'TIME_UNCONFIRMED' });
          expect(seat.ledgerTexts()).toEqual(written);
        }
        expect((await seat.status()).keys[0]).toMatchObject({
          leaseIssuedAt: lease?.leaseIssuedAt,
          leaseUntil: lease?.leaseUntil,
        });

        await house.aggregator.start();
        await seat.untilSynchronised();
        const told = await server.mustCheckIn(seat.url, 'server');
        truthful(house.clock.now(), first.at, told.at);
        expect(told).toMatchObject({ keyState: 'active' });
        anomalies(seat, [{ direction, noticed: direction === 'backward' ? 'start' : 'contact', byMs }]);
        await leaseHolds(seat, house.clock.now());
        expect(seat.entriesOf('month-sealed')).toEqual([]);
        expect(seat.entriesOf('agent-removed')).toEqual([]);
        await seat.untilSynchronised();
        expect(house.heldTexts(id)).toEqual(seat.ledgerTexts());
        await until('the aggregator shows it', async () => ((await clockFindings()).length > 0 ? true : undefined));

        async function clockFindings(): Promise<unknown[]> {
          const rows = house.dump()['findings'] ?? [];
          return rows.filter((row) => row.includes('CLOCK_ANOMALY') && row.includes(id));
        }
      });
    },
    storyTimeoutMs,
  );
});

/** Time goes on from what it was, and is that of the right clock. */
function truthful(now: string, earlier: string, at: string): void {
  expect(at >= earlier, `${at} is not before ${earlier}`).toBe(true);
  expect(Math.abs(Date.parse(at) - Date.parse(now)), `${at} is about ${now}`).toBeLessThan(aboutMs);
}

/** These anomalies stand in the ledger and no others. */
function anomalies(seat: SiteSeat, expected: readonly { direction: string; noticed: string; byMs: number }[]): void {
  const found = seat.entriesOf('clock-anomaly').map(({ body }) => body);
  expect(found.map(({ direction, noticed }) => ({ direction, noticed }))).toEqual(
    expected.map(({ direction, noticed }) => ({ direction, noticed })),
  );
  for (const [index, { byMs }] of expected.entries())
    expect(Math.abs((found[index]?.differenceMs ?? Number.NaN) - byMs)).toBeLessThan(aboutMs);
}

/** The lease is one that the aggregator gave by its own clock: 14 days from no later than now. */
async function leaseHolds(seat: SiteSeat, now: string): Promise<void> {
  const { keys } = await seat.status();
  expect(keys).toMatchObject([{ state: 'active' }]);
  const [key] = keys;
  expect(Date.parse(key?.leaseUntil ?? '') - Date.parse(now)).toBeLessThanOrEqual(14 * 24 * hourMs);
  expect((key?.leaseIssuedAt ?? '9') <= now).toBe(true);
}
