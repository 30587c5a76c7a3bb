/** From agreement to invoice over the API: what each organisation may do, sees, and downloads. */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import { CloseResult, Invoice } from '@rollcall/shared/api/invoice.ts';
import { ReportDetail } from '@rollcall/shared/api/report.ts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BillingWorld, type LedgerSite } from '../jobs/testing/billing-world.ts';
import { plantTenantTree, type Tenant, type TenantTree } from './testing/tenant-tree.ts';

const terms = {
  programme: 'metered-peak',
  currency: 'EUR',
  serverUnitPriceMinor: 950,
  workstationUnitPriceMinor: 300,
  taxRatePercent: '22',
  paymentTermDays: 30,
  timeZone: 'Europe/Rome',
  missingReportPolicy: 'hold',
  validFrom: '2026-01',
};
const unknown = 'inv_00000000000000000000';

let tree: TenantTree;
beforeEach(async () => {
  tree = await plantTenantTree();
});
afterEach(() => tree.close());

const agree = (seller: Tenant, buyer: Tenant, change: Partial<Agreement> = {}) =>
  tree.ask(seller, 'POST', '/api/v1/agreements', { ...terms, buyerId: buyer.id, ...change });

describe('a price agreement', () => {
  it('is made by the organisation right above its buyer, and seen by the two of them', async () => {
    const made = await agree(tree.north, tree.alpha);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ ...terms, sellerId: tree.north.id, buyerId: tree.alpha.id });
    const address = `/api/v1/agreements/${String(made.body['id'])}`;
    expect(made.headers.get('location')).toBe(address);
    const statuses = await Promise.all(
      [tree.north, tree.alpha, tree.vendor, tree.south, tree.beta].map(
        async (who) => (await tree.ask(who, 'GET', address)).status,
      ),
    );
    expect(statuses).toEqual([200, 200, 404, 404, 404]);
    const lists = await Promise.all(
      [tree.north, tree.alpha, tree.vendor, tree.beta].map(
        async (who) => (await tree.ok(who, 'GET', '/api/v1/agreements'))['rows'],
      ),
    );
    expect(lists.map((rows) => (rows as unknown[]).length)).toEqual([1, 1, 0, 0]);
  });

  it.each<[string, (tree: TenantTree) => [Tenant, Tenant], Partial<Agreement>, number, string]>([
    ['with a buyer elsewhere in the tree', ({ north, gamma }) => [north, gamma], {}, 404, 'NOT_FOUND'],
    ['over the head of the distributor between', ({ vendor, alpha }) => [vendor, alpha], {}, 403, 'NOT_ALLOWED'],
    ['with oneself', ({ north }) => [north, north], {}, 403, 'NOT_ALLOWED'],
    ['by an MSP', ({ alpha }) => [alpha, alpha], {}, 403, 'NOT_ALLOWED'],
    [
      'in a currency other than the buyer’s',
      ({ north, alpha }) => [north, alpha],
      { currency: 'CHF' },
      422,
      'CURRENCY_DIFFERS',
    ],
    ['in no currency', ({ north, alpha }) => [north, alpha], { currency: 'EURO' }, 422, 'INVALID_INPUT'],
    [
      'with a price below zero',
      ({ north, alpha }) => [north, alpha],
      { serverUnitPriceMinor: -1 },
      422,
      'INVALID_INPUT',
    ],
    ['with half a cent', ({ north, alpha }) => [north, alpha], { serverUnitPriceMinor: 0.5 }, 422, 'INVALID_INPUT'],
    [
      'with a price beyond all reason',
      ({ north, alpha }) => [north, alpha],
      { serverUnitPriceMinor: 100_000_001 },
      422,
      'INVALID_INPUT',
    ],
    [
      'with a tax above 100 %',
      ({ north, alpha }) => [north, alpha],
      { taxRatePercent: '100.01' },
      422,
      'INVALID_INPUT',
    ],
    ['with a tax below zero', ({ north, alpha }) => [north, alpha], { taxRatePercent: '-1' }, 422, 'INVALID_INPUT'],
    [
      'with a tax that is no number',
      ({ north, alpha }) => [north, alpha],
      { taxRatePercent: '22 %' },
      422,
      'INVALID_INPUT',
    ],
    ['in a zone by offset', ({ north, alpha }) => [north, alpha], { timeZone: '+02:00' }, 422, 'INVALID_INPUT'],
  ])('is refused %s', async (_name, between, change, status, code) => {
    const [seller, buyer] = between(tree);
    expect(await agree(seller, buyer, change)).toMatchObject({ status, body: { code } });
    expect((await tree.ok(tree.north, 'GET', '/api/v1/agreements'))['rows']).toEqual([]);
  });

  it.each(['0', '100', '7.7', '0.000001'])('takes a tax of %s per cent', async (taxRatePercent) => {
    expect(await agree(tree.north, tree.alpha, { taxRatePercent })).toMatchObject({
      status: 201,
      body: { taxRatePercent },
    });
  });

  it('takes over from an earlier one by its first month, once a month', async () => {
    expect((await agree(tree.north, tree.alpha)).status).toBe(201);
    expect(await agree(tree.north, tree.alpha)).toMatchObject({ status: 409, body: { code: 'AGREEMENT_EXISTS' } });
    expect((await agree(tree.north, tree.alpha, { validFrom: '2026-02' })).status).toBe(201);
  });
});

