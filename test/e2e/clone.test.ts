/**
 * Acceptance A5: a Site Manager's disk is copied and the same identity lives twice. The copy is refused and flagged on both sides,
 * whatever it wrote meanwhile; the original goes on; enrolled again, it is alone for good.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { SiteView } from '@rollcall/shared/api/site.ts';
import { NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { expect, test } from 'vitest';
import { Endpoint } from '../support/endpoint.ts';
import { findingsOf, type House, inHouse, siteView, type Tenants } from '../support/house.ts';
import { until } from '../support/program.ts';
import { SiteSeat } from '../support/site-seat.ts';

const now = '2027-10-12T09:00:00.000Z';
const storyTimeoutMs = 150_000;

test(
  'a copied Site Manager is refused and flagged on both sides; the original is not disturbed',
  async () => {
    await inHouse({ now }, async (house) => {
      const tenants = await house.furnish('2027-10');
      const { id, seat: original } = await house.addSite(tenants, 'Originale');
      await original.startInContact();
      const joinCode = { joinCode: original.joinCode };
      const [server, pc] = [new Endpoint('srv-1'), new Endpoint('pc-1')];
      await server.join(original.url, joinCode, 'server');
      await original.untilSynchronised();
      await original.stop();
      const copy = house.adopt(await original.copyTo(join(house.folder, 'copy')));
      // Copies of the same moment: one will write less than the original does, the other more.
      const longer = house.adopt(await original.copyTo(join(house.folder, 'longer-copy')));
      const backup = house.adopt(await original.copyTo(join(house.folder, 'backup')));

      await original.startInContact();
      await copy.start();
      await refusedWith(copy, 'CLONE_SUSPECTED');
      await flagged(tenants, id, 'CLONE_SUSPECTED');
      await toldOf(original, 'CLONE_SUSPECTED');
      // Seen to, for the operators think: the flag is lifted, and nothing is left of it at the site.
      await tenants.msp.post(`/sites/${id}/clear-flag`, {}, SiteView);
      await original.untilStatus(
        'the notice is gone',
        ({ connected, conditions }) => connected && conditions.length === 0,
      );
      await goesOn(house, id, original, () => pc.join(original.url, joinCode, 'workstation'));

      // The copy goes on counting for itself, and comes back when the original is not there.
      await new Endpoint('srv-of-copy').join(copy.url, joinCode, 'server');
      await copy.stop();
      await original.stop();
      await copy.start();
      await refusedWith(copy, 'FORK');
      await flagged(tenants, id, 'FORK');
      await copy.stop();

      // One that wrote more than is held looks longer, not different; it is found out at its first entry.
      await withoutContact(house, longer, async () => {
        for (const name of ['a', 'b', 'c', 'd', 'e'])
          await new Endpoint(`pc-${name}`).join(longer.url, joinCode, 'workstation');
      });
      expect(longer.ledgerTexts().length).toBeGreaterThan(original.ledgerTexts().length);
      await longer.start();
      await refusedWith(longer, 'FORK');
      await longer.stop();

      // A restored backup wrote nothing of its own: its past is right, and too short.
      await backup.start();
      await refusedWith(backup, 'LEDGER_BEHIND');
      await flagged(tenants, id, 'LEDGER_BEHIND');
      await backup.stop();

      // What was held is what the original wrote, and it is let in as before, told of what happened.
      expect(house.heldTexts(id)).toEqual(original.ledgerTexts());
      await original.startInContact();
      await toldOf(original, 'LEDGER_BEHIND');
      await goesOn(house, id, original, () => pc.mustCheckIn(original.url, 'server'));
      expect((await siteView(tenants.msp, id)).deployed).toEqual({ server: 2, workstation: 0 });
      await original.stop();

      await enrolAgain(house, tenants, id, original);
      await goesOn(house, id, original, () => pc.mustCheckIn(original.url, null));
      const status = await original.status();
      expect(status.keys).toMatchObject([{ state: 'active' }]);

      // The copy's key is nobody's now.
      await copy.start();
      await refusedWith(copy, 'SIGNATURE_WRONG');
      await copy.stop();
      expect((await siteView(tenants.msp, id)).flag).toBe(null);
      expect((await original.status()).connected).toBe(true);
      await sameLedger(house, id, original);
    });
  },
  storyTimeoutMs,
);

test(
  'a copy that gets in first is no better: the original enrols again, and the copy stays out',
  async () => {
    await inHouse({ now }, async (house) => {
      const tenants = await house.furnish('2027-10');
      const { id, seat: original } = await house.addSite(tenants, 'Originale');
      await original.startInContact();
      await new Endpoint('srv-1').join(original.url, { joinCode: original.joinCode }, 'server');
      await original.untilSynchronised();
      await original.stop();
      const copyFolder = join(house.folder, 'copy');
      cpSync(original.dataFolder, copyFolder, { recursive: true });
      const copy = house.adopt(await SiteSeat.open(copyFolder, original.clock));

      await copy.startInContact();
      await original.start();
      await refusedWith(original, 'CLONE_SUSPECTED');
      await toldOf(copy, 'CLONE_SUSPECTED');
      await flagged(tenants, id, 'CLONE_SUSPECTED');
      // The one that was refused keeps counting: nothing of its own is lost whichever of the two is kept.
      await new Endpoint('pc-1').join(original.url, { joinCode: original.joinCode }, 'workstation');
      await copy.stop();
      await original.stop();

      await enrolAgain(house, tenants, id, original);
      await sameLedger(house, id, original);
      expect((await siteView(tenants.msp, id)).deployed).toEqual({ server: 1, workstation: 1 });
      await copy.start();
      await refusedWith(copy, 'SIGNATURE_WRONG');
      expect((await original.status()).connected).toBe(true);
    });
  },
  storyTimeoutMs,
);

/** The refusal stands in the status of the site, by its own command, running or not. */
async function refusedWith(seat: SiteSeat, code: string): Promise<void> {
  await seat.untilStatus(
    `refused with ${code}`,
    ({ conditions, connected }) =>
      !connected &&
      conditions.some(
        (condition) => condition.code === 'REFUSED_BY_AGGREGATOR' && condition.message.startsWith(`${code}:`),
      ),
  );
  const { output } = await seat.cli('status');
  expect(output).toContain('REFUSED_BY_AGGREGATOR');
  expect(output).toContain(code);
}

