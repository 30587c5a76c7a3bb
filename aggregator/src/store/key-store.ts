/** Product keys and the commands that change them at their sites. */
import { refuse } from '@rollcall/shared/domain/problem.ts';
import type { SiteCommand } from '@rollcall/shared/protocol/command.ts';
import { sql } from 'kysely';
import type { StoredKey } from '../core/key-state.ts';
import type { Scope } from '../core/scope.ts';
import { decodeCursor, pageOfRows } from './cursor.ts';
import type { Engine, Step } from './engine.ts';
import { latestOfEach } from './latest.ts';
import { lockSitesOfKeys } from './row-locks.ts';
import type { CommandRow, ProductKeyRow } from './schema.ts';
import { withinPath } from './scope-filter.ts';
import type { KeyStore } from './store.ts';
import { TimeCursor } from './token-store.ts';

/** Leases written by one statement. */
const leasesAtOnce = 500;

export function keyStore(engine: Engine): KeyStore {
  const { db } = engine;

  const inScope = (scope: Scope) =>
    db
      .selectFrom('product_keys')
      .innerJoin('sites', 'sites.id', 'product_keys.site_id')
      .innerJoin('organisations', 'organisations.id', 'sites.msp_id')
      .selectAll('product_keys')
      .where(withinPath(scope.path));

  return {
    async createKey(key, keyText) {
      const insert = db.insertInto('product_keys').values(productKeyRow(key, keyText));
      const done = await engine.batch([{ run: insert, taken: 'SITE_HAS_KEY' as const }]);
      return done.ok
        ? { ok: true }
        : refuse('SITE_HAS_KEY', 'the site has a key of this product already; one Site Manager has one');
    },

    async key(scope, id) {
      const row = await engine.first(inScope(scope).where('product_keys.id', '=', id));
      return row && storedKeyOf(row);
    },

    async keys(scope, filter, page) {
      let query = inScope(scope);
      if (filter.siteId !== undefined) query = query.where('product_keys.site_id', '=', filter.siteId);
      if (filter.accountId !== undefined) query = query.where('sites.account_id', '=', filter.accountId);
      if (filter.mspId !== undefined) query = query.where('sites.msp_id', '=', filter.mspId);
      if (page.cursor !== undefined) {
        const [at, id] = decodeCursor(TimeCursor, page.cursor);
        query = query.where((eb) =>
          eb(eb.refTuple('product_keys.created_at', 'product_keys.id'), '<', eb.tuple(at, id)),
        );
      }
      const ordered = query.orderBy('product_keys.created_at', 'desc').orderBy('product_keys.id', 'desc');
      const rows = await engine.all(ordered.limit(page.limit + 1));
      return pageOfRows(rows, page.limit, storedKeyOf, (row) => [row.created_at, row.id]);
    },

    async wishKey(scope, id, wish, command) {
      const key = await engine.first(inScope(scope).where('product_keys.id', '=', id));
      if (key === undefined) return refuse('NOT_FOUND', 'there is no such key');
      const unchanged = refuse('UNCHANGED', `the key is wanted ${wish} already`);
      if (key.wish === wish) return unchanged;
      const done = await engine.batch<'UNCHANGED'>([
        // The site before its key, as everywhere (row-locks.ts).
        {
          run: db
            .updateTable('sites')
            .set((eb) => ({ commands_queued: eb('commands_queued', '+', 1) }))
            .where('id', '=', key.site_id),
          rows: 1,
        },
        {
          run: db.updateTable('product_keys').set({ wish }).where('id', '=', id).where('wish', '<>', wish),
          rows: 1,
          otherwise: 'UNCHANGED',
        },
        { run: queueCommand(key.site_id, command), rows: 1 },
      ]);
      return done.ok ? { ok: true, key: storedKeyOf({ ...key, wish }) } : unchanged;
    },

    async keysOfSite(siteId) {
      const rows = await engine.all(
        db.selectFrom('product_keys').selectAll().where('site_id', '=', siteId).orderBy('created_at').orderBy('id'),
      );
      return rows.map((row) => ({ key: storedKeyOf(row), keyText: row.key_text }));
    },

    async pendingCommands(siteId, limit) {
      const pending = db.selectFrom('commands').selectAll().where('site_id', '=', siteId).where('outcome', 'is', null);
      return (await engine.all(pending.orderBy('position').limit(limit))).map(commandOf);
    },

    async recordLeases(leases) {
      const latest = latestOfEach(
        leases,
        ({ keyId }) => keyId,
        ({ issuedAt }) => issuedAt,
      );
      if (latest.length === 0) return;
      const steps: Step[] = lockSitesOfKeys(
        engine,
        latest.map(({ keyId }) => keyId),
      );
      for (let start = 0; start < latest.length; start += leasesAtOnce) {
        const rows = latest
          .slice(start, start + leasesAtOnce)
          .map(({ keyId, issuedAt, until }) => sql`(${keyId}, ${issuedAt}, ${until})`);
        steps.push({
          run: sql`UPDATE product_keys SET lease_issued_at = lease.column2, lease_until = lease.column3
            FROM (VALUES ${sql.join(rows)}) AS lease
            WHERE product_keys.id = lease.column1 AND (lease_issued_at IS NULL OR lease_issued_at <= lease.column2)`.compile(
            db,
          ),
        });
      }
      await engine.batch(steps);
    },
  };

  /** The counter of the site was raised in the same batch, which also keeps two commands from one place. */
  function queueCommand(siteId: string, command: SiteCommand) {
    return db.insertInto('commands').values({
      id: command.id,
      site_id: siteId,
      key_id: command.keyId,
      position: db.selectFrom('sites').select('commands_queued').where('id', '=', siteId),
      name: command.name,
      issued_at: command.issuedAt,
      outcome: null,
      code: null,
      answered_at: null,
    });
  }
}

export const productKeyRow = (key: StoredKey, keyText: string): ProductKeyRow => ({
  id: key.id,
  site_id: key.siteId,
  product: key.product,
  key_text: keyText,
  key_hint: key.keyHint,
  wish: key.wish,
  site_state: key.siteState,
  created_at: key.createdAt,
  lease_issued_at: key.leaseIssuedAt,
  lease_until: key.leaseUntil,
});

const storedKeyOf = (row: ProductKeyRow): StoredKey => ({
  id: row.id,
  siteId: row.site_id,
  product: row.product,
  keyHint: row.key_hint,
  wish: row.wish,
  siteState: row.site_state,
  createdAt: row.created_at,
  leaseIssuedAt: row.lease_issued_at,
  leaseUntil: row.lease_until,
});

const commandOf = (row: CommandRow): SiteCommand => ({
  id: row.id,
  name: row.name,
  keyId: row.key_id,
  issuedAt: row.issued_at,
});
