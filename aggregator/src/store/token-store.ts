/** API tokens and enrolment tokens, stored as hashes. Using an enrolment token up is enrolment-store.ts. */
import type { ApiToken, EnrolmentToken } from '@rollcall/shared/api/token.ts';
import { Instant } from '@rollcall/shared/domain/instant.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { decodeCursor, pageOfRows } from './cursor.ts';
import type { Engine, Step } from './engine.ts';
import type { ApiTokenRow, EnrolmentTokenRow } from './schema.ts';
import { organisationsWithin, withinPath } from './scope-filter.ts';
import type { TokenStore } from './store.ts';
import { organisationRecord } from './tenancy-store.ts';

/** Position in a list that shows the newest first: instant and identifier of the last row. */
export const TimeCursor = z.tuple([Instant, z.string().regex(/^[a-z]+_[0-9a-z]+$/)]);

export function tokenStore(engine: Engine): TokenStore {
  const { db } = engine;

  const apiTokens = (scope: Scope) =>
    db
      .selectFrom('api_tokens')
      .innerJoin('organisations', 'organisations.id', 'api_tokens.organisation_id')
      .selectAll('api_tokens')
      .where(withinPath(scope.path));

  const enrolmentTokens = (scope: Scope) =>
    db
      .selectFrom('enrolment_tokens')
      .innerJoin('accounts', 'accounts.id', 'enrolment_tokens.account_id')
      .innerJoin('organisations', 'organisations.id', 'accounts.msp_id')
      .selectAll('enrolment_tokens')
      .where(withinPath(scope.path));

  /**
   * Making a token with another and revoking take turns, on the one row of the vendor: else a token that is made while the one
   * it is made with is revoked would be seen by neither.
   */
  const inTurn = {
    run: db
      .updateTable('organisations')
      .set((eb) => ({ kind: eb.ref('kind') }))
      .where('parent_id', 'is', null),
  };
  const stillGood = (id: string): Step<'TOKEN_REVOKED'> => ({
    run: db
      .updateTable('api_tokens')
      .set((eb) => ({ last_used_at: eb.ref('last_used_at') }))
      .where('id', '=', id)
      .where('revoked_at', 'is', null),
    rows: 1,
    otherwise: 'TOKEN_REVOKED',
  });

  return {
    async createApiToken(token, hash) {
      const row: ApiTokenRow = {
        id: token.id,
        organisation_id: token.organisationId,
        name: token.name,
        hash,
        created_by_token_id: token.createdByTokenId,
        created_at: token.createdAt,
        expires_at: token.expiresAt,
        last_used_at: token.lastUsedAt,
        revoked_at: token.revokedAt,
      };
      const done = await engine.batch<'TOKEN_REVOKED'>([
        ...(token.createdByTokenId === null ? [] : [inTurn, stillGood(token.createdByTokenId)]),
        { run: db.insertInto('api_tokens').values(row), rows: 1 },
      ]);
      return done.ok ? { ok: true } : refuse('TOKEN_REVOKED', 'the API token was revoked');
    },

    async apiTokenByHash(hash) {
      const token = await engine.first(db.selectFrom('api_tokens').selectAll().where('hash', '=', hash));
      if (token === undefined) return undefined;
      const organisation = await engine.first(
        db.selectFrom('organisations').selectAll().where('id', '=', token.organisation_id),
      );
      return organisation && { token: apiTokenOf(token), organisation: organisationRecord(organisation) };
    },

    async touchApiToken(id, at) {
      const later = db
        .updateTable('api_tokens')
        .set({ last_used_at: at })
        .where('id', '=', id)
        .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<', at)]));
      await engine.batch([{ run: later }]);
    },

    async apiTokens(scope, page) {
      let query = apiTokens(scope);
      if (page.cursor !== undefined) {
        const [at, id] = decodeCursor(TimeCursor, page.cursor);
        query = query.where((eb) => eb(eb.refTuple('api_tokens.created_at', 'api_tokens.id'), '<', eb.tuple(at, id)));
      }
      const rows = await engine.all(
        query
          .orderBy('api_tokens.created_at', 'desc')
          .orderBy('api_tokens.id', 'desc')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, apiTokenOf, (row) => [row.created_at, row.id]);
    },

    async revokeApiToken(scope, id, at) {
      const revoke = db
        .withRecursive('lineage(id)', (query) =>
          query
            .selectFrom('api_tokens')
            .select('api_tokens.id')
            .where('api_tokens.id', '=', id)
            .where('api_tokens.organisation_id', 'in', organisationsWithin(scope.path))
            .union(
              query
                .selectFrom('api_tokens')
                .innerJoin('lineage', 'lineage.id', 'api_tokens.created_by_token_id')
                .select('api_tokens.id'),
            ),
        )
        .updateTable('api_tokens')
        .set({ revoked_at: at })
        .where('revoked_at', 'is', null)
        .where('id', 'in', (query) => query.selectFrom('lineage').select('lineage.id'));
      await engine.batch([inTurn, { run: revoke }]);
      const row = await engine.first(apiTokens(scope).where('api_tokens.id', '=', id));
      return row && apiTokenOf(row);
    },

    async createEnrolmentToken(token, hash) {
      const row: EnrolmentTokenRow = {
        id: token.id,
        site_id: token.siteId,
        account_id: token.accountId,
        hash,
        uses_max: token.usesMax,
        uses: token.uses,
        created_at: token.createdAt,
        expires_at: token.expiresAt,
        withdrawn_at: token.withdrawnAt,
      };
      await engine.batch([{ run: db.insertInto('enrolment_tokens').values(row), rows: 1 }]);
    },

    async enrolmentTokens(scope, filter, page) {
      let query = enrolmentTokens(scope);
      if (filter.accountId !== undefined) query = query.where('enrolment_tokens.account_id', '=', filter.accountId);
      if (page.cursor !== undefined) {
        const [at, id] = decodeCursor(TimeCursor, page.cursor);
        query = query.where((eb) =>
          eb(eb.refTuple('enrolment_tokens.created_at', 'enrolment_tokens.id'), '<', eb.tuple(at, id)),
        );
      }
      const ordered = query.orderBy('enrolment_tokens.created_at', 'desc').orderBy('enrolment_tokens.id', 'desc');
      const rows = await engine.all(ordered.limit(page.limit + 1));
      return pageOfRows(rows, page.limit, enrolmentTokenOf, (row) => [row.created_at, row.id]);
    },

    async withdrawEnrolmentToken(scope, id, at) {
      const accountsWithin = db
        .selectFrom('accounts')
        .select('accounts.id')
        .where('accounts.msp_id', 'in', organisationsWithin(scope.path));
      const withdraw = db
        .updateTable('enrolment_tokens')
        .set({ withdrawn_at: at })
        .where('id', '=', id)
        .where('withdrawn_at', 'is', null)
        .where('account_id', 'in', accountsWithin);
      await engine.batch([{ run: withdraw }]);
      const row = await engine.first(enrolmentTokens(scope).where('enrolment_tokens.id', '=', id));
      return row && enrolmentTokenOf(row);
    },
  };
}

const apiTokenOf = (row: ApiTokenRow): ApiToken => ({
  id: row.id,
  organisationId: row.organisation_id,
  name: row.name,
  createdByTokenId: row.created_by_token_id,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
  revokedAt: row.revoked_at,
});

export const enrolmentTokenOf = (row: EnrolmentTokenRow): EnrolmentToken => ({
  id: row.id,
  siteId: row.site_id,
  accountId: row.account_id,
  usesMax: row.uses_max,
  uses: row.uses,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  withdrawnAt: row.withdrawn_at,
});