/** The portal shows the site's flag, and a finding that says why. */
async function flagged(tenants: Tenants, siteId: string, code: string): Promise<void> {
  await until(`the site is flagged ${code}`, async () =>
    (await siteView(tenants.msp, siteId)).flag === code ? true : undefined,
  );
  const findings = await findingsOf(tenants.distributor, siteId);
  expect(findings.filter((finding) => finding.code === code && finding.resolvedAt === null).length).toBeGreaterThan(0);
}

/** The one that is let in is told that another was not. */
async function toldOf(seat: SiteSeat, code: string): Promise<void> {
  await seat.untilStatus(
    `told of ${code}`,
    ({ conditions, connected }) =>
      connected && conditions.some((condition) => condition.code === 'NOTICE' && condition.message.includes(code)),
  );
  expect((await seat.cli('status')).output).toContain('NOTICE');
}

/** What happens at the site is still taken in. */
async function goesOn(house: House, siteId: string, seat: SiteSeat, happen: () => Promise<unknown>): Promise<void> {
  const { length } = house.heldTexts(siteId);
  await happen();
  await sameLedger(house, siteId, seat);
  expect(house.heldTexts(siteId).length).toBeGreaterThan(length);
}

async function sameLedger(house: House, siteId: string, seat: SiteSeat): Promise<void> {
  await seat.untilSynchronised();
  expect(house.heldTexts(siteId)).toEqual(seat.ledgerTexts());
}

/** A site lives for a while with the aggregator out of reach. */
async function withoutContact(house: House, seat: SiteSeat, live: () => Promise<void>): Promise<void> {
  await house.aggregator.stop();
  await seat.start();
  await live();
  await seat.stop();
  await house.aggregator.start();
}

/** The original enrols once more, with a fresh token and a new key: the flag is lifted and everything is as before. */
async function enrolAgain(house: House, tenants: Tenants, siteId: string, seat: SiteSeat): Promise<void> {
  const { token } = await tenants.msp.post('/enrolment-tokens', { siteId }, NewEnrolmentToken);
  const again = await seat.enrol(house.aggregator.url, token, '--again');
  expect(again, `${again.output}`).toMatchObject({ code: 0 });
  expect(await siteView(tenants.msp, siteId)).toMatchObject({ flag: null });
  expect((await findingsOf(tenants.msp, siteId)).filter(({ resolvedAt }) => resolvedAt === null)).toEqual([]);
  await seat.startInContact();
  const status = await seat.status();
  expect(status.conditions.filter(({ code }) => code === 'REFUSED_BY_AGGREGATOR')).toEqual([]);
  expect(seat.entriesOf('site-enrolled')).toHaveLength(2);
}
