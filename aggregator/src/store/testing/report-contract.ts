/** What every engine must do for reports: a row for each site and month of its life, whether anything came or not. */
import type { ReportRow } from '@rollcall/shared/api/report.ts';
import { monthsBetween } from '@rollcall/shared/domain/month.ts';
import { describe, expect, test } from 'vitest';
import { LedgerPen, monthCount, receivedReport } from './ledger-pen.ts';
import type { OpenedStore } from './store-engines.ts';
import { addAccount, addBranch, addOrganisation, addSite, all, scopeOf, walk } from './tenants.ts';

const now = '2026-05-20T12:00:00.000Z';
const at = (month: string): string => `${month}-15T00:00:00.000Z`;
const figures = (server: number, workstation: number) => ({ server, workstation });

export function reportContract(use: () => OpenedStore): void {
  const brief = ({ month, status, reported, counted }: ReportRow) => [
    month,
    status,
    reported?.server ?? null,
    counted.server,
  ];

  /** January and February reported, the latter otherwise than counted; silent since an entry in March that left two servers. */
  async function silentSite() {
    const { store } = use();
    const branch = await addBranch(store);
    const { site } = branch;
    const pen = new LedgerPen(site);
    const [january, february] = [
      monthCount('2026-01', 'UTC', figures(4, 1), true),
      monthCount('2026-02', 'UTC', figures(3, 0), true),
    ];
    await store.ingest.apply([
      pen.plan({ at: at('2026-01'), months: [{ ...january, settled: false }], counts: figures(4, 1) }),
    ]);
    const reports = [receivedReport(site, '2026-01', figures(4, 1))];
    await store.ingest.apply([
      pen.plan({
        at: at('2026-02'),
        months: [january, { ...february, settled: false }],
        reports,
        counts: figures(3, 0),
      }),
    ]);
    const differing = [receivedReport(site, '2026-02', figures(5, 0), { agreeing: false })];
    await store.ingest.apply([
      pen.plan({
        at: at('2026-03'),
        months: [february, monthCount('2026-03', 'UTC', figures(6, 0))],
        reports: differing,
        counts: figures(2, 0),
      }),
    ]);
    return { ...branch, store, pen };
  }

  describe('report rows', () => {
    test('tells a month that agrees, one that differs, missing ones and the running one', async () => {
      const { store, site, scope } = await silentSite();
      const { rows } = await store.reports.reportRows(scope, { siteId: site.id }, now, all);
      expect(rows.map(brief)).toEqual([
        ['2026-05', 'running', null, 2],
        ['2026-04', 'missing', null, 2],
        ['2026-03', 'missing', null, 6],
        ['2026-02', 'differing', 5, 3],
        ['2026-01', 'agreeing', 4, 4],
      ]);
      expect(rows.at(-1)).toMatchObject({
        siteName: site.name,
        timeZone: 'UTC',
        revision: 1,
        reported: figures(4, 1),
        counted: figures(4, 1),
        receivedAt: at('2026-02'),
      });
      expect(rows[0]).toMatchObject({ revision: null, reported: null, receivedAt: null });
    });

    test.each([
      ['agreeing', ['2026-01']],
      ['differing', ['2026-02']],
      ['missing', ['2026-04', '2026-03']],
      ['running', ['2026-05']],
    ] as const)('filters by the status %s', async (status, months) => {
      const { store, site, scope } = await silentSite();
      const { rows } = await store.reports.reportRows(scope, { siteId: site.id, status }, now, all);
      expect(rows.map(({ month }) => month)).toEqual(months);
    });

    test.each([
      ['2026-04', 1],
      ['2026-05', 1],
      ['2026-06', 0],
      ['2025-12', 0],
    ])('filters by the month %s', async (month, count) => {
      const { store, scope } = await silentSite();
      expect((await store.reports.reportRows(scope, { month }, now, all)).rows.length).toBe(count);
    });

    test('shows the latest revision, and gives all of them back', async () => {
      const { store, site, scope, pen } = await silentSite();
      const second = receivedReport(site, '2026-01', figures(2, 1), { revision: 2, agreeing: false });
      await store.ingest.apply([pen.plan({ at: at('2026-03'), reports: [second] })]);
      const { rows } = await store.reports.reportRows(scope, { siteId: site.id, month: '2026-01' }, now, all);
      expect(rows).toMatchObject([
        { revision: 2, status: 'differing', reported: figures(2, 1), counted: figures(4, 1) },
      ]);
      const revisions = await store.reports.revisions(scope, site.id, '2026-01');
      expect(revisions?.map(({ revision, agreeing, receivedAt }) => [revision, agreeing, receivedAt])).toEqual([
        [1, true, at('2026-02')],
        [2, false, at('2026-03')],
      ]);
      expect(revisions?.[1]?.report).toEqual(second.report);
      expect(await store.reports.revisions(scope, site.id, '2026-04')).toEqual([]);
    });

    test('begins with the month of enrolment, whatever the ledger says', async () => {
      const { store } = use();
      const { account, scope } = await addBranch(store);
      const site = await addSite(store, account, { enrolledAt: '2026-03-31T23:59:59.000Z', timeZone: 'UTC' });
      const months = async () =>
        (await store.reports.reportRows(scope, { siteId: site.id }, now, all)).rows.map(({ month }) => month);
      expect(await months()).toEqual(['2026-05', '2026-04', '2026-03']);
      await store.ingest.apply([new LedgerPen(site).plan({ at: '2026-04-01T00:00:01.000Z' })]);
      expect(await months()).toEqual(['2026-05', '2026-04', '2026-03']);
      const earlier = await addSite(store, account, { enrolledAt: '2026-05-01T00:00:00.000Z' });
      const pen = new LedgerPen(earlier);
      await store.ingest.apply([
        pen.plan({ at: '1970-01-01T00:00:00.000Z' }),
        pen.plan({ at: '2026-05-02T00:00:00.000Z', months: [monthCount('1970-01', 'UTC', figures(0, 0), true)] }),
      ]);
      const rows = (await store.reports.reportRows(scope, { siteId: earlier.id }, now, all)).rows;
      expect(rows.map(({ month }) => month)).toEqual(['2026-05']);
    });

    test('takes each month in the zone of its site', async () => {
      const { store } = use();
      const { distributor } = await addBranch(store);
      const msp = await addOrganisation(store, 'msp', distributor);
      const [account, scope] = [await addAccount(store, msp), scopeOf(msp)];
      const enrolledAt = '2026-03-20T00:00:00.000Z';
      const sites = [
        await addSite(store, account, { timeZone: 'Pacific/Kiritimati', enrolledAt, name: 'a' }),
        await addSite(store, account, { timeZone: 'UTC', enrolledAt, name: 'b' }),
        await addSite(store, account, { timeZone: 'Pacific/Pago_Pago', enrolledAt, name: 'c' }),
      ];
      const seen = async (instant: string) =>
        Promise.all(
          sites.map(async ({ id }) =>
            (await store.reports.reportRows(scope, { siteId: id }, instant, all)).rows.map(
              ({ month, status }) => `${month} ${status}`,
            ),
          ),
        );
      // 12:00 UTC on 31 March: April has begun at UTC+14, and nowhere else among these.
      expect(await seen('2026-03-31T12:00:00.000Z')).toEqual([
        ['2026-04 running', '2026-03 missing'],
        ['2026-03 running'],
        ['2026-03 running'],
      ]);
      expect(await seen('2026-04-01T05:00:00.000Z')).toEqual([
        ['2026-04 running', '2026-03 missing'],
        ['2026-04 running', '2026-03 missing'],
        ['2026-03 running'],
      ]);
      const missing = await store.reports.reportRows(scope, { status: 'missing' }, '2026-04-01T05:00:00.000Z', all);
      expect(missing.rows.map(({ siteId, month }) => [siteId, month])).toEqual([
        [sites[0]?.id, '2026-03'],
        [sites[1]?.id, '2026-03'],
      ]);
      const running = await store.reports.reportRows(
        scope,
        { status: 'running', month: '2026-03' },
        '2026-04-01T05:00:00.000Z',
        all,
      );
      expect(running.rows.map(({ siteId }) => siteId)).toEqual([sites[2]?.id]);
    });

    test('ends with the month of closing, and knows no site that never enrolled', async () => {
      const { store } = use();
      const { account, scope } = await addBranch(store);
      const site = await addSite(store, account, { enrolledAt: at('2026-02') });
      const never = await addSite(store, account);
      await store.sites.closeSite(scope, site.id, at('2026-03'));
      expect(
        (await store.reports.reportRows(scope, { siteId: site.id }, now, all)).rows.map(({ month }) => month),
      ).toEqual(['2026-03', '2026-02']);
      expect((await store.reports.reportRows(scope, { siteId: never.id }, now, all)).rows).toEqual([]);
    });

    test('pages over months, MSPs, accounts and sites without skipping or repeating', async () => {
      const { store } = use();
      const { distributor } = await addBranch(store);
      const own = await addOrganisation(store, 'distributor', distributor);
      const expected: string[] = [];
      for (const mspName of ['b msp', 'A msp']) {
        const msp = await addOrganisation(store, 'msp', own, mspName);
        for (const accountName of ['y', 'X']) {
          const account = await addAccount(store, msp, accountName);
          for (const [name, month] of [
            ['one', '2026-01'],
            ['Two', '2026-03'],
          ] as const) {
            const site = await addSite(store, account, { name: `${name} of ${accountName}`, enrolledAt: at(month) });
            for (const each of monthsBetween(month, '2026-05'))
              expected.push(`${each}|${mspName}|${accountName}|${site.name}`);
          }
        }
      }
      const inOrder = expected.toSorted((a, b) => {
        const [monthA, ...namesA] = a.toLowerCase().split('|');
        const [monthB, ...namesB] = b.toLowerCase().split('|');
        return monthA === monthB ? (namesA.join('|') < namesB.join('|') ? -1 : 1) : `${monthA}` > `${monthB}` ? -1 : 1;
      });
      for (const limit of [1, 3, 7, 500]) {
        const seen = await walk((page) => store.reports.reportRows(scopeOf(own), {}, now, page), limit);
        expect(seen.map((row) => `${row.month}|${row.mspName}|${row.accountName}|${row.siteName}`)).toEqual(inOrder);
      }
      const missing = await walk((page) => store.reports.reportRows(scopeOf(own), { status: 'missing' }, now, page), 4);
      expect(missing.map((row) => `${row.month}|${row.mspName}|${row.accountName}|${row.siteName}`)).toEqual(
        inOrder.filter((row) => !row.startsWith('2026-05')),
      );
    });
  });

  describe('the own count of a month', () => {
    test.each([
      ['before the ledger begins', '2025-12', { peak: 0, at: null }],
      ['as it was counted', '2026-01', { peak: 4, at: '2026-01-01T00:00:00.000Z' }],
      ['also where the report differs', '2026-02', { peak: 3, at: '2026-02-01T00:00:00.000Z' }],
      ['carried on from the last entry', '2026-04', { peak: 2, at: '2026-04-01T00:00:00.000Z' }],
    ])('is told %s', async (_, month, server) => {
      const { store, site } = await silentSite();
      const counted = await store.reports.ownCount(site.id, month);
      expect(counted.server).toEqual(server);
      expect(counted.workstation).toMatchObject(month === '2026-01' ? { peak: 1 } : { peak: 0, at: null });
    });

    test('is zero where no entry ever came', async () => {
      const { store } = use();
      const { site } = await addBranch(store);
      const nobody = { peak: 0, at: null };
      expect(await store.reports.ownCount(site.id, '2026-01')).toEqual({ server: nobody, workstation: nobody });
    });
  });

  describe('report rows of many months', () => {
    /** A site of five years of which two months differ, two are missing, and all others agree. */
    async function oldSite() {
      const { store } = use();
      const { distributor } = await addBranch(store);
      const msp = await addOrganisation(store, 'msp', distributor);
      const [account, scope] = [await addAccount(store, msp), scopeOf(msp)];
      const site = await addSite(store, account, { enrolledAt: at('2021-06') });
      const months = monthsBetween('2021-06', '2026-04');
      const [missing, differing] = [
        ['2025-01', '2021-06'],
        ['2024-02', '2022-03'],
      ];
      const reports = months
        .filter((month) => !missing.includes(month))
        .map((month) => receivedReport(site, month, figures(1, 0), { agreeing: !differing.includes(month) }));
      await store.ingest.apply([new LedgerPen(site).plan({ at: at('2026-04'), reports })]);
      return { store, scope, site, missing, differing };
    }

    test('come by status so many months a page: a page may be empty and have a next one', async () => {
      const { store, scope, site, missing, differing } = await oldSite();
      for (const [status, months] of [
        ['missing', missing],
        ['differing', differing],
      ] as const) {
        const read = (page: { limit: number; cursor?: string }) =>
          store.reports.reportRows(scope, { status }, now, page);
        const first = await read({ limit: 500 });
        expect(first).toMatchObject({ rows: [], nextCursor: expect.any(String) });
        for (const limit of [1, 2, 500]) expect((await walk(read, limit)).map(({ month }) => month)).toEqual(months);
        // Of one site, and of any status, a page is as full as there are rows.
        const ofSite = await store.reports.reportRows(scope, { siteId: site.id, status }, now, all);
        expect([ofSite.rows.map(({ month }) => month), ofSite.nextCursor]).toEqual([months, null]);
      }
      const running = await store.reports.reportRows(scope, { status: 'running' }, now, all);
      expect(running).toMatchObject({ rows: [{ month: '2026-05' }], nextCursor: null });
      const agreeing = await walk((page) => store.reports.reportRows(scope, { status: 'agreeing' }, now, page), 7);
      expect(agreeing).toHaveLength(59 - 4);
      expect((await store.reports.reportRows(scope, {}, now, all)).rows).toHaveLength(60);
    });

    test('let others have their turn between two months', async () => {
      const { store, scope } = await oldSite();
      let turns = 0;
      const count = (): void => {
        turns += 1;
        immediate = setImmediate(count);
      };
      let immediate = setImmediate(count);
      await store.reports.reportRows(scope, { status: 'missing' }, now, all);
      clearImmediate(immediate);
      expect(turns).toBeGreaterThanOrEqual(11);
    });

    test('begin with the last month in which a site lived', async () => {
      const { store } = use();
      const { distributor } = await addBranch(store);
      const msp = await addOrganisation(store, 'msp', distributor);
      const [account, scope] = [await addAccount(store, msp), scopeOf(msp)];
      const gone = await addSite(store, account, { enrolledAt: at('2021-01') });
      await store.sites.closeSite(scope, gone.id, at('2021-02'));
      const { rows, nextCursor } = await store.reports.reportRows(scope, {}, now, all);
      expect([rows.map(({ month }) => month), nextCursor]).toEqual([['2021-02', '2021-01'], null]);
    });
  });

  describe('billable sites', () => {
    test('are those that lived in the month, with report, own count and names', async () => {
      const { store, msp, account, site, distributor } = await silentSite();
      const names = {
        siteId: site.id,
        siteName: site.name,
        accountId: account.id,
        accountName: account.name,
        mspId: msp.id,
        mspName: msp.name,
        timeZone: 'UTC',
        countedUpTo: 3,
      };
      const of = (month: string) => store.billing.billableSites(distributor.path, month);
      expect(await of('2025-12')).toEqual([]);
      expect(await of('2026-01')).toEqual([
        { ...names, report: { revision: 1, ...figures(4, 1) }, differing: false, counted: figures(4, 1) },
      ]);
      expect(await of('2026-02')).toEqual([
        { ...names, report: { revision: 1, ...figures(5, 0) }, differing: true, counted: figures(3, 0) },
      ]);
      expect(await of('2026-03')).toEqual([{ ...names, report: null, differing: false, counted: figures(6, 0) }]);
      expect(await of('2026-04')).toEqual([{ ...names, report: null, differing: false, counted: figures(2, 0) }]);
      expect(await store.billing.billableSites(msp.path, '2026-04')).toEqual(await of('2026-04'));
    });

    test('leave out sites not enrolled, not yet enrolled, and closed before', async () => {
      const { store } = use();
      const { distributor, account, site, scope } = await addBranch(store);
      await addSite(store, account);
      const future = await addSite(store, account, { enrolledAt: at('2026-04') });
      const gone = await addSite(store, account, { enrolledAt: at('2026-01') });
      await store.sites.closeSite(scope, gone.id, at('2026-02'));
      const ids = async (month: string) =>
        (await store.billing.billableSites(distributor.path, month)).map(({ siteId }) => siteId).toSorted();
      expect(await ids('2026-02')).toEqual([site.id, gone.id].toSorted());
      expect(await ids('2026-03')).toEqual([site.id]);
      expect(await ids('2026-04')).toEqual([site.id, future.id].toSorted());
    });
  });
}
