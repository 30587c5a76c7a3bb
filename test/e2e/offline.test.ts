/**
 * Acceptance A4, without contact: sites that are off or cut off for months, started again under later wall clocks. What fell due
 * meanwhile stands in the ledger at its instant, keys go through their stages, restores stay allowed, and contact mends all of it
 * within seconds. The stories share their waiting: each has a house of its own.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ReportDetail, ReportRow } from '@rollcall/shared/api/report.ts';
import { pageOf } from '@rollcall/shared/api/page.ts';
import type { LeaseStage } from '@rollcall/shared/domain/lease.ts';
import { monthPeriod } from '@rollcall/shared/domain/month.ts';
import { describe, expect, test } from 'vitest';
import { Endpoint, type Heard } from '../support/endpoint.ts';
import { findingsOf, type House, inHouse, reportReceived, siteView, type Tenants } from '../support/house.ts';
import { until } from '../support/program.ts';
import { recountMonth } from '../support/recount.ts';
import type { SiteSeat } from '../support/site-seat.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** What the aggregator gives unless told otherwise. */
const leaseMs = 14 * dayMs;
/** From the aggregator's listening to the key's being active at an endpoint's check-in. */
const backWithinMs = 5_000;
/** A clock that nobody confirms is believed after 30 s; a slow machine needs a little longer to say so. */
const believedWithinMs = 45_000;
/** Longer than that: time alone does not confirm a clock after so long a gap. */
const notBelievedMs = 33_000;
/** Sooner than told (2 s), and below the limit of requests for one credential. */
const askAgainMs = 1_000;
const storyTimeoutMs = 170_000;

const later = (instant: string, ms: number): string => new Date(Date.parse(instant) + ms).toISOString();
const joinCodeOf = (seat: SiteSeat): { joinCode: string } => ({ joinCode: seat.joinCode });

