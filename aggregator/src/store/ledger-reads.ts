/**
 * Reading ledgers back: single hashes for the chain check, months to be counted again, entries for export and evidence. Writing
 * is the drivers' ingest.
 */
import { ReportContent } from '@rollcall/shared/ledger/report.ts';
import type { Engine } from './engine.ts';
import { withinPath } from './scope-filter.ts';
import type { IngestStore } from './store.ts';

/** What a correction is compared with; the rest of a report may be long. */
const LatestReport = ReportContent.pick({ revision: true, period: true, upTo: true });

export function ledgerReads(engine: Engine): Omit<IngestStore, 'apply'> {
  const { db } = engine;
  return {
    async entryHash(siteId, seq) {
      return (
        await engine.first(
          db.selectFrom('site_log').select('hash').where('site_id', '=', siteId).where('seq', '=', seq),
        )
      )?.hash;
    },

    async heldMonth(siteId, month, { start, end }, intervalsMax) {
      const reports = db.selectFrom('report_revisions').select('report').where('site_id', '=', siteId);
      const latest = await engine.first(reports.where('month', '=', month).orderBy('revision', 'desc').limit(1));
      const touching = db
        .selectFrom('deployments')
        .select(['endpoint_id as endpoint', 'kind', 'deployed_at as deployedAt', 'removed_at as removedAt'])
        .where('site_id', '=', siteId)
        .where('deployed_at', '<', end)
        .where((eb) => eb.or([eb('removed_at', 'is', null), eb('removed_at', '>', start)]));
      const intervals = await engine.all(touching.orderBy('deployed_seq').limit(intervalsMax + 1));
      return {
        latest: latest === undefined ? null : LatestReport.parse(JSON.parse(latest.report)),
        intervals: intervals.length > intervalsMax ? null : intervals,
      };
    },

    async entries(scope, siteId, afterSeq, limit) {
      const site = db
        .selectFrom('sites')
        .innerJoin('organisations', 'organisations.id', 'sites.msp_id')
        .select('sites.id');
      if ((await engine.first(site.where('sites.id', '=', siteId).where(withinPath(scope.path)))) === undefined)
        return undefined;
      const after = db
        .selectFrom('site_log')
        .select(['seq', 'at', 'kind', 'text', 'hash'])
        .where('site_id', '=', siteId)
        .where('seq', '>', afterSeq);
      return engine.all(after.orderBy('seq').limit(limit));
    },
  };
}
