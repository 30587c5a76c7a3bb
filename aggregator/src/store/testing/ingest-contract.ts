/** What every engine must do for ledgers as they come in: all or nothing a plan, and no plan at the expense of another. */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DeploymentChange, IngestPlan } from '../../core/ingest-plan.ts';
import { closed, LedgerPen, monthCount, opened, receivedReport } from './ledger-pen.ts';
import type { OpenedStore } from './store-engines.ts';
import { addBranch, addSite, all, begin, newId, publicKeyOf, walk } from './tenants.ts';

const ok = { ok: true };
const conflict = { ok: false, code: 'CONFLICT' };
const contradiction = { ok: false, code: 'CONTRADICTION' };
const later = '2026-01-06T00:00:00.000Z';

export function ingestContract(use: () => OpenedStore): void {
  async function siteWithPen() {
    const { store } = use();
    const branch = await addBranch(store);
    return { ...branch, store, pen: new LedgerPen(branch.site) };
  }

  describe('ingest', () => {
    test('keeps entries, state and counts of a site', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const first = pen.plan({ at: begin, entries: 3, counts: { server: 2, workstation: 1 } });
      expect(await store.ingest.apply([first])).toEqual([ok]);
      const settled = monthCount('2025-12', 'UTC', { server: 4, workstation: 0 }, true);
      const second = pen.plan({
        at: later,
        entries: 2,
        counts: { server: 5, workstation: 0 },
        settled,
        months: [settled, monthCount('2026-01', 'UTC', { server: 5, workstation: 0 })],
      });
      expect(await store.ingest.apply([second])).toEqual([ok]);
      const session = await store.sites.session(site.id);
      expect(session?.state).toEqual(second.next);
      expect(session?.site).toMatchObject({ ledger: { seq: 5 }, deployed: { server: 5, workstation: 0 } });
      expect(session?.path).toBe(scope.path);
      expect(await store.ingest.entries(scope, site.id, 0, 100)).toEqual([...first.log, ...second.log]);
      expect(await store.ingest.entries(scope, site.id, 2, 2)).toEqual([first.log[2], second.log[0]]);
      expect(await store.ingest.entryHash(site.id, 4)).toBe(second.log[0]?.hash);
      expect(await store.ingest.entryHash(site.id, 6)).toBeUndefined();
    });

    test('keeps a state without a month', async () => {
      const { store, site, pen } = await siteWithPen();
      const plan = pen.plan({ at: begin, months: [] });
      const next = { ...plan.next, month: null, periodStart: null, meter: null, sealed: true };
      expect(await store.ingest.apply([{ ...plan, next }])).toEqual([ok]);
      expect((await store.sites.session(site.id))?.state).toEqual(next);
    });

    test('keeps any text of an entry, to the last character', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const text = JSON.stringify({ hostName: 'a\u0000b 🦊\u2028 "\\" %_\' 漢', long: 'x'.repeat(900 * 1024) });
      expect(await store.ingest.apply([pen.plan({ at: begin, text })])).toEqual([ok]);
      expect((await store.ingest.entries(scope, site.id, 0, 1))?.[0]?.text).toBe(text);
    });

    test.each<[string, (plan: IngestPlan) => IngestPlan]>([
      ['stands at another entry', (plan) => ({ ...plan, expected: { seq: 2, hash: plan.expected.hash } })],
      ['has another past', (plan) => ({ ...plan, expected: { seq: 1, hash: nodeDigest.sha256('another past') } })],
      ['has begun already', (plan) => ({ ...plan, expected: { seq: 0, hash: '0'.repeat(64) } })],
      [
        'is not known',
        (plan) => ({
          ...plan,
          siteId: newId('site'),
          next: { ...plan.next, siteId: plan.siteId },
          expected: { seq: 0, hash: '0'.repeat(64) },
        }),
      ],
    ])('writes nothing where the site %s', async (_, change) => {
      const { store, site, scope, pen } = await siteWithPen();
      await store.ingest.apply([pen.plan({ at: begin })]);
      const before = await store.sites.session(site.id);
      const plan = change(
        pen.plan({
          at: later,
          entries: 2,
          deployments: [opened('ep_x', later, 2)],
          counts: { server: 1, workstation: 0 },
        }),
      );
      expect(await store.ingest.apply([plan])).toEqual([conflict]);
      expect(await store.sites.session(site.id)).toEqual(before);
      expect((await store.ingest.entries(scope, site.id, 0, 10))?.length).toBe(1);
      expect((await store.sites.deployments(scope, site.id, { current: false }, all))?.rows).toEqual([]);
    });

    test('takes nothing from the key before, nor for a site that nobody enrolled', async () => {
      const { store, site, account, scope, pen } = await siteWithPen();
      await store.ingest.apply([pen.plan({ at: begin })]);
      const before = await store.sites.session(site.id);
      const stranger = await addSite(store, account);
      const right = new LedgerPen(await addSite(store, account, { enrolledAt: begin }));
      const replaced = { ok: false, code: 'KEY_REPLACED' };
      const plans = [
        { ...pen.plan({ at: later }), enrolledPublicKey: publicKeyOf('the key before') },
        new LedgerPen(stranger).plan({ at: begin }),
        right.plan({ at: begin }),
      ];
      expect(await store.ingest.apply(plans)).toEqual([replaced, replaced, ok]);
      expect(await store.sites.session(site.id)).toEqual(before);
      for (const [id, entries] of [
        [site.id, 1],
        [stranger.id, 0],
        [right.siteId, 1],
      ] as const)
        expect((await store.ingest.entries(scope, id, 0, 10))?.length).toBe(entries);
    });

    test('applies one of 50 plans that come at once for the same place', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const plan = pen.plan({ at: begin, entries: 3, deployments: [opened('ep_1', begin, 2)] });
      const results = (await Promise.all(Array.from({ length: 50 }, () => store.ingest.apply([plan])))).flat();
      expect(results.filter((result) => result.ok).length).toBe(1);
      expect(results.filter((result) => !result.ok && result.code === 'CONFLICT').length).toBe(49);
      const next = pen.plan({ at: later, entries: 2, deployments: [closed('ep_1', later, 4)] });
      const again = (await Promise.all(Array.from({ length: 50 }, () => store.ingest.apply([next])))).flat();
      expect(again.filter((result) => result.ok).length).toBe(1);
      expect((await store.ingest.entries(scope, site.id, 0, 100))?.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
      expect((await store.sites.deployments(scope, site.id, { current: false }, all))?.rows.length).toBe(1);
    });

    test('lets no plan spoil another of its group', async () => {
      const { store, site, account, scope } = await siteWithPen();
      const sites = [site];
      for (let i = 0; i < 9; i++) sites.push(await addSite(store, account, { enrolledAt: begin }));
      const plans = sites.map((each, i) => {
        const twice = i % 3 === 1 ? [opened('ep_1', begin, 2)] : [];
        return new LedgerPen(each).plan({ at: begin, entries: 2, deployments: [opened('ep_1', begin, 1), ...twice] });
      });
      const [, , moved] = plans as [IngestPlan, IngestPlan, IngestPlan];
      moved.expected = { seq: 7, hash: nodeDigest.sha256('elsewhere') };
      const results = await store.ingest.apply(plans);
      expect(results).toEqual(plans.map((_, i) => (i === 2 ? conflict : i % 3 === 1 ? contradiction : ok)));
      for (const [i, each] of sites.entries()) {
        const entries = i === 2 || i % 3 === 1 ? 0 : 2;
        expect((await store.ingest.entries(scope, each.id, 0, 10))?.length).toBe(entries);
        expect((await store.sites.deployments(scope, each.id, { current: true }, all))?.rows.length).toBe(entries / 2);
        expect((await store.sites.session(each.id))?.state?.head.seq).toBe(entries === 0 ? undefined : 2);
      }
    });

    test('applies plans of one site in one group after one another', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const plans = [pen.plan({ at: begin, entries: 2 }), pen.plan({ at: begin }), pen.plan({ at: later, entries: 3 })];
      expect(await store.ingest.apply(plans)).toEqual([ok, ok, ok]);
      expect((await store.ingest.entries(scope, site.id, 0, 100))?.length).toBe(6);
    });

    test.each<[string, DeploymentChange[]]>([
      ['opened twice', [opened('ep_held', later, 2)]],
      ['opened twice in the batch', [opened('ep_new', later, 2), opened('ep_new', later, 3)]],
      ['closed without being open', [closed('ep_new', later, 2)]],
      ['closed twice', [closed('ep_held', later, 2), closed('ep_held', later, 3)]],
      ['closed as another kind', [closed('ep_held', later, 2, 'workstation')]],
      [
        'changed from another kind',
        [
          {
            change: 'kind',
            endpointId: 'ep_held',
            kindBefore: 'workstation',
            kind: 'server',
            hostName: 'h',
            origin: 'managed',
            agentVersion: '1',
            at: later,
            seq: 2,
          },
        ],
      ],
      [
        'changed without being open',
        [{ change: 'facts', endpointId: 'ep_new', hostName: 'h', origin: 'managed', agentVersion: '1' }],
      ],
      ['removed before it was deployed', [closed('ep_held', '2026-01-01T00:00:00.000Z', 2)]],
      ['two by one entry', [opened('ep_new', later, 2), opened('ep_newer', later, 2)]],
    ])('contradicts a deployment that is %s, and leaves no trace', async (_, deployments) => {
      const { store, site, scope, pen } = await siteWithPen();
      await store.ingest.apply([pen.plan({ at: begin, deployments: [opened('ep_held', begin, 1)] })]);
      const before = await store.sites.session(site.id);
      const held = await store.sites.deployments(scope, site.id, { current: false }, all);
      expect(await store.ingest.apply([pen.plan({ at: later, entries: 3, deployments })])).toEqual([contradiction]);
      expect(await store.sites.session(site.id)).toEqual(before);
      expect(await store.sites.deployments(scope, site.id, { current: false }, all)).toEqual(held);
      expect((await store.ingest.entries(scope, site.id, 0, 10))?.length).toBe(1);
    });

    test('follows an endpoint through kinds, facts, removal and return', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const kind: DeploymentChange = {
        change: 'kind',
        endpointId: 'ep_1',
        kindBefore: 'server',
        kind: 'workstation',
        hostName: 'renamed',
        origin: 'standalone',
        agentVersion: '2.0',
        at: later,
        seq: 2,
      };
      const facts: DeploymentChange = {
        change: 'facts',
        endpointId: 'ep_1',
        hostName: 'Büro 🦊',
        origin: 'managed',
        agentVersion: '3.0',
      };
      await store.ingest.apply([pen.plan({ at: begin, deployments: [opened('ep_1', begin, 1)] })]);
      await store.ingest.apply([
        pen.plan({
          at: later,
          entries: 4,
          deployments: [kind, facts, closed('ep_1', later, 4, 'workstation'), opened('ep_1', later, 5)],
        }),
      ]);
      const rows = (await store.sites.deployments(scope, site.id, { current: false }, all))?.rows;
      const machineId = 'machine-of-ep_1';
      expect(rows).toEqual([
        {
          endpointId: 'ep_1',
          machineId,
          hostName: 'host of ep_1',
          kind: 'server',
          origin: 'managed',
          agentVersion: '1.0',
          deployedAt: later,
          removedAt: null,
          removedReason: null,
        },
        {
          endpointId: 'ep_1',
          machineId,
          hostName: 'Büro 🦊',
          kind: 'workstation',
          origin: 'managed',
          agentVersion: '3.0',
          deployedAt: later,
          removedAt: later,
          removedReason: 'uninstalled',
        },
        {
          endpointId: 'ep_1',
          machineId,
          hostName: 'host of ep_1',
          kind: 'server',
          origin: 'managed',
          agentVersion: '1.0',
          deployedAt: begin,
          removedAt: later,
          removedReason: 'kind-changed',
        },
      ]);
      expect((await store.sites.deployments(scope, site.id, { current: true }, all))?.rows).toEqual(rows?.slice(0, 1));
    });

    test('pages over deployments', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const deployments = Array.from({ length: 23 }, (_, i) => opened(`ep_${i}`, begin, i + 1));
      await store.ingest.apply([pen.plan({ at: begin, entries: 23, deployments })]);
      const seen = await walk(
        async (page) =>
          (await store.sites.deployments(scope, site.id, { current: true }, page)) ?? { rows: [], nextCursor: null },
        5,
      );
      expect(seen.map(({ endpointId }) => endpointId)).toEqual(
        deployments.map(({ endpointId }) => endpointId).reverse(),
      );
    });

    test('finds the intervals that touch a period', async () => {
      const { store, site, pen } = await siteWithPen();
      const day = (n: number): Instant => `2026-01-${String(n).padStart(2, '0')}T00:00:00.000Z`;
      const deployments = [
        opened('ep_before', day(5), 1),
        opened('ep_within', day(5), 2),
        opened('ep_open', day(5), 3),
        closed('ep_before', day(10), 4),
        closed('ep_within', day(11), 5),
        opened('ep_late', day(20), 6),
      ];
      await store.ingest.apply([pen.plan({ at: day(20), entries: 6, deployments })]);
      const touching = await store.reports.intervals(site.id, day(10), day(20), 100);
      expect(touching.map(({ endpointId, deployedSeq }) => [endpointId, deployedSeq])).toEqual([
        ['ep_within', 2],
        ['ep_open', 3],
      ]);
      expect(touching[0]).toMatchObject({ deployedAt: day(5), removedAt: day(11), removedReason: 'uninstalled' });
      expect((await store.reports.intervals(site.id, day(1), day(28), 2)).length).toBe(2);
    });

    test.each<[number | null, [string, string | null][]]>([
      [
        3,
        [
          ['ep_gone', null],
          ['ep_kind', null],
        ],
      ],
      [4, [['ep_kind', null]]],
      [
        5,
        [
          ['ep_kind', '2026-01-12T00:00:00.000Z'],
          ['ep_kind', null],
        ],
      ],
      [
        null,
        [
          ['ep_kind', '2026-01-12T00:00:00.000Z'],
          ['ep_kind', null],
          ['ep_late', null],
        ],
      ],
    ])('finds the intervals as they stood after entry %s', async (upToSeq, expected) => {
      const { store, site, pen } = await siteWithPen();
      const day = (n: number): Instant => `2026-01-${String(n).padStart(2, '0')}T00:00:00.000Z`;
      const kind: DeploymentChange = {
        change: 'kind',
        endpointId: 'ep_kind',
        kindBefore: 'server',
        kind: 'workstation',
        hostName: 'h',
        origin: 'managed',
        agentVersion: '1',
        at: day(12),
        seq: 5,
      };
      const deployments = [
        opened('ep_gone', day(5), 1),
        opened('ep_kind', day(5), 2),
        // Before the period, and told of only later.
        closed('ep_gone', day(6), 4),
        kind,
        opened('ep_late', day(13), 6),
      ];
      await store.ingest.apply([pen.plan({ at: day(13), entries: 6, deployments })]);
      const found = await store.reports.intervals(site.id, day(10), day(20), 100, upToSeq);
      expect(found.map(({ endpointId, removedAt }) => [endpointId, removedAt])).toEqual(expected);
      expect(found.filter(({ removedAt, removedReason }) => (removedAt === null) !== (removedReason === null))).toEqual(
        [],
      );
    });

    test('gives back what is held of a month: the latest report, and all that touches it unless that is too much', async () => {
      const { store, site, pen } = await siteWithPen();
      const january = { start: '2026-01-01T00:00:00.000Z', end: '2026-02-01T00:00:00.000Z' };
      const held = (intervalsMax: number) => store.ingest.heldMonth(site.id, '2026-01', january, intervalsMax);
      expect(await held(10)).toEqual({ latest: null, intervals: [] });
      const seal = receivedReport(site, '2026-01', { server: 2, workstation: 0 });
      const correction = receivedReport(site, '2026-01', { server: 1, workstation: 0 }, { revision: 2 });
      const february = '2026-02-03T00:00:00.000Z';
      await store.ingest.apply([
        pen.plan({
          at: february,
          entries: 5,
          deployments: [
            opened('ep_before', '2025-12-01T00:00:00.000Z', 1),
            closed('ep_before', january.start, 2),
            opened('ep_ended', begin, 3),
            closed('ep_ended', february, 4),
            opened('ep_open', later, 4, 'workstation'),
            opened('ep_after', january.end, 5),
          ],
          reports: [seal, correction],
        }),
      ]);
      const { revision, period, upTo } = correction.report;
      const intervals = [
        { endpoint: 'ep_ended', kind: 'server', deployedAt: begin, removedAt: february },
        { endpoint: 'ep_open', kind: 'workstation', deployedAt: later, removedAt: null },
      ];
      expect(await held(2)).toEqual({ latest: { revision, period, upTo }, intervals });
      expect(await held(1)).toEqual({ latest: { revision, period, upTo }, intervals: null });
    });

    test('adds a finding once', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const finding = {
        id: 'fnd_drawn-from_what',
        siteId: site.id,
        code: 'UNKNOWN_ENTRY',
        message: 'a kind of tomorrow',
        at: begin,
      };
      const mine = { ...finding, id: newId('finding') };
      await store.ingest.apply([pen.plan({ at: begin, findings: [mine, mine] })]);
      await store.ingest.apply([pen.plan({ at: later, findings: [{ ...mine, message: 'again' }] })]);
      expect((await store.sites.findings(scope, { siteId: site.id }, all)).rows).toEqual([
        { ...mine, resolvedAt: null },
      ]);
    });

    test('takes a revision of a report once', async () => {
      const { store, site, scope, pen } = await siteWithPen();
      const report = receivedReport(site, '2026-01', { server: 3, workstation: 1 });
      expect(await store.ingest.apply([pen.plan({ at: later, reports: [report] })])).toEqual([ok]);
      expect(await store.ingest.apply([pen.plan({ at: later, reports: [report] })])).toEqual([contradiction]);
      expect((await store.reports.revisions(scope, site.id, '2026-01'))?.map(({ report: held }) => held)).toEqual([
        report.report,
      ]);
    });

    test('applies a group of 200 sites with 5 entries each', async () => {
      const { store, account, scope } = await siteWithPen();
      const plans: IngestPlan[] = [];
      for (let i = 0; i < 200; i++) {
        const pen = new LedgerPen(await addSite(store, account, { enrolledAt: begin }));
        plans.push(
          pen.plan({
            at: begin,
            entries: 5,
            deployments: Array.from({ length: 5 }, (_, n) => opened(`ep_${n}`, begin, n + 1)),
            counts: { server: 5, workstation: 0 },
          }),
        );
      }
      expect(await store.ingest.apply(plans)).toEqual(Array(200).fill(ok));
      const seen = await walk((page) => store.sites.sites(scope, {}, page), 100);
      expect(seen.filter(({ ledger, deployed }) => ledger.seq === 5 && deployed.server === 5).length).toBe(200);
    });

    test('ends where a plain list of intervals ends, however the changes are cut into plans', async () => {
      const { store } = use();
      const { account, scope } = await addBranch(store);
      const step = fc.record({
        endpoint: fc.constantFrom('ep_a', 'ep_b', 'ep_c'),
        act: fc.constantFrom('toggle', 'kind', 'facts'),
        cut: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
          const site = await addSite(store, account, { enrolledAt: begin });
          const pen = new LedgerPen(site);
          const expected: { endpoint: string; kind: string; host: string; from: Instant; to: Instant | null }[] = [];
          let changes: DeploymentChange[] = [];
          for (const [i, { endpoint, act, cut }] of steps.entries()) {
            const at = instantFromMs(msOfInstant(begin) + i * 1000);
            const seq = pen.head.seq + changes.length + 1;
            const open = expected.find((row) => row.endpoint === endpoint && row.to === null);
            const facts = { hostName: `host ${i}`, origin: 'managed' as const, agentVersion: '1.0' };
            if (open === undefined) {
              changes.push(opened(endpoint, at, seq));
              expected.push({ endpoint, kind: 'server', host: `host of ${endpoint}`, from: at, to: null });
            } else if (act === 'facts') {
              changes.push({ change: 'facts', endpointId: endpoint, ...facts });
              open.host = facts.hostName;
            } else if (act === 'kind') {
              const [kindBefore, kind] =
                open.kind === 'server' ? (['server', 'workstation'] as const) : (['workstation', 'server'] as const);
              changes.push({ change: 'kind', endpointId: endpoint, kindBefore, kind, ...facts, at, seq });
              open.to = at;
              expected.push({ endpoint, kind, host: facts.hostName, from: at, to: null });
            } else {
              changes.push(closed(endpoint, at, seq, open.kind === 'server' ? 'server' : 'workstation'));
              open.to = at;
            }
            if (cut || i === steps.length - 1) {
              expect(
                await store.ingest.apply([pen.plan({ at, entries: changes.length, deployments: changes })]),
              ).toEqual([ok]);
              changes = [];
            }
          }
          const held = (await store.sites.deployments(scope, site.id, { current: false }, all))?.rows ?? [];
          expect(
            held
              .map((row) => ({
                endpoint: row.endpointId,
                kind: row.kind,
                host: row.hostName,
                from: row.deployedAt,
                to: row.removedAt,
              }))
              .reverse(),
          ).toEqual(expected);
        }),
        { numRuns: 25 },
      );
    });

    test.each([
      'UPDATE site_log SET text = text',
      'DELETE FROM site_log',
      'UPDATE report_revisions SET agreeing = 1',
      'DELETE FROM report_revisions',
    ])('refuses to change what was received: %s', async (text) => {
      const { store, site, pen } = await siteWithPen();
      const { execute } = use();
      await store.ingest.apply([
        pen.plan({ at: later, reports: [receivedReport(site, '2026-01', { server: 0, workstation: 0 })] }),
      ]);
      await expect(execute(text)).rejects.toMatchObject({ message: expect.stringContaining('IMMUTABLE') });
    });
  });
}
