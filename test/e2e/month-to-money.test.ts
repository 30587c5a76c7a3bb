/**
 * Acceptance A3: from nothing to the distributor's invoice, with real processes that live across a month's end. On SQLite with
 * every step by the command line, and once more on PostgreSQL.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Account } from '@rollcall/shared/api/account.ts';
import { Agreement } from '@rollcall/shared/api/agreement.ts';
import { CloseResult, Invoice, InvoiceDetail, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import { pageOf } from '@rollcall/shared/api/page.ts';
import { NewProductKey } from '@rollcall/shared/api/product-key.ts';
import { SiteView } from '@rollcall/shared/api/site.ts';
import { NewApiToken, NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { Api } from '../support/api.ts';
import { Endpoint } from '../support/endpoint.ts';
import { heldEntries, type House, inHouse, prices, reportReceived, type Tenants } from '../support/house.ts';
import { openPostgresDatabase, postgresMissing } from '../support/postgres.ts';
import { until } from '../support/program.ts';
import { recountMonth } from '../support/recount.ts';
import type { SiteSeat } from '../support/site-seat.ts';

const month = '2027-03';
/** The site is in Rome, where summer time has begun by then: the month ends at 22:00 UTC. */
const monthEnd = '2027-03-31T22:00:00.000Z';
const enrolledAround = '2027-03-28T10:00:00.000Z';
/** Both processes start so long before the month's end and live across it. */
const secondsBefore = 20;

const minuteMs = 60_000;
const flowTimeoutMs = 150_000;

const noPostgres = await postgresMissing();
if (noPostgres !== undefined) console.warn(`SKIPPED: the month on PostgreSQL: ${noPostgres}`);

describe('a month becomes money', () => {
  test.concurrent(
    'by the command line, on SQLite',
    async () => {
      await inHouse({ now: enrolledAround }, async (house) => {
        const { tenants, site } = await setUpByCommands(house);
        await liveTheMonth(house, tenants, site);
      });
    },
    flowTimeoutMs,
  );

  test.skipIf(noPostgres !== undefined).concurrent(
    'on PostgreSQL',
    async () => {
      const database = await openPostgresDatabase();
      try {
        await inHouse({ now: enrolledAround, database: database.url }, async (house) => {
          const tenants = await house.furnish('2027-03');
          const { id, seat } = await house.addSite(tenants, 'Filiale Torino');
          // The key came with the enrolment and its text was shown to nobody.
          await liveTheMonth(house, tenants, { id, seat, keyText: undefined });
        });
      } finally {
        await database.drop();
      }
    },
    flowTimeoutMs,
  );
});

type LivingSite = { id: string; seat: SiteSeat; keyText: string | undefined };

