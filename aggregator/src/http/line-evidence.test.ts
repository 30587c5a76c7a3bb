/** The evidence of billed lines over the API: of reported figures, estimates and notes, whatever the ledger tells later. */
import { CloseResult, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BillingWorld, type LedgerSite } from '../jobs/testing/billing-world.ts';
import { plantTenantTree, type Tenant, type TenantTree } from './testing/tenant-tree.ts';

let tree: TenantTree;
let site: LedgerSite;
let servers: string[];

const agree = (seller: Tenant, buyer: Tenant, change: object = {}) =>
  tree.ok(seller, 'POST', '/api/v1/agreements', {
    programme: 'metered-peak',
    currency: 'EUR',
    serverUnitPriceMinor: 950,
    workstationUnitPriceMinor: 300,
    taxRatePercent: '22',
    paymentTermDays: 30,
    timeZone: 'Europe/Rome',
    missingReportPolicy: 'hold',
    validFrom: '2026-01',
    buyerId: buyer.id,
    ...change,
  });

const close = async (seller: Tenant) =>
  CloseResult.parse(await tree.ok(seller, 'POST', '/api/v1/closes', { month: '2026-03' }));

beforeEach(async () => {
  tree = await plantTenantTree();
  await agree(tree.north, tree.alpha);
  site = await new BillingWorld(tree.store).site(tree.alpha, 'Zürich', '2026-02-10T09:00:00.000Z');
  site.seal('2026-02');
  servers = site.deploy('2026-03-10T08:00:00.000Z', 'server', 2);
  site.remove('2026-03-12T08:00:00.000Z', 'server', servers[0] ?? '');
  site.deploy('2026-03-12T08:00:00.000Z', 'server', 1);
  site.deploy('2026-03-15T08:00:00.000Z', 'workstation', 3);
  site.seal('2026-03');
  await site.send();
  tree.clock.setWall('2026-04-02T08:00:00.000Z');
});
afterEach(() => tree.close());