describe('a site without contact', () => {
  test.concurrent(
    'for three months catches up by itself',
    async () => {
      const began = '2027-01-20T10:00:00.000Z';
      await inHouse({ now: began }, async (house) => {
        const tenants = await house.furnish('2027-01');
        const { id, seat } = await house.addSite(tenants, 'Rifugio', { staleAfterDays: 60 });
        await seat.startInContact();
        const [server1, server2, pc1, pc2, silent] = [
          new Endpoint('srv-1'),
          new Endpoint('srv-2'),
          new Endpoint('pc-1'),
          new Endpoint('pc-2'),
          new Endpoint('pc-silent'),
        ];
        for (const server of [server1, server2]) await server.join(seat.url, joinCodeOf(seat), 'server');
        for (const pc of [pc1, pc2]) await pc.join(seat.url, joinCodeOf(seat), 'workstation');
        const silentSince = (await silent.join(seat.url, joinCodeOf(seat), 'workstation')).at;
        const lease = await cutOff(house, seat);

        // Six weeks off: everything that fell due is written down at its instant, once the clock is believed.
        await restartAt(seat, '2027-03-03T10:00:00.000Z');
        expect(await server1.checkIn(seat.url, 'server')).toMatchObject({
          ok: false,
          status: 503,
          code: 'TIME_UNCONFIRMED',
          retryAfter: '2',
        });
        for (const endpoint of [server1, server2, pc2])
          disabledButRestorable(await heardOnceBelieved(endpoint, seat, endpoint === pc2 ? 'workstation' : 'server'));
        expect(await pc1.checkIn(seat.url, null)).toMatchObject({
          ok: true,
          answer: { deployed: false, allowed: { restore: true } },
        });
        const newcomer = new Endpoint('pc-new');
        expect(await newcomer.register(seat.url, joinCodeOf(seat))).toEqual({ ok: true });
        expect(await newcomer.checkIn(seat.url, 'workstation')).toMatchObject({
          ok: false,
          status: 409,
          code: 'KEY_DISABLED',
        });
        await seat.stop();

        await restartAt(seat, '2027-04-12T10:00:00.000Z');
        disabledButRestorable(await heardOnceBelieved(server1, seat, 'server'));
        const offline = seat.ledger();
        const sealed = offline.filter((entry) => entry.kind === 'month-sealed');
        expect(sealed.map(({ at, body }) => [body.month, at])).toEqual(
          ['2027-01', '2027-02', '2027-03'].map((month) => [month, monthPeriod(month, 'Europe/Rome').end]),
        );
        stagesOnTime(seat, lease, ['warning', 'restricted', 'disabled-offline']);
        expect(
          seat
            .entriesOf('agent-removed')
            .filter(({ body }) => body.reason === 'stale')
            .map(({ at, body }) => [at, body.endpointId]),
        ).toEqual([[later(silentSince, 60 * dayMs), silent.endpointId]]);
        const [lost] = seat.entriesOf('contact-lost');
        expect(lost?.at).toBe(later(lost?.body.since ?? '', 5 * minuteMs));

        await contactMendsAll(house, seat, server1);
        // A swap that had to wait for contact.
        expect(await newcomer.checkIn(seat.url, 'workstation')).toMatchObject({ ok: true, answer: { deployed: true } });
        await seat.untilSynchronised();
        await inOrder(house, tenants, id, seat);
        expect(await reportedFigures(tenants, id)).toEqual([
          ['2027-01', 'agreeing', { server: 2, workstation: 3 }],
          ['2027-02', 'agreeing', { server: 2, workstation: 3 }],
          ['2027-03', 'agreeing', { server: 2, workstation: 3 }],
          // April still runs: pc-2, and the one that came today.
          ['2027-04', 'running', null],
        ]);
        expect((await siteView(tenants.msp, id)).deployed).toEqual({ server: 2, workstation: 2 });
        expect(await findingsOf(tenants.msp, id)).toEqual([]);
      });
    },
    storyTimeoutMs,
  );

  test.concurrent(
    'passes the stages of its lease one by one',
    async () => {
      const began = '2027-05-03T08:00:00.000Z';
      await inHouse({ now: began }, async (house) => {
        const tenants = await house.furnish('2027-05');
        const { seat } = await house.addSite(tenants, 'Stadi');
        await seat.startInContact();
        const server = new Endpoint('srv-1');
        await server.join(seat.url, joinCodeOf(seat), 'server');
        const lease = await cutOff(house, seat);

        await restartAt(seat, later(lease.issuedAt, leaseMs / 4 + minuteMs));
        const warned = await heardOnceBelieved(server, seat, 'server');
        expect(warned).toMatchObject({
          ok: true,
          answer: { keyState: 'warning', allowed: { backup: true, deploy: true, restore: true } },
        });
        // Sooner than usual, to hear of what comes next.
        expect(warned.ok && warned.answer.nextCheckInSeconds).toBeLessThan(900);
        const inWarning = new Endpoint('pc-in-warning');
        expect(await inWarning.join(seat.url, joinCodeOf(seat), 'workstation')).toMatchObject({ deployed: true });
        await seat.stop();

        await restartAt(seat, later(lease.issuedAt, leaseMs / 2 + minuteMs));
        const restricted = await heardOnceBelieved(server, seat, 'server');
        expect(restricted).toMatchObject({
          ok: true,
          answer: { keyState: 'restricted', allowed: { backup: true, deploy: false, restore: true } },
        });
        const refused = new Endpoint('pc-refused');
        await refused.register(seat.url, joinCodeOf(seat));
        const before = seat.ledgerTexts().length;
        expect(await refused.checkIn(seat.url, 'workstation')).toMatchObject({
          ok: false,
          status: 409,
          code: 'KEY_RESTRICTED',
        });
        // What is deployed goes on, in whatever kind.
        expect(await inWarning.mustCheckIn(seat.url, 'workstation')).toMatchObject({ deployed: true });
        expect(seat.ledgerTexts()).toHaveLength(before);
        stagesOnTime(seat, lease, ['warning', 'restricted']);
        expect((await seat.cli('status')).output).toContain('KEY_RESTRICTED');

        await contactMendsAll(house, seat, server);
        expect(await refused.mustCheckIn(seat.url, 'workstation')).toMatchObject({
          deployed: true,
          keyState: 'active',
        });
      });
    },
    storyTimeoutMs,
  );

  test.concurrent(
    'for longer than 45 days waits for contact or its operator before it believes its clock',
    async () => {
      const began = '2027-06-10T08:00:00.000Z';
      await inHouse({ now: began }, async (house) => {
        const tenants = await house.furnish('2027-06');
        const { id, seat } = await house.addSite(tenants, 'Malga', { staleAfterDays: 0 });
        await seat.startInContact();
        const server = new Endpoint('srv-1');
        await server.join(seat.url, joinCodeOf(seat), 'server');
        await cutOff(house, seat);
        const before = seat.ledgerTexts();

        await restartAt(seat, later(began, 50 * dayMs));
        await pause(notBelievedMs);
        expect(await server.checkIn(seat.url, 'server')).toMatchObject({
          ok: false,
          status: 503,
          code: 'TIME_UNCONFIRMED',
        });
        expect(seat.ledgerTexts(), 'nothing is dated by a clock in doubt').toEqual(before);
        expect((await seat.cli('status')).output).toContain('TIME_UNCONFIRMED');
        await seat.mustCli('confirm-clock');
        disabledButRestorable(await server.checkIn(seat.url, 'server'));
        expect(seat.entriesOf('month-sealed').map(({ body }) => body.month)).toEqual(['2027-06']);
        await seat.stop();

        // The next time there is contact, which confirms the clock at once.
        const back = later(began, 120 * dayMs);
        house.clock.set(back);
        await house.aggregator.start();
        await restartAt(seat, back);
        await seat.untilSynchronised();
        expect(await server.mustCheckIn(seat.url, 'server')).toMatchObject({ keyState: 'active' });
        expect(seat.entriesOf('month-sealed').map(({ body }) => body.month)).toEqual([
          '2027-06',
          '2027-07',
          '2027-08',
          '2027-09',
        ]);
        expect(seat.entriesOf('clock-anomaly')).toEqual([]);
        await reportReceived(tenants.msp, id, '2027-09');
        expect((await reportedFigures(tenants, id)).map(([month, status]) => [month, status])).toEqual([
          ['2027-06', 'agreeing'],
          ['2027-07', 'agreeing'],
          ['2027-08', 'agreeing'],
          ['2027-09', 'agreeing'],
          ['2027-10', 'running'],
        ]);
      });
    },
    storyTimeoutMs,
  );
});