/** Everything by `rollcall` and `rollcall-site`, as the README tells it. */
async function setUpByCommands(house: House): Promise<{ tenants: Tenants; site: LivingSite }> {
  const vendor = await house.setUp();
  await house.aggregator.start();
  /** `rollcall organisation create --kind msp …`, as JSON. */
  const create = async <Schema extends z.ZodType>(
    api: Api,
    what: string,
    options: Record<string, string>,
    schema: Schema,
  ): Promise<z.output<Schema>> => {
    const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    return schema.parse(JSON.parse(await house.aggregator.cli(api.token, what, 'create', ...flags, '--json')));
  };
  const business = { country: 'IT', currency: 'EUR' };
  const terms = { currency: 'EUR', 'time-zone': 'Europe/Rome', 'valid-from': month };
  const toDistributor = { 'server-price': '3.33', 'workstation-price': '1.07', 'tax-rate': '7.7' };
  const toMsp = { 'server-price': '4.95', 'workstation-price': '1.85', 'tax-rate': '22' };

  const distributorDraft = { kind: 'distributor', name: 'Alpi Distribuzione', ...business };
  const distributor = await create(vendor, 'organisation', distributorDraft, Organisation);
  await create(vendor, 'agreement', { buyer: distributor.id, ...toDistributor, ...terms }, Agreement);
  const distributorToken = { name: 'first', organisation: distributor.id };
  const distributorApi = new Api(vendor.url, (await create(vendor, 'api-token', distributorToken, NewApiToken)).token);
  const mspDraft = { kind: 'msp', name: 'Brenta IT', ...business };
  const msp = await create(distributorApi, 'organisation', mspDraft, Organisation);
  await create(distributorApi, 'agreement', { buyer: msp.id, ...toMsp, ...terms }, Agreement);
  const mspToken = { name: 'first', organisation: msp.id };
  const mspApi = new Api(vendor.url, (await create(distributorApi, 'api-token', mspToken, NewApiToken)).token);
  const account = await create(mspApi, 'account', { name: 'Panificio Rossi' }, Account);
  const siteDraft = { account: account.id, name: 'Filiale Torino', 'time-zone': 'Europe/Rome' };
  const site = await create(mspApi, 'site', siteDraft, SiteView);
  const { keyText } = await create(mspApi, 'key', { site: site.id }, NewProductKey);
  const { token } = await create(mspApi, 'enrolment-token', { site: site.id }, NewEnrolmentToken);

  const seat = await house.siteSeat('torino');
  const enrolled = await seat.enrol(vendor.url, token);
  expect(enrolled, `${enrolled.output}`).toMatchObject({ code: 0 });
  expect(enrolled.output).toContain('enrolled as the site "Filiale Torino"');
  const ids = { vendor: distributor.parentId ?? '', distributor: distributor.id, msp: msp.id, account: account.id };
  return {
    tenants: { vendor, distributor: distributorApi, msp: mspApi, ids },
    site: { id: site.id, seat, keyText },
  };
}

async function liveTheMonth(house: House, tenants: Tenants, { id, seat, keyText }: LivingSite): Promise<void> {
  const proof = { joinCode: seat.joinCode };
  const { url } = seat;
  await seat.startInContact();
  const named = (name: string): Endpoint => new Endpoint(name);
  const [srv1, srv2, typed] = [named('srv-1'), named('srv-2'), named('typed-in')];
  const [pc1, pc2, pc3, pc4, pc5, pc6] = [
    named('pc-1'),
    named('pc-2'),
    named('pc-3'),
    named('pc-4'),
    named('pc-5'),
    named('pc-6'),
  ];

  await srv1.join(url, proof, 'server');
  await srv2.join(url, proof, 'server');
  // A standalone installation, with the metered key typed in by hand; where nobody has its text, a managed one.
  const typedAnswer = await typed.join(url, keyText === undefined ? proof : { productKey: keyText }, 'server');
  expect(typedAnswer).toMatchObject({ deployed: true, keyState: 'active' });
  for (const pc of [pc1, pc2, pc3]) await pc.join(url, proof, 'workstation');
  // A machine is swapped for another: the count stays.
  expect(await pc3.mustCheckIn(url, null)).toMatchObject({ deployed: false });
  await pc4.join(url, proof, 'workstation');
  // One server is uninstalled, then a workstation becomes one: three again, not four.
  await srv2.mustCheckIn(url, null);
  await pc2.mustCheckIn(url, 'server');
  await seat.untilSynchronised();
  const firstDay = seat.ledger();
  await seat.stop();
  await house.aggregator.stop();

  const startAt = new Date(Date.parse(monthEnd) - secondsBefore * 1000).toISOString();
  house.clock.set(startAt);
  seat.clock.set(startAt);
  await house.aggregator.start();
  await seat.startInContact();
  await pc5.join(url, proof, 'workstation');
  const lastSecond = await pc6.join(url, proof, 'workstation');
  expect(lastSecond.at < monthEnd, `the machine is too slow: ${lastSecond.at} is not before the month's end`).toBe(
    true,
  );
  await until('the month ends', () => (seat.clock.now() > monthEnd ? true : undefined), { timeoutMs: minuteMs });
  // What comes a moment later belongs to April.
  const [late1, late2] = [new Endpoint('late-1'), new Endpoint('late-2')];
  expect((await late1.join(url, proof, 'server')).at >= monthEnd).toBe(true);
  await late2.join(url, proof, 'workstation');

  const detail = await reportReceived(tenants.msp, id, month);
  const expected = {
    server: { peak: 3, endpoints: [srv1, srv2, typed].map(({ endpointId }) => endpointId).sort() },
    workstation: { peak: 4, endpoints: [pc1, pc4, pc5, pc6].map(({ endpointId }) => endpointId).sort() },
  };
  expect(detail).toMatchObject({
    status: 'agreeing',
    revision: 1,
    reported: { server: 3, workstation: 4 },
    counted: { server: 3, workstation: 4 },
    report: { siteName: 'Filiale Torino', month, period: { end: monthEnd }, peaks: expected },
  });
  await seat.untilSynchronised();
  const ledger = seat.ledger();
  expect(ledger.slice(0, firstDay.length)).toEqual(firstDay);
  const enrolment = ledger[0];
  expect(detail.report?.period.start).toBe(enrolment?.at);
  expect(recountMonth(ledger, { start: enrolment?.at ?? '', end: monthEnd })).toEqual(detail.report?.peaks);
  await sameLedgers(tenants.msp, id, seat);

  await closeAndCheckInvoices(house, tenants, { id, expected, workstationsAt: lastSecond.at });
  await exportAndVerify(house, seat);
}