describe('a closed month', () => {
  let site: LedgerSite;
  let servers: string[];

  const close = async (seller: Tenant, body: object = { month: '2026-03' }) =>
    CloseResult.parse(await tree.ok(seller, 'POST', '/api/v1/closes', body));

  beforeEach(async () => {
    const world = new BillingWorld(tree.store);
    await agree(tree.vendor, tree.north);
    await agree(tree.north, tree.alpha, { serverUnitPriceMinor: 1200 });
    site = await world.site(tree.alpha, 'Zürich, =HQ', '2026-02-10T09:00:00.000Z');
    site.seal('2026-02');
    servers = site.deploy('2026-03-10T08:00:00.000Z', 'server', 2);
    site.remove('2026-03-12T08:00:00.000Z', 'server', servers[0] ?? '');
    site.deploy('2026-03-12T08:00:00.000Z', 'server', 1);
    site.deploy('2026-03-15T08:00:00.000Z', 'workstation', 3);
    site.seal('2026-03');
    await site.send();
    tree.clock.setWall('2026-04-02T08:00:00.000Z');
  });

  it('is invoiced once, and shown to seller and buyer alone on every address', async () => {
    const [edge] = (await close(tree.north)).edges;
    expect(edge).toMatchObject({ outcome: 'finalised', number: 'INV-2026-000001', buyerName: 'Alpha' });
    expect((await close(tree.north)).edges).toMatchObject([{ outcome: 'unchanged', number: 'INV-2026-000001' }]);
    const address = `/api/v1/invoices/${edge?.invoiceId ?? ''}`;
    for (const path of [
      address,
      `${address}/lines`,
      `${address}/lines/1/evidence`,
      `${address}/csv`,
      `${address}/pdf`,
    ]) {
      const statuses = await Promise.all(
        [tree.north, tree.alpha, tree.vendor, tree.south, tree.beta, tree.gamma].map(
          async (who) => (await tree.ask(who, 'GET', path)).status,
        ),
      );
      expect([path, ...statuses]).toEqual([path, 200, 200, 404, 404, 404, 404]);
      expect(await tree.ask(tree.north, 'GET', path.replace(edge?.invoiceId ?? '', unknown))).toMatchObject({
        status: 404,
        body: { code: 'NOT_FOUND' },
      });
      expect((await tree.ask(undefined, 'GET', path)).status).toBe(401);
    }
    expect(Invoice.parse(await tree.ok(tree.alpha, 'GET', address))).toMatchObject({
      netMinor: 3300,
      taxMinor: 726,
      grossMinor: 4026,
      sellerName: 'North',
    });
    expect(await tree.ok(tree.alpha, 'GET', '/api/v1/invoices?month=2026-03')).toMatchObject({
      rows: [{ number: 'INV-2026-000001' }],
      nextCursor: null,
    });
    expect(await tree.ok(tree.alpha, 'GET', '/api/v1/invoices?month=2026-02')).toMatchObject({ rows: [] });
    expect(await tree.ok(tree.vendor, 'GET', '/api/v1/invoices')).toMatchObject({ rows: [] });
  });

  it('can be had as CSV and as PDF, by the buyer too, who sees nothing else of its seller', async () => {
    const [edge] = (await close(tree.north)).edges;
    const address = `/api/v1/invoices/${edge?.invoiceId ?? ''}`;
    const headers = { authorization: `Bearer ${tree.alpha.token}` };
    const csv = await tree.app.request(`${address}/csv`, { headers }, {});
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(csv.headers.get('content-disposition')).toContain('filename="INV-2026-000001.csv"');
    const rows = new TextDecoder('utf-8', { ignoreBOM: true }).decode(await csv.arrayBuffer()).split('\r\n');
    expect(rows[0]?.startsWith('\u{feff}document,')).toBe(true);
    expect(rows[1]).toMatch(/,"Zürich, =HQ",server,2,12\.00,24\.00,EUR,22,report,1,33\.00,7\.26,40\.26$/);
    expect(rows).toHaveLength(4);
    const pdf = await tree.app.request(`${address}/pdf`, { headers }, {});
    expect(pdf.headers.get('content-type')).toBe('application/pdf');
    expect(pdf.headers.get('content-disposition')).toContain('filename="INV-2026-000001.pdf"');
    expect(
      Buffer.from(await pdf.arrayBuffer())
        .subarray(0, 5)
        .toString(),
    ).toBe('%PDF-');
    expect((await tree.ask(tree.alpha, 'GET', `/api/v1/organisations/${tree.north.id}`)).status).toBe(404);
  });

  it('is told to come again for its PDF while too many are printed', async () => {
    const [edge] = (await close(tree.north)).edges;
    vi.spyOn(tree.press, 'print').mockResolvedValue({ ok: false, code: 'PRINTING_BUSY', message: 'too many wait' });
    const busy = await tree.ask(tree.alpha, 'GET', `/api/v1/invoices/${edge?.invoiceId ?? ''}/pdf`);
    expect([busy.status, busy.body['code'], busy.headers.get('retry-after')]).toEqual([503, 'PRINTING_BUSY', '8']);
  });

  it('keeps its terms: no new agreement begins in it', async () => {
    await close(tree.north);
    expect(await agree(tree.north, tree.alpha, { validFrom: '2026-03' })).toMatchObject({
      status: 409,
      body: { code: 'MONTH_INVOICED' },
    });
    expect(await agree(tree.north, tree.alpha, { validFrom: '2026-02' })).toMatchObject({
      status: 409,
      body: { code: 'MONTH_INVOICED' },
    });
    expect((await agree(tree.north, tree.alpha, { validFrom: '2026-04' })).status).toBe(201);
    expect((await agree(tree.north, tree.beta, { validFrom: '2026-03' })).status).toBe(201);
  });

  it('is previewed without being closed', async () => {
    const previewed = await tree.ok(tree.north, 'GET', '/api/v1/closes?month=2026-03');
    expect(previewed).toMatchObject({
      edges: [{ outcome: 'finalised', netMinor: 3300, currency: 'EUR', missingReportPolicy: 'hold' }],
    });
    expect((await tree.ok(tree.north, 'GET', '/api/v1/invoices'))['rows']).toEqual([]);
  });

  it.each<[string, (tree: TenantTree) => Tenant, object, number, string]>([
    ['that still runs', ({ north }) => north, { month: '2026-04' }, 409, 'MONTH_NOT_OVER'],
    ['by an MSP', ({ alpha }) => alpha, { month: '2026-03' }, 403, 'NOT_ALLOWED'],
    ['that is none', ({ north }) => north, { month: '2026-13' }, 422, 'INVALID_INPUT'],
    [
      'with another type of flag',
      ({ north }) => north,
      { month: '2026-03', withoutMissing: 'yes' },
      422,
      'INVALID_INPUT',
    ],
  ])('is refused for a month %s', async (_name, who, body, status, code) => {
    expect(await tree.ask(who(tree), 'POST', '/api/v1/closes', body)).toMatchObject({ status, body: { code } });
  });

  it('of a seller without buyers closes nothing', async () => {
    expect((await close(tree.south)).edges).toEqual([]);
  });

  describe('has reports that', () => {
    it('are listed to everyone above the site, and to nobody else', async () => {
      const lists = await Promise.all(
        [tree.vendor, tree.north, tree.alpha, tree.south, tree.beta].map(
          async (who) => (await tree.ok(who, 'GET', '/api/v1/reports?month=2026-03'))['rows'],
        ),
      );
      expect(lists.map((rows) => (rows as unknown[]).length)).toEqual([1, 1, 1, 0, 0]);
      expect(lists[2]).toMatchObject([
        {
          status: 'agreeing',
          reported: { server: 2, workstation: 3 },
          counted: { server: 2, workstation: 3 },
          revision: 1,
        },
      ]);
      for (const [query, count] of [
        [`siteId=${site.siteId}`, 3],
        [`mspId=${tree.beta.id}`, 0],
        ['status=agreeing', 2],
        ['status=running', 1],
        ['status=missing', 0],
      ] as const)
        expect([
          query,
          ((await tree.ok(tree.north, 'GET', `/api/v1/reports?${query}`))['rows'] as unknown[]).length,
        ]).toEqual([query, count]);
      expect(await tree.ask(tree.north, 'GET', '/api/v1/reports?stauts=missing')).toMatchObject({ status: 422 });
    });

    it('are shown with their revisions', async () => {
      site.correct('2026-03', '2026-04-03T00:00:00.000Z', [servers[1] ?? '']);
      await site.send();
      const detail = ReportDetail.parse(
        await tree.ok(tree.alpha, 'GET', `/api/v1/sites/${site.siteId}/reports/2026-03`),
      );
      expect(detail.report).toEqual(site.reports.get('2026-03'));
      expect(detail.revisions).toMatchObject([
        { revision: 1, reported: { server: 2, workstation: 3 }, agreeing: true },
        { revision: 2, reported: { server: 1, workstation: 3 }, agreeing: true },
      ]);
      for (const [who, path] of [
        [tree.beta, `${site.siteId}/reports/2026-03`],
        [tree.alpha, `${site.siteId}/reports/2026-01`],
        [tree.alpha, `${site.siteId}/reports/march`],
        [tree.alpha, `${site.siteId.replace(/.$/, '0')}/reports/2026-03`],
      ] as const)
        expect((await tree.ask(who, 'GET', `/api/v1/sites/${path}`)).status).toBe(404);
    });

    it('are of one piece, also where one arrives while they are read', async () => {
      const { reports } = tree.store;
      const read = reports.reportRows.bind(reports);
      site.correct('2026-03', '2026-04-03T00:00:00.000Z', [servers[1] ?? '']);
      const address = `/api/v1/sites/${site.siteId}/reports/2026-03`;
      vi.spyOn(reports, 'reportRows').mockImplementationOnce(async (...of) => {
        const rows = await read(...of);
        await site.send();
        return rows;
      });
      for (const revision of [1, 2]) {
        const detail = ReportDetail.parse(await tree.ok(tree.alpha, 'GET', address));
        expect([detail.revision, detail.report?.revision, detail.revisions.length]).toEqual([
          revision,
          revision,
          revision,
        ]);
        expect(detail.reported?.server).toBe(detail.report?.peaks.server.peak);
      }
    });

    it('can be had as CSV', async () => {
      const list = await tree.ask(tree.alpha, 'GET', '/api/v1/reports/csv?month=2026-03');
      expect(list.headers.get('content-disposition')).toContain('deployed-agents-reports-2026-03.csv');
      expect(String(list.body['text']).split('\r\n')[1]).toMatch(/,"Zürich, =HQ",Europe\/Rome,agreeing,1,2,3,2,3,/);
      const one = await tree.ask(tree.alpha, 'GET', `/api/v1/sites/${site.siteId}/reports/2026-03/csv`);
      const rows = String(one.body['text']).split('\r\n').slice(1, -1);
      expect(rows).toHaveLength(6);
      expect(rows.filter((row) => row.includes(`,yes,,${tree.alpha.id},Alpha,`))).toHaveLength(5);
      expect((await tree.ask(tree.beta, 'GET', `/api/v1/sites/${site.siteId}/reports/2026-03/csv`)).status).toBe(404);
    });
  });
});
