/** How a site enrols and connects: what enrolment looks at, its one batch, and what a session begins with. */
import { monthOf, previousMonth } from '@rollcall/shared/domain/month.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import type { Engine } from './engine.ts';
import { ingestStateOf } from './ingest-rows.ts';
import { productKeyRow } from './key-store.ts';
import { lockSites } from './row-locks.ts';
import { resolveRefusals, siteOf, siteQuery, siteRow } from './site-store.ts';
import type { EnrolmentPlan, SiteStore } from './store.ts';
import { accountOf } from './tenancy-store.ts';
import { enrolmentTokenOf } from './token-store.ts';

export function enrolmentStore(engine: Engine): Pick<SiteStore, 'enrolmentView' | 'applyEnrolment' | 'session'> {
  const { db } = engine;

  return {
    async enrolmentView(tokenHash, publicKey) {
      const token = await engine.first(db.selectFrom('enrolment_tokens').selectAll().where('hash', '=', tokenHash));
      if (token === undefined) return undefined;
      const account = await engine.first(db.selectFrom('accounts').selectAll().where('id', '=', token.account_id));
      if (account === undefined) return undefined;
      const sites = siteQuery(db).select('site_ingest.head_hash');
      const site = await engine.first(
        token.site_id === null
          ? sites.where('sites.public_key', '=', publicKey).where('sites.made_by_token_id', '=', token.id)
          : sites.where('sites.id', '=', token.site_id),
      );
      return {
        token: enrolmentTokenOf(token),
        account: accountOf(account),
        site: site && siteOf(site),
        sitePublicKey: site?.public_key ?? null,
        ingestHead: site === undefined ? null : headOf(site),
      };
    },

    async applyEnrolment(plan) {
      const timeZone = plan.newSite?.timeZone ?? (await timeZoneOf(plan.siteId));
      if (timeZone === undefined) return refuse('CONFLICT', 'the site is not there any more');
      const done = await engine.batch<'NAME_TAKEN' | 'CONFLICT'>([
        { run: useToken(plan), rows: 1, otherwise: 'CONFLICT' },
        ...(plan.newSite === null
          ? lockSites(engine, [plan.siteId])
          : [
              { run: db.insertInto('sites').values(siteRow(plan.newSite, plan.tokenId)), taken: 'NAME_TAKEN' as const },
            ]),
        {
          run: siteAsSeen(plan).set((eb) => ({
            public_key: plan.publicKey,
            enrolled_at: eb.fn.coalesce('enrolled_at', eb.val(plan.at)),
            first_month: eb.fn.coalesce('first_month', eb.val(monthOf(plan.at, timeZone))),
            // Enrolling anew is how an operator settles which of two machines is the site.
            flag: null,
          })),
          rows: 1,
          otherwise: 'CONFLICT',
        },
        { run: resolveRefusals(db, plan.siteId, plan.at) },
        ...(plan.newKey === null
          ? []
          : [
              {
                run: db.insertInto('product_keys').values(productKeyRow(plan.newKey.key, plan.newKey.keyText)),
                taken: 'CONFLICT' as const,
              },
            ]),
      ]);
      if (done.ok) return { ok: true };
      return done.code === 'NAME_TAKEN'
        ? refuse('NAME_TAKEN', 'the MSP has a site of this name already')
        : refuse('CONFLICT', 'the token or the site changed meanwhile; look again');
    },

    async session(siteId) {
      const row = await engine.first(siteQuery(db).select('organisations.path').where('sites.id', '=', siteId));
      if (row === undefined) return undefined;
      const ingest = await engine.first(db.selectFrom('site_ingest').selectAll().where('site_id', '=', siteId));
      const settled =
        ingest === undefined || ingest.month === null
          ? undefined
          : await engine.first(
              db
                .selectFrom('month_counts')
                .selectAll()
                .where('site_id', '=', siteId)
                .where('month', '=', previousMonth(ingest.month))
                .where('settled', '=', 1),
            );
      return {
        site: siteOf(row),
        path: row.path,
        state: ingest && ingestStateOf(ingest, settled),
        publicKey: row.public_key,
      };
    },
  };

  function headOf({ head_seq: seq, head_hash: hash }: { head_seq: number | null; head_hash: string | null }) {
    return seq === null || hash === null ? null : { seq, hash };
  }

  async function timeZoneOf(siteId: string): Promise<string | undefined> {
    return (await engine.first(db.selectFrom('sites').select('time_zone').where('id', '=', siteId)))?.time_zone;
  }

  /** A key is given only to the ledger that was looked at: the old key's last entries may come in between. */
  function siteAsSeen({ siteId, newSite, before: { enrolledAt, ledgerHead } }: EnrolmentPlan) {
    const site = db.updateTable('sites').where('id', '=', siteId);
    if (newSite !== null) return site;
    const ledger = db.selectFrom('site_ingest').select('site_id').where('site_id', '=', siteId);
    return site
      .where('enrolled_at', enrolledAt === null ? 'is' : '=', enrolledAt)
      .where((eb) =>
        ledgerHead === null
          ? eb.not(eb.exists(ledger))
          : eb.exists(ledger.where('head_seq', '=', ledgerHead.seq).where('head_hash', '=', ledgerHead.hash)),
      );
  }

  function useToken({ tokenId, usesBefore, at }: EnrolmentPlan) {
    return db
      .updateTable('enrolment_tokens')
      .set({ uses: usesBefore + 1 })
      .where('id', '=', tokenId)
      .where('uses', '=', usesBefore)
      .where('uses_max', '>', usesBefore)
      .where('withdrawn_at', 'is', null)
      .where('expires_at', '>', at);
  }
}