/** The log at the aggregator is the site's ledger, entry by entry. */
async function sameLedgers(api: Api, siteId: string, seat: SiteSeat): Promise<void> {
  const held = (await heldEntries(api, siteId)).map(({ hash, ...entry }) => {
    expect(nodeDigest.sha256(canonicalJson(entry))).toBe(hash);
    return { seq: entry.seq, hash, text: canonicalJson(entry) };
  });
  expect(held).toEqual(seat.ledgerTexts());
}

type Peaks = {
  id: string;
  expected: Record<'server' | 'workstation', { peak: number; endpoints: string[] }>;
  workstationsAt: string;
};

async function closeAndCheckInvoices(
  house: House,
  tenants: Tenants,
  { id, expected, workstationsAt }: Peaks,
): Promise<void> {
  const close = async (api: Api): Promise<unknown> =>
    JSON.parse(await house.aggregator.cli(api.token, 'close', month, '--json'));
  const vendorClosed = CloseResult.shape.edges.parse(await close(tenants.vendor));
  const distributorClosed = CloseResult.shape.edges.parse(await close(tenants.distributor));
  expect([...vendorClosed, ...distributorClosed].map(({ outcome }) => outcome)).toEqual(['finalised', 'finalised']);
  const again = CloseResult.shape.edges.parse(await close(tenants.vendor));
  expect(again).toMatchObject([{ outcome: 'unchanged', number: vendorClosed[0]?.number }]);

  // 3 x 3.33 + 4 x 1.07 = 14.27; 7.7 % of it is 1.09879. 3 x 4.95 + 4 x 1.85 = 22.25; 22 % of it is 4.895, away from zero.
  const toDistributor = { netMinor: 1427, taxMinor: 110, grossMinor: 1537 };
  const toMsp = { netMinor: 2225, taxMinor: 490, grossMinor: 2715 };
  const invoices = [
    {
      api: tenants.distributor,
      edge: vendorClosed[0],
      sums: toDistributor,
      price: prices.toDistributor,
      buyer: 'Alpi Distribuzione',
    },
    { api: tenants.msp, edge: distributorClosed[0], sums: toMsp, price: prices.toMsp, buyer: 'Brenta IT' },
  ];
  for (const { api, edge, sums, price, buyer } of invoices) {
    const invoiceId = edge?.invoiceId ?? '';
    // The buyer reads it.
    const invoice = await api.get(`/invoices/${invoiceId}`, InvoiceDetail.omit({ lines: true }));
    expect(invoice).toMatchObject({
      ...sums,
      kind: 'invoice',
      state: 'finalised',
      number: 'INV-2027-000001',
      buyerName: buyer,
      month,
      currency: 'EUR',
      missingReports: 0,
      dueOn: '2027-05-01',
    });
    const lines = await api.list(`/invoices/${invoiceId}/lines`, pageOf(InvoiceDetail.shape.lines.element));
    expect(
      lines.map(({ kind, quantity, unitPriceMinor, netMinor, basis, siteName }) => ({
        kind,
        quantity,
        unitPriceMinor,
        netMinor,
        basis,
        siteName,
      })),
    ).toEqual([
      {
        kind: 'server',
        quantity: 3,
        unitPriceMinor: price.serverUnitPriceMinor,
        netMinor: 3 * price.serverUnitPriceMinor,
        basis: 'report',
        siteName: 'Filiale Torino',
      },
      {
        kind: 'workstation',
        quantity: 4,
        unitPriceMinor: price.workstationUnitPriceMinor,
        netMinor: 4 * price.workstationUnitPriceMinor,
        basis: 'report',
        siteName: 'Filiale Torino',
      },
    ]);
    for (const { number, kind, quantity } of lines) {
      const evidence = await api.get(`/invoices/${invoiceId}/lines/${number}/evidence`, LineEvidence);
      expect(evidence.endpoints.map(({ endpointId }) => endpointId).sort()).toEqual(expected[kind].endpoints);
      expect(evidence).toMatchObject({ peak: quantity, difference: null, report: { revision: 1 } });
      if (kind === 'workstation') {
        expect(evidence.peakAt).toBe(workstationsAt);
        expect(evidence.endpoints.map(({ hostName }) => hostName).sort()).toEqual(['pc-1', 'pc-4', 'pc-5', 'pc-6']);
      }
    }
    await documentsAreThere(api, invoiceId, sums.netMinor);
  }
  // The MSP sees nothing of what its distributor pays.
  const seen = await tenants.msp.list('/invoices', pageOf(Invoice));
  expect(seen.map(({ buyerName }) => buyerName)).toEqual(['Brenta IT']);
  const foreign = await tenants.msp
    .call('GET', `/invoices/${vendorClosed[0]?.invoiceId}`)
    .catch((error: unknown) => error);
  expect(foreign).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  expect(id).toMatch(/^site_/);
}

