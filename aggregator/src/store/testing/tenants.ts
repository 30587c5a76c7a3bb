/** Builders for tests of the store: identifiers, organisations with their scopes, accounts, sites, keys, tokens. */
import type { Account } from '@rollcall/shared/api/account.ts';
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { Organisation } from '@rollcall/shared/api/organisation.ts';
import type { Site } from '@rollcall/shared/api/site.ts';
import type { EnrolmentToken } from '@rollcall/shared/api/token.ts';
import { type IdNoun, idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import type { Outcome } from '@rollcall/shared/domain/problem.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import type { StoredKey } from '../../core/key-state.ts';
import type { Scope } from '../../core/scope.ts';
import type { OrganisationRecord, Store } from '../store.ts';

const random = new SeededRandom(20_260_101);
let counter = 0;

export const newId = (noun: IdNoun): string => idFrom(noun, random.bytes(idRandomBytes));
export const newName = (what: string): string => `${what} ${++counter}`;
export const newHash = (): string => nodeDigest.sha256(`hash ${++counter}`);
export const newPublicKey = (): string => Buffer.from(random.bytes(32)).toString('base64url');

export const begin = '2026-01-05T09:00:00.000Z';
export const all = { limit: 500 };

export const scopeOf = (organisation: OrganisationRecord): Scope => ({
  organisationId: organisation.id,
  kind: organisation.kind,
  path: organisation.path,
});

export function must<Value extends object>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
  return outcome;
}

export const organisationDraft = (
  kind: Organisation['kind'],
  parentId: string | null,
  name = newName(kind),
): Organisation => ({
  id: newId('organisation'),
  kind,
  parentId,
  name,
  country: 'DE',
  currency: 'EUR',
  taxId: null,
  addressLines: ['Hauptstraße 1', '10115 Berlin'],
  createdAt: begin,
});

export async function vendorOf(store: Store): Promise<OrganisationRecord> {
  const found = await store.tenancy.vendor();
  if (found !== undefined) return found;
  await store.tenancy.createVendor(organisationDraft('vendor', null));
  return vendorOf(store);
}

export async function addOrganisation(
  store: Store,
  kind: 'distributor' | 'msp',
  parent: OrganisationRecord,
  name?: string,
): Promise<OrganisationRecord> {
  const draft = organisationDraft(kind, parent.id, name);
  must(await store.tenancy.createOrganisation(draft, parent));
  return { ...draft, path: `${parent.path}${draft.id}/` };
}

export async function addAccount(store: Store, msp: OrganisationRecord, name = newName('account')): Promise<Account> {
  const account = {
    id: newId('account'),
    mspId: msp.id,
    name,
    addressLines: ['Weg 2'],
    note: 'a note\nof two lines',
    createdAt: begin,
  };
  must(await store.tenancy.createAccount(account));
  return account;
}

export const siteDraft = (account: Account, changes: Partial<Site> = {}): Site => ({
  id: newId('site'),
  mspId: account.mspId,
  accountId: account.id,
  name: newName('site'),
  timeZone: 'UTC',
  note: '',
  settings: { staleAfterDays: 30 },
  createdAt: begin,
  enrolledAt: null,
  closedAt: null,
  software: null,
  lastContactAt: null,
  ledger: { seq: 0 },
  deployed: { server: 0, workstation: 0 },
  flag: null,
  ...changes,
});

/** The key that `addSite` enrols a site with. */
export const publicKeyOf = (siteId: string): string =>
  Buffer.from(nodeDigest.sha256(`key of ${siteId}`), 'hex').toString('base64url');

/** A site, enrolled by a token of its own where `enrolledAt` is given. */
export async function addSite(store: Store, account: Account, changes: Partial<Site> = {}): Promise<Site> {
  const site = siteDraft(account, changes);
  const { enrolledAt } = site;
  must(await store.sites.createSite({ ...site, enrolledAt: null }));
  if (enrolledAt !== null) {
    const token = enrolmentTokenDraft(account, { siteId: site.id, expiresAt: '9999-12-31T00:00:00.000Z' });
    await store.tokens.createEnrolmentToken(token, newHash());
    must(
      await store.sites.applyEnrolment({
        tokenId: token.id,
        usesBefore: 0,
        newSite: null,
        siteId: site.id,
        before: { enrolledAt: null, ledgerHead: null },
        publicKey: publicKeyOf(site.id),
        at: enrolledAt,
        newKey: null,
      }),
    );
  }
  return site;
}

export const keyDraft = (siteId: string): StoredKey => ({
  id: newId('productKey'),
  siteId,
  product: 'metered-agent',
  keyHint: 'abcde',
  wish: 'active',
  siteState: null,
  createdAt: begin,
  leaseIssuedAt: null,
  leaseUntil: null,
});

export async function addKey(store: Store, siteId: string): Promise<StoredKey> {
  const key = keyDraft(siteId);
  must(await store.keys.createKey(key, `key text ${++counter}`));
  return key;
}

export const enrolmentTokenDraft = (account: Account, changes: Partial<EnrolmentToken> = {}): EnrolmentToken => ({
  id: newId('enrolmentToken'),
  siteId: null,
  accountId: account.id,
  usesMax: 1,
  uses: 0,
  createdAt: begin,
  expiresAt: '2026-12-31T00:00:00.000Z',
  withdrawnAt: null,
  ...changes,
});

export async function addAgreement(
  store: Store,
  seller: OrganisationRecord,
  buyer: OrganisationRecord,
  changes: Partial<Agreement> = {},
): Promise<Agreement> {
  const agreement: Agreement = {
    id: newId('agreement'),
    sellerId: seller.id,
    buyerId: buyer.id,
    programme: 'metered-peak',
    currency: 'EUR',
    serverUnitPriceMinor: 500,
    workstationUnitPriceMinor: 200,
    taxRatePercent: '19',
    paymentTermDays: 30,
    timeZone: 'Europe/Berlin',
    missingReportPolicy: 'hold',
    validFrom: '2026-01',
    createdAt: begin,
    ...changes,
  };
  must(await store.billing.createAgreement(agreement));
  return agreement;
}

/** A distributor with one MSP, account and enrolled site; `scopes` of the organisations above it, and of the MSP itself. */
export async function addBranch(store: Store) {
  const vendor = await vendorOf(store);
  const distributor = await addOrganisation(store, 'distributor', vendor);
  const msp = await addOrganisation(store, 'msp', distributor);
  const account = await addAccount(store, msp);
  const site = await addSite(store, account, { enrolledAt: begin });
  return { vendor, distributor, msp, account, site, scope: scopeOf(msp), vendorScope: scopeOf(vendor) };
}

/** Reads a whole list page by page. */
export async function walk<Row>(
  read: (page: { limit: number; cursor?: string }) => Promise<{ rows: Row[]; nextCursor: string | null }>,
  limit: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor === undefined ? { limit } : { limit, cursor });
    if (page.rows.length > limit) throw new Error(`a page of ${limit} has ${page.rows.length} rows`);
    rows.push(...page.rows);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return rows;
}
