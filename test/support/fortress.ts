/** A house under attack: a site that lives in it, and the question whether an attack left any trace. */
import { deepEqual, ok } from 'node:assert/strict';
import { join } from 'node:path';
import { Site } from '@rollcall/shared/api/site.ts';
import { NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { Endpoint } from './endpoint.ts';
import { enrolByHand, type HandheldSite } from './handheld-site.ts';
import { dumpSqlite, House, type Tenants } from './house.ts';
import type { SiteSeat } from './site-seat.ts';

/** What changes because somebody called at all, or a Site Manager started. */
const callersTraces = ['last_used_at', 'last_contact_at', 'lease_issued_at', 'lease_until', 'software'];
const siteTraces = ['meta.value', 'last_heard_at', 'leases.lease'];

export class Fortress {
  readonly house: House;
  readonly tenants: Tenants;
  readonly site: { id: string; seat: SiteSeat };
  readonly endpoint: Endpoint;
  #sites = 0;

  /** Both programs run and are in contact, one server is deployed. */
  static async open(): Promise<Fortress> {
    const house = await House.open({ now: '2027-12-06T09:00:00.000Z' });
    try {
      const tenants = await house.furnish('2027-12');
      const site = await house.addSite(tenants, 'Fortezza');
      await site.seat.startInContact();
      const endpoint = new Endpoint('srv-1');
      await endpoint.join(site.seat.url, { joinCode: site.seat.joinCode }, 'server');
      await site.seat.untilSynchronised();
      return new Fortress(house, tenants, site, endpoint);
    } catch (error) {
      console.error(`what the processes printed:\n${house.output()}`);
      await house.end();
      throw error;
    }
  }

  private constructor(house: House, tenants: Tenants, site: Fortress['site'], endpoint: Endpoint) {
    this.house = house;
    this.tenants = tenants;
    this.site = site;
    this.endpoint = endpoint;
  }

  /** Does something that must leave no trace in any store, and both programs alive. */
  async withoutTrace(act: () => Promise<void>): Promise<void> {
    const before = this.#stores();
    await act();
    deepEqual(this.#stores(), before);
    await this.mustLive();
  }

  /** Both programs run, answer, and are in contact. */
  async mustLive(): Promise<void> {
    const { aggregator } = this.house;
    const live = aggregator.isRunning && (await aggregator.listens()) && (await this.site.seat.status()).connected;
    ok(live, this.house.output());
  }

  async newSite(): Promise<Site> {
    const { msp, ids } = this.tenants;
    const draft = { accountId: ids.account, name: `Site ${++this.#sites}`, timeZone: 'Europe/Rome', note: '' };
    return msp.post('/sites', draft, Site);
  }

  /** A site whose key is in the test's hand. */
  async newHandheld(): Promise<HandheldSite> {
    const { id } = await this.newSite();
    const { token } = await this.tenants.msp.post('/enrolment-tokens', { siteId: id }, NewEnrolmentToken);
    return enrolByHand(this.house.aggregator.url, token);
  }

  end(): Promise<void> {
    return this.house.end();
  }

  /** Every row of both programs' stores. */
  #stores(): { aggregator: Record<string, string[]>; site: Record<string, string[]> } {
    return {
      aggregator: this.house.dump(callersTraces),
      site: dumpSqlite(join(this.site.seat.dataFolder, 'ledger.db'), siteTraces),
    };
  }
}
