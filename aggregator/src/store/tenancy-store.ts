/** Organisations and accounts: the tenant tree above the sites. */
import type { Account } from '@rollcall/shared/api/account.ts';
import type { Page, PageQuery } from '@rollcall/shared/api/page.ts';
import { Name } from '@rollcall/shared/domain/name.ts';
import { OrganisationKind } from '@rollcall/shared/domain/organisation.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { badCursor, decodeCursor, pageOfRows } from './cursor.ts';
import type { Engine } from './engine.ts';
import { nameKey } from './name-key.ts';
import type { AccountRow, OrganisationRow } from './schema.ts';
import { withinPath } from './scope-filter.ts';
import type { OrganisationRecord, TenancyStore } from './store.ts';

const AddressLines = z.array(Name);
export const addressLinesOf = (json: string): string[] => AddressLines.parse(JSON.parse(json));

/** The last row's identifier; its name is looked up. */
export const IdCursor = z.tuple([z.string().regex(/^[a-z]+_[0-9a-z]+$/)]);

export function tenancyStore(engine: Engine): TenancyStore {
  const { db } = engine;

  const insertOrganisation = (row: OrganisationRow) => db.insertInto('organisations').values(row);
  const organisations = (scope: Scope) => db.selectFrom('organisations').selectAll().where(withinPath(scope.path));
  const accounts = (scope: Scope) =>
    db
      .selectFrom('accounts')
      .innerJoin('organisations', 'organisations.id', 'accounts.msp_id')
      .selectAll('accounts')
      .where(withinPath(scope.path));

  return {
    async createVendor(organisation) {
      const row = organisationRow({ ...organisation, path: `${organisation.id}/` });
      const done = await engine.batch([{ run: insertOrganisation(row), taken: 'VENDOR_EXISTS' as const }]);
      return done.ok ? { ok: true } : refuse('VENDOR_EXISTS', 'there is a vendor already; a tenant tree has one root');
    },

    async vendor() {
      const row = await engine.first(db.selectFrom('organisations').selectAll().where('kind', '=', 'vendor'));
      return row && organisationRecord(row);
    },

    async createOrganisation(organisation, parent) {
      const row = organisationRow({ ...organisation, path: `${parent.path}${organisation.id}/` });
      const done = await engine.batch([{ run: insertOrganisation(row), taken: 'NAME_TAKEN' as const }]);
      return done.ok ? { ok: true } : refuse('NAME_TAKEN', `${parent.name} has an organisation of this name already`);
    },

    async organisation(scope, id) {
      const row = await engine.first(organisations(scope).where('organisations.id', '=', id));
      return row && organisationRecord(row);
    },

    async organisations(scope, filter, page): Promise<Page<OrganisationRecord>> {
      let query = organisations(scope);
      if (filter.parentId !== undefined) query = query.where('parent_id', '=', filter.parentId);
      if (filter.kind !== undefined) {
        const kind = OrganisationKind.safeParse(filter.kind);
        if (!kind.success) return { rows: [], nextCursor: null };
        query = query.where('kind', '=', kind.data);
      }
      const after = await anchor(page, (id) => engine.first(organisations(scope).where('organisations.id', '=', id)));
      if (after !== undefined)
        query = query.where((eb) => eb(eb.refTuple('name_key', 'id'), '>', eb.tuple(after.name_key, after.id)));
      const rows = await engine.all(
        query
          .orderBy('name_key')
          .orderBy('id')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, organisationRecord, (row) => [row.id]);
    },

    async createAccount(account) {
      const { id, mspId, name, note, createdAt } = account;
      const row: AccountRow = {
        id,
        msp_id: mspId,
        name,
        name_key: nameKey(name),
        address_lines: JSON.stringify(account.addressLines),
        note,
        created_at: createdAt,
      };
      const done = await engine.batch([{ run: db.insertInto('accounts').values(row), taken: 'NAME_TAKEN' as const }]);
      return done.ok ? { ok: true } : refuse('NAME_TAKEN', 'the MSP has an account of this name already');
    },

    async account(scope, id) {
      const row = await engine.first(accounts(scope).where('accounts.id', '=', id));
      return row && accountOf(row);
    },

    async accounts(scope, filter, page) {
      let query = accounts(scope);
      if (filter.mspId !== undefined) query = query.where('accounts.msp_id', '=', filter.mspId);
      const after = await anchor(page, (id) => engine.first(accounts(scope).where('accounts.id', '=', id)));
      if (after !== undefined)
        query = query.where((eb) =>
          eb(eb.refTuple('accounts.name_key', 'accounts.id'), '>', eb.tuple(after.name_key, after.id)),
        );
      const rows = await engine.all(
        query
          .orderBy('accounts.name_key')
          .orderBy('accounts.id')
          .limit(page.limit + 1),
      );
      return pageOfRows(rows, page.limit, accountOf, (row) => [row.id]);
    },
  };
}

/**
 * The row a page begins after, read within the scope: a cursor that names a foreign row must not tell where it sorts.
 * @throws RollcallError `CURSOR_INVALID`.
 */
export async function anchor<Row>(
  page: PageQuery,
  find: (id: string) => Promise<Row | undefined>,
): Promise<Row | undefined> {
  if (page.cursor === undefined) return undefined;
  const [id] = decodeCursor(IdCursor, page.cursor);
  const row = await find(id);
  if (row === undefined) throw badCursor();
  return row;
}

const organisationRow = (record: OrganisationRecord): OrganisationRow => ({
  id: record.id,
  kind: record.kind,
  parent_id: record.parentId,
  path: record.path,
  name: record.name,
  name_key: nameKey(record.name),
  country: record.country,
  currency: record.currency,
  tax_id: record.taxId,
  address_lines: JSON.stringify(record.addressLines),
  created_at: record.createdAt,
});

export const organisationRecord = (row: OrganisationRow): OrganisationRecord => ({
  id: row.id,
  kind: row.kind,
  parentId: row.parent_id,
  path: row.path,
  name: row.name,
  country: row.country,
  currency: row.currency,
  taxId: row.tax_id,
  addressLines: addressLinesOf(row.address_lines),
  createdAt: row.created_at,
});

export const accountOf = (row: AccountRow): Account => ({
  id: row.id,
  mspId: row.msp_id,
  name: row.name,
  addressLines: addressLinesOf(row.address_lines),
  note: row.note,
  createdAt: row.created_at,
});
