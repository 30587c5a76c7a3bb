/** Reading ledgers back: single hashes for the chain check, entries for export and evidence. Writing is the drivers' ingest. */
import type { Engine } from './engine.ts';
import { withinPath } from './scope-filter.ts';
import type { IngestStore } from './store.ts';

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
