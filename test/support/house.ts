/**
 * A whole world for one test: an aggregator with a vendor, a distributor, an MSP and an account, and Site Managers, all as real
 * processes on real files. Owns how it is set up and torn down; what happens in it is the test's.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Account } from '@rollcall/shared/api/account.ts';
import { Agreement } from '@rollcall/shared/api/agreement.ts';
import { HeldEntry } from '@rollcall/shared/api/ledger.ts';
import { Me } from '@rollcall/shared/api/me.ts';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import { pageOf } from '@rollcall/shared/api/page.ts';
import { ReportDetail } from '@rollcall/shared/api/report.ts';
import { Finding, Site, SiteView } from '@rollcall/shared/api/site.ts';
import { NewApiToken, NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import Database from 'better-sqlite3';
import { AggregatorSeat } from './aggregator-seat.ts';
import { Api } from './api.ts';
import { until } from './program.ts';
import { type HeldText, SiteSeat } from './site-seat.ts';
import { WallClock } from './wall-clock.ts';

export type Prices = { serverUnitPriceMinor: number; workstationUnitPriceMinor: number; taxRatePercent: string };

/** Prices that do not come out even. */
export const prices = {
  toDistributor: { serverUnitPriceMinor: 333, workstationUnitPriceMinor: 107, taxRatePercent: '7.7' },
  toMsp: { serverUnitPriceMinor: 495, workstationUnitPriceMinor: 185, taxRatePercent: '22' },
} as const satisfies Record<string, Prices>;

export type Tenants = {
  vendor: Api;
  distributor: Api;
  msp: Api;
  ids: { vendor: string; distributor: string; msp: string; account: string };
};

export type HouseOptions = {
  /** What the clock of the aggregator's machine says at first. */
  now: Instant;
  leaseHours?: number;
  /** Address of an empty PostgreSQL database; a SQLite file otherwise. */
  database?: string;
};

export class House {
  readonly folder: string;
  readonly clock: WallClock;
  readonly aggregator: AggregatorSeat;
  readonly #disposals: (() => Promise<void> | void)[] = [];
  readonly #sites: SiteSeat[] = [];

  private constructor(folder: string, clock: WallClock, aggregator: AggregatorSeat) {
    this.folder = folder;
    this.clock = clock;
    this.aggregator = aggregator;
  }

  /** A house with an aggregator that does not run yet. */
  static async open({ now, leaseHours, database }: HouseOptions): Promise<House> {
    const clock = new WallClock(now);
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-e2e-'));
    const aggregator = await AggregatorSeat.open({
      database: database ?? `sqlite:${join(folder, 'rollcall.db')}`,
      clock,
      leaseHours,
    });
    return new House(folder, clock, aggregator);
  }

  /** The vendor, by the command that makes it. */
  async setUp(): Promise<Api> {
    const tokenFile = join(this.folder, 'vendor.token');
    const vendor = ['--name', 'Backup AG', '--country', 'CH', '--currency', 'CHF'];
    await this.aggregator.cli('', 'setup', ...vendor, '--token-file', tokenFile);
    return new Api(this.aggregator.url, readFileSync(tokenFile, 'utf8').trim());
  }

  /** Distributor (EUR), MSP, account and both agreements, over HTTP; the aggregator must run. */
  async makeTenants(vendor: Api, validFrom: Month): Promise<Tenants> {
    const { organisation } = await vendor.get('/me', Me);
    const business = { taxId: null, addressLines: [], country: 'IT', currency: 'EUR' };
    const asOrganisation = async (api: Api, organisationId: string): Promise<Api> => {
      const { token } = await api.post('/api-tokens', { organisationId, name: 'e2e' }, NewApiToken);
      return new Api(this.aggregator.url, token);
    };
    const distributor = await vendor.post(
      '/organisations',
      { ...business, kind: 'distributor', parentId: organisation.id, name: 'Alpi Distribuzione' },
      Organisation,
    );
    const distributorApi = await asOrganisation(vendor, distributor.id);
    const msp = await distributorApi.post(
      '/organisations',
      { ...business, kind: 'msp', parentId: distributor.id, name: 'Brenta IT' },
      Organisation,
    );
    const mspApi = await asOrganisation(distributorApi, msp.id);
    const terms = {
      programme: 'metered-peak',
      currency: 'EUR',
      paymentTermDays: 30,
      timeZone: 'Europe/Rome',
      missingReportPolicy: 'hold',
      validFrom,
    };
    await vendor.post('/agreements', { ...terms, ...prices.toDistributor, buyerId: distributor.id }, Agreement);
    await distributorApi.post('/agreements', { ...terms, ...prices.toMsp, buyerId: msp.id }, Agreement);
    const draft = { mspId: msp.id, name: 'Panificio Rossi', addressLines: [], note: '' };
    const account = await mspApi.post('/accounts', draft, Account);
    return {
      vendor,
      distributor: distributorApi,
      msp: mspApi,
      ids: { vendor: organisation.id, distributor: distributor.id, msp: msp.id, account: account.id },
    };
  }