describe('the evidence of a line', () => {
  it('answers why: the endpoints of the peak, which are the witness of the signed report', async () => {
    const [edge] = (await close(tree.north)).edges;
    const address = `/api/v1/invoices/${edge?.invoiceId ?? ''}/lines`;
    const evidence = LineEvidence.parse(await tree.ok(tree.alpha, 'GET', `${address}/1/evidence`));
    const report = site.reports.get('2026-03');
    expect(evidence).toMatchObject({
      line: { kind: 'server', quantity: 2, revision: 1 },
      peak: 2,
      peakAt: '2026-03-10T08:00:00.000Z',
      period: report?.period,
      difference: null,
      report: { revision: 1, signature: report?.signature, publicKey: report?.publicKey },
    });
    expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(report?.peaks.server.endpoints);
    // The one that left later in the month stood at the peak all the same.
    expect(evidence.endpoints.find(({ endpointId }) => endpointId === servers[0])).toMatchObject({
      deployedAt: '2026-03-10T08:00:00.000Z',
      removedAt: '2026-03-12T08:00:00.000Z',
      deployedSeq: 3,
    });
    for (const number of ['0', '3', '-1', '1.5', 'x', '99999999999999999999'])
      expect(await tree.ask(tree.alpha, 'GET', `${address}/${number}/evidence`)).toMatchObject({
        status: 404,
        body: { code: 'NOT_FOUND' },
      });
  });

  it('answers why a note says what it says', async () => {
    await close(tree.north);
    site.correct('2026-03', '2026-04-03T00:00:00.000Z', [servers[1] ?? '']);
    await site.send();
    const [edge] = (await close(tree.north)).edges;
    expect(edge).toMatchObject({ outcome: 'credited', number: 'CRN-2026-000001' });
    const evidence = LineEvidence.parse(
      await tree.ok(tree.alpha, 'GET', `/api/v1/invoices/${edge?.invoiceId ?? ''}/lines/1/evidence`),
    );
    expect(evidence).toMatchObject({
      line: { quantity: -1 },
      peak: 1,
      difference: null,
      counted: { peak: 2 },
      report: { revision: 2, agreeing: true, exclusions: [{ endpointId: servers[1], reason: 'counted twice' }] },
      before: { quantity: 2, basis: 'report', revision: 1 },
    });
    expect(evidence.before?.endpoints.map(({ endpointId }) => endpointId)).toEqual(servers.toSorted());
    expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(
      site.reports.get('2026-03')?.peaks.server.endpoints,
    );
    expect(evidence.endpoints).toHaveLength(1);
  });

  it('answers why an estimate says what it says, from the ledger as far as it is held', async () => {
    const world = new BillingWorld(tree.store);
    await agree(tree.south, tree.gamma, { missingReportPolicy: 'estimate' });
    const silent = await world.site(tree.gamma, 'Silent', '2026-01-20T09:00:00.000Z');
    const endpoints = silent.deploy('2026-01-21T08:00:00.000Z', 'server', 2);
    await silent.send();
    const [edge] = (await close(tree.south)).edges;
    expect(edge).toMatchObject({
      outcome: 'finalised',
      missingReportPolicy: 'estimate',
      missingSites: [{ siteName: 'Silent' }],
    });
    const evidence = LineEvidence.parse(
      await tree.ok(tree.gamma, 'GET', `/api/v1/invoices/${edge?.invoiceId ?? ''}/lines/1/evidence`),
    );
    // Silence removes nobody: what stood in January stands from the first instant of March on.
    expect(evidence).toMatchObject({
      line: { quantity: 2, basis: 'estimate', revision: null, countedUpTo: 3 },
      peak: 2,
      peakAt: '2026-02-28T23:00:00.000Z',
      counted: { peak: 2, at: '2026-02-28T23:00:00.000Z' },
      report: null,
      before: null,
    });
    expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(endpoints.toSorted());
  });

  it('answers why an estimate said what it said, whatever the ledger told later', async () => {
    const world = new BillingWorld(tree.store);
    await agree(tree.south, tree.gamma, { missingReportPolicy: 'estimate' });
    const late = await world.site(tree.gamma, 'Late', '2026-03-01T09:00:00.000Z');
    const five = late.deploy('2026-03-02T08:00:00.000Z', 'server', 5);
    await late.send();
    const [edge] = (await close(tree.south)).edges;
    const address = `/api/v1/invoices/${edge?.invoiceId ?? ''}/lines/1/evidence`;
    const before = LineEvidence.parse(await tree.ok(tree.gamma, 'GET', address));
    expect(before).toMatchObject({ line: { quantity: 5, countedUpTo: 6 }, peak: 5, report: null });

    // One left before the estimate was made, three came: all of it in entries that arrived after.
    late.remove('2026-03-02T09:00:00.000Z', 'server', five[0] ?? '');
    late.deploy('2026-03-20T08:00:00.000Z', 'server', 4);
    late.seal('2026-03');
    await late.send();
    const after = LineEvidence.parse(await tree.ok(tree.gamma, 'GET', address));
    expect(after).toMatchObject({
      peak: 5,
      peakAt: '2026-03-02T08:00:00.000Z',
      difference: null,
      counted: { peak: 8, at: '2026-03-20T08:00:00.000Z' },
      report: { revision: 1, peak: 8, at: '2026-03-20T08:00:00.000Z', agreeing: true },
    });
    expect(after.endpoints).toEqual(before.endpoints);

    const [note] = (await close(tree.south)).edges;
    expect(note).toMatchObject({ outcome: 'debited' });
    const change = LineEvidence.parse(
      await tree.ok(tree.gamma, 'GET', `/api/v1/invoices/${note?.invoiceId ?? ''}/lines/1/evidence`),
    );
    expect(change).toMatchObject({
      line: { quantity: 3, basis: 'report' },
      peak: 8,
      before: { quantity: 5, basis: 'estimate', revision: null, countedUpTo: 6 },
    });
    expect(change.before?.endpoints).toEqual(before.endpoints);
  });

  it('shows beside a figure what was counted here, where the signed report says something else', async () => {
    await agree(tree.south, tree.gamma);
    const ledger = await silentlyWrongSite();
    const [edge] = (await close(tree.south)).edges;
    expect(edge).toMatchObject({ outcome: 'finalised', differingCount: 1 });
    expect(await tree.ok(tree.south, 'GET', '/api/v1/closes?month=2026-03')).toMatchObject({
      edges: [{ outcome: 'unchanged', differingCount: 1 }],
    });
    const evidence = LineEvidence.parse(
      await tree.ok(tree.gamma, 'GET', `/api/v1/invoices/${edge?.invoiceId ?? ''}/lines/1/evidence`),
    );
    expect(evidence).toMatchObject({
      line: { quantity: 0, siteId: ledger.siteId },
      peak: 0,
      difference: null,
      counted: { peak: 5, at: '2026-03-02T09:00:00.000Z' },
      report: { agreeing: false, peak: 0, at: null },
    });
  });
});

/** A site under `gamma` that deploys five servers and signs a report of none. */
async function silentlyWrongSite(): Promise<LedgerSite> {
  const site = await new BillingWorld(tree.store).site(tree.gamma, 'Wrong', '2026-03-01T09:00:00.000Z');
  site.deploy('2026-03-02T09:00:00.000Z', 'server', 5);
  site.seal('2026-03', {
    server: { peak: 0, at: null, endpoints: [] },
    workstation: { peak: 0, at: null, endpoints: [] },
  });
  await site.send();
  return site;
}