/** Stops the aggregator, then the site; the result is the lease that counts from now on. */
async function cutOff(house: House, seat: SiteSeat): Promise<{ issuedAt: string; until: string }> {
  await seat.untilSynchronised();
  await house.aggregator.stop();
  const { keys } = await seat.untilStatus('contact ends', ({ connected }) => !connected);
  await seat.stop();
  const [key] = keys;
  if (key === undefined) throw new Error('the site has no key');
  expect(key).toMatchObject({ state: 'active' });
  expect(Date.parse(key.leaseUntil) - Date.parse(key.leaseIssuedAt)).toBe(leaseMs);
  return { issuedAt: key.leaseIssuedAt, until: key.leaseUntil };
}

async function restartAt(seat: SiteSeat, now: string): Promise<void> {
  seat.clock.set(now);
  await seat.start();
}

/** Checks in until the Site Manager believes its clock. */
const heardOnceBelieved = (endpoint: Endpoint, seat: SiteSeat, kind: 'server' | 'workstation'): Promise<Heard> =>
  until(
    'the clock is believed',
    async () => {
      const heard = await endpoint.checkIn(seat.url, kind);
      return !heard.ok && heard.code === 'TIME_UNCONFIRMED' ? undefined : heard;
    },
    { timeoutMs: believedWithinMs, everyMs: askAgainMs },
  );

function disabledButRestorable(heard: Heard): void {
  expect(heard).toMatchObject({
    ok: true,
    answer: { deployed: true, keyState: 'disabled-offline', allowed: { backup: false, deploy: false, restore: true } },
  });
}

/** The key went through these stages, each at the instant its part of the lease had passed. */
function stagesOnTime(
  seat: SiteSeat,
  { issuedAt, until: leaseUntil }: { issuedAt: string; until: string },
  stages: LeaseStage[],
): void {
  const lengthMs = Date.parse(leaseUntil) - Date.parse(issuedAt);
  const parts: Record<string, number> = {
    warning: lengthMs / 4,
    restricted: lengthMs / 2,
    'disabled-offline': lengthMs,
  };
  const written = seat.entriesOf('key-state').filter(({ body }) => body.reason !== 'lease granted');
  expect(written.map(({ at, body }) => [body.state, at])).toEqual(
    stages.map((stage) => [stage, later(issuedAt, parts[stage] ?? Number.NaN)]),
  );
}

/** The aggregator is back: within 5 s of its listening the endpoint's key is active again. */
async function contactMendsAll(house: House, seat: SiteSeat, endpoint: Endpoint): Promise<void> {
  house.clock.set(seat.clock.now());
  await house.aggregator.start();
  const listening = performance.now();
  await until(
    'the key is active again',
    async () => {
      const heard = await endpoint.checkIn(seat.url, 'server');
      return heard.ok && heard.answer.keyState === 'active' && heard.answer.allowed.deploy ? true : undefined;
    },
    { timeoutMs: 30_000, everyMs: 100 },
  );
  expect(performance.now() - listening).toBeLessThan(backWithinMs);
  const renewed = seat.entriesOf('key-state').at(-1);
  expect(renewed?.body).toMatchObject({ state: 'active', reason: 'lease renewed' });
  expect(seat.entriesOf('contact-restored')).toHaveLength(1);
  expect((await seat.status()).conditions).toEqual([]);
}

/** The aggregator holds the site's ledger as it is, and the reports came in the order of their months, each what a recount says. */
async function inOrder(house: House, { msp }: Tenants, siteId: string, seat: SiteSeat): Promise<void> {
  expect(house.heldTexts(siteId)).toEqual(seat.ledgerTexts());
  const ledger = seat.ledger();
  const sealed = seat.entriesOf('month-sealed');
  expect(sealed.map(({ seq }) => seq)).toEqual(sealed.map(({ seq }) => seq).sort((a, b) => a - b));
  for (const { body } of sealed) {
    expect(body.peaks).toEqual(recountMonth(ledger, body.period));
    const detail = await msp.get(`/sites/${siteId}/reports/${body.month}`, ReportDetail);
    expect(detail.report).toEqual(body);
  }
}

const reportedFigures = async ({ msp }: Tenants, siteId: string) =>
  (await msp.list(`/reports?siteId=${siteId}`, pageOf(ReportRow)))
    .map(({ month, status, reported }) => [month, status, reported] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