async function documentsAreThere(api: Api, invoiceId: string, netMinor: number): Promise<void> {
  const pdf = await api.download(`/invoices/${invoiceId}/pdf`);
  expect(pdf.mediaType).toBe('application/pdf');
  expect(pdf.content.subarray(0, 5).toString('latin1')).toBe('%PDF-');
  expect(pdf.content.subarray(-32).toString('latin1')).toContain('%%EOF');
  const csv = await api.download(`/invoices/${invoiceId}/csv`);
  expect(csv.mediaType).toContain('text/csv');
  const [head = '', ...rows] = csv.content
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trimEnd()
    .split(/\r?\n/);
  const netColumn = head.split(',').indexOf('net');
  expect(netColumn).toBeGreaterThan(0);
  // No cell of this invoice holds a comma.
  const cents = rows.map((row) => Number((row.split(',')[netColumn] ?? '').replace('.', '')));
  expect(cents.reduce((sum, cell) => sum + cell, 0)).toBe(netMinor);
  expect(rows).toHaveLength(2);
}

async function exportAndVerify(house: House, seat: SiteSeat): Promise<void> {
  const file = join(house.folder, `${month}.jsonl`);
  await seat.mustCli('report', 'export', month, '-o', file);
  const yes = await seat.cli('verify', file);
  expect(yes, `${yes.output}`).toMatchObject({ code: 0 });
  expect(yes.standardOutput).toContain('is what the site wrote, unchanged');
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(Math.floor(bytes.length / 2)) ^ 1, Math.floor(bytes.length / 2));
  writeFileSync(file, bytes);
  const no = await seat.cli('verify', file);
  expect(no, `${no.output}`).toMatchObject({ code: 2 });
  expect(no.standardOutput).toContain('the first wrong entry');
}