  /** A running aggregator with all tenants. */
  async furnish(validFrom: Month): Promise<Tenants> {
    const vendor = await this.setUp();
    await this.aggregator.start();
    return this.makeTenants(vendor, validFrom);
  }

  /** A place for a Site Manager, with a clock of its own that shows the aggregator's time. */
  async siteSeat(folderName: string): Promise<SiteSeat> {
    const clock = new WallClock(this.clock.now());
    this.onEnd(() => clock.dispose());
    return this.adopt(await SiteSeat.open(join(this.folder, folderName), clock));
  }

  /** Takes a seat into this house's care. */
  adopt(seat: SiteSeat): SiteSeat {
    this.#sites.push(seat);
    return seat;
  }

  /** Makes a site in the portal and enrols a Site Manager for it, which does not run yet. */
  async addSite(
    { msp, ids }: Tenants,
    name: string,
    { timeZone = 'Europe/Rome', staleAfterDays = 30 }: { timeZone?: string; staleAfterDays?: number } = {},
  ): Promise<{ id: string; seat: SiteSeat }> {
    const draft = { accountId: ids.account, name, timeZone, note: '', settings: { staleAfterDays } };
    const { id } = await msp.post('/sites', draft, Site);
    const seat = await this.siteSeat(name.replaceAll(' ', '-'));
    const { token } = await msp.post('/enrolment-tokens', { siteId: id }, NewEnrolmentToken);
    const ended = await seat.enrol(this.aggregator.url, token);
    if (ended.code !== 0) throw new Error(`${name} was not enrolled:\n${ended.output}`);
    return { id, seat };
  }

  /** The log of a site as it lies in the aggregator's SQLite file. */
  heldTexts(siteId: string): HeldText[] {
    const database = new Database(join(this.folder, 'rollcall.db'), { readonly: true });
    try {
      return database
        .prepare<[string], HeldText>('SELECT seq, hash, text FROM site_log WHERE site_id = ? ORDER BY seq')
        .all(siteId);
    } finally {
      database.close();
    }
  }

  /** Every table of the aggregator's SQLite file, as text, without columns that say when somebody last called. */
  dump(without: readonly string[] = []): Record<string, string[]> {
    return dumpSqlite(join(this.folder, 'rollcall.db'), without);
  }

  onEnd(call: () => Promise<void> | void): void {
    this.#disposals.push(call);
  }

  output(): string {
    const sites = this.#sites.map((seat) => `── Site Manager in ${seat.dataFolder}\n${seat.output()}`);
    return [`── aggregator\n${this.aggregator.output()}`, ...sites].join('\n');
  }

  /** Ends every process and removes every file. */
  async end(): Promise<void> {
    await Promise.all([this.aggregator.end(), ...this.#sites.map((seat) => seat.end())]);
    this.clock.dispose();
    for (const dispose of this.#disposals.reverse()) await dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Lives a story in a house that is gone afterwards, whatever happens; a failure shows what the processes printed. */
export async function inHouse(options: HouseOptions, story: (house: House) => Promise<void>): Promise<void> {
  const house = await House.open(options);
  try {
    await story(house);
  } catch (error) {
    console.error(`what the processes printed:\n${house.output()}`);
    throw error;
  } finally {
    await house.end();
  }
}

/** All entries of a site as the API shows them. */
export const heldEntries = (api: Api, siteId: string): Promise<HeldEntry[]> =>
  api.list(`/sites/${siteId}/entries`, pageOf(HeldEntry));

export const siteView = (api: Api, siteId: string): Promise<SiteView> => api.get(`/sites/${siteId}`, SiteView);

export const findingsOf = (api: Api, siteId: string): Promise<Finding[]> =>
  api.list(`/findings?siteId=${siteId}`, pageOf(Finding));

/** Waits until the aggregator holds the report of a site's month. */
export const reportReceived = (api: Api, siteId: string, month: Month, timeoutMs = 30_000): Promise<ReportDetail> =>
  until(
    `the report of ${month} arrives`,
    async () => {
      const detail = await api.get(`/sites/${siteId}/reports/${month}`, ReportDetail);
      return detail.report === null ? undefined : detail;
    },
    { timeoutMs },
  );

/** Every table of a SQLite file, a line a row, sorted; columns named in `without` are left out. */
export function dumpSqlite(path: string, without: readonly string[] = []): Record<string, string[]> {
  const database = new Database(path, { readonly: true });
  try {
    const names = database
      .prepare<[], string>(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
      )
      .pluck()
      .all();
    return Object.fromEntries(
      names.map((name) => {
        const rows = database.prepare<[], Record<string, unknown>>(`SELECT * FROM "${name}"`).all();
        const lines = rows.map((row) =>
          JSON.stringify(
            Object.entries(row).filter(
              ([column]) => !without.includes(column) && !without.includes(`${name}.${column}`),
            ),
          ),
        );
        return [name, lines.sort()];
      }),
    );
  } finally {
    database.close();
  }
}
