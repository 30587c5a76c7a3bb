/**
 * The store as the rest of the aggregator sees it: whole business operations, each one atomic batch, no transaction open
 * across an await (architecture, decision 2). Drivers: SQLite and PostgreSQL, held to one contract by contract.test.ts.
 *
 * Every read for a person takes the caller's `Scope` and sees nothing outside it: what is foreign is `undefined`, like what
 * does not exist. Expected refusals are values; a store that cannot be reached throws RollcallError `STORE_UNAVAILABLE`.
 */
import type { Account } from '@rollcall/shared/api/account.ts';
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { Organisation } from '@rollcall/shared/api/organisation.ts';
import type { Page, PageQuery } from '@rollcall/shared/api/page.ts';
import type { ReportRow, ReportStatus } from '@rollcall/shared/api/report.ts';
import type { Deployment, Finding, Site, SiteChange } from '@rollcall/shared/api/site.ts';
import type { ApiToken, EnrolmentToken } from '@rollcall/shared/api/token.ts';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Month, Period } from '@rollcall/shared/domain/month.ts';
import type { Outcome, RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { KeyWish } from '@rollcall/shared/domain/product-key.ts';
import type { Hash, PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import type { SiteCommand } from '@rollcall/shared/protocol/command.ts';
import type { BilledFigure, BillableSite, ClosePlan } from '../core/billing/close-plan.ts';
import type {
  FindingDraft,
  HeldMonth,
  IngestPlan,
  IngestResult,
  LogRow,
  SiteIngestState,
} from '../core/ingest-plan.ts';
import type { StoredKey } from '../core/key-state.ts';
import type { Scope, TreePath } from '../core/scope.ts';

export type Store = {
  tenancy: TenancyStore;
  tokens: TokenStore;
  sites: SiteStore;
  keys: KeyStore;
  ingest: IngestStore;
  reports: ReportStore;
  billing: BillingStore;
  secrets: SecretStore;
  /**
   * Takes the database for this process alone until `close`: who serves sites does so, before it migrates (decision 0013).
   * `onLost` is called once when another process has taken it over. @throws RollcallError `DATABASE_IN_USE`.
   */
  occupy(onLost: (error: RollcallError) => void): Promise<void>;
  /** Brings the schema to this program's version; refuses a database that is newer (`DATABASE_NEWER`). */
  migrate(): Promise<void>;
  /** One cheap round trip; throws when the store does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
};

export type OrganisationRecord = Organisation & { path: TreePath };

export type TenancyStore = {
  /** Makes the root of the tree. `VENDOR_EXISTS` when there is one. */
  createVendor(organisation: Organisation): Promise<Outcome<object, 'VENDOR_EXISTS'>>;
  vendor(): Promise<OrganisationRecord | undefined>;
  /** Names are unique among the children of one parent. */
  createOrganisation(organisation: Organisation, parent: OrganisationRecord): Promise<Outcome<object, 'NAME_TAKEN'>>;
  organisation(scope: Scope, id: string): Promise<OrganisationRecord | undefined>;
  /** The scope's own organisation and all below it, by name. */
  organisations(
    scope: Scope,
    filter: { parentId?: string | undefined; kind?: string | undefined },
    page: PageQuery,
  ): Promise<Page<OrganisationRecord>>;
  createAccount(account: Account): Promise<Outcome<object, 'NAME_TAKEN'>>;
  account(scope: Scope, id: string): Promise<Account | undefined>;
  accounts(scope: Scope, filter: { mspId?: string | undefined }, page: PageQuery): Promise<Page<Account>>;
};

export type TokenStore = {
  /** `TOKEN_REVOKED`: the token it is made with was revoked meanwhile; nothing was made. */
  createApiToken(token: ApiToken, hash: Hash): Promise<Outcome<object, 'TOKEN_REVOKED'>>;
  /** For signing in: the token, whatever its state, and the organisation it acts for. */
  apiTokenByHash(hash: Hash): Promise<{ token: ApiToken; organisation: OrganisationRecord } | undefined>;
  /** Written at most once a minute a token by the caller. */
  touchApiToken(id: string, at: Instant): Promise<void>;
  apiTokens(scope: Scope, page: PageQuery): Promise<Page<ApiToken>>;
  /** Revokes it and every token that was made with it, and with those. */
  revokeApiToken(scope: Scope, id: string, at: Instant): Promise<ApiToken | undefined>;
  createEnrolmentToken(token: EnrolmentToken, hash: Hash): Promise<void>;
  enrolmentTokens(
    scope: Scope,
    filter: { accountId?: string | undefined },
    page: PageQuery,
  ): Promise<Page<EnrolmentToken>>;
  withdrawEnrolmentToken(scope: Scope, id: string, at: Instant): Promise<EnrolmentToken | undefined>;
};

/** What enrolment looks at, in one read. */
export type EnrolmentView = {
  token: EnrolmentToken;
  account: Account;
  /** The token's site; for a roll-out token the site that this public key already made with it, if any. */
  site: Site | undefined;
  sitePublicKey: PublicKey | null;
  ingestHead: { seq: number; hash: Hash } | null;
};

/**
 * One enrolment: uses the token up by one, makes the site where the token rolls out, sets its key. Guarded on the token's `uses`
 * and, where the site was there already, on what the decision saw of it.
 */
export type EnrolmentPlan = {
  tokenId: string;
  usesBefore: number;
  newSite: Site | null;
  siteId: string;
  before: { enrolledAt: Instant | null; ledgerHead: { seq: number; hash: Hash } | null };
  publicKey: PublicKey;
  at: Instant;
  /** A metered key made with the site where it has none yet. */
  newKey: { key: StoredKey; keyText: string } | null;
};

/** What the gateway needs of a site when it connects. */
export type SiteSession = {
  site: Site;
  path: TreePath;
  state: SiteIngestState | undefined;
  publicKey: PublicKey | null;
};

export type SiteStore = {
  /** Names are unique within the MSP (domain text, section 2). */
  createSite(site: Site): Promise<Outcome<object, 'NAME_TAKEN'>>;
  site(scope: Scope, id: string): Promise<Site | undefined>;
  sites(
    scope: Scope,
    filter: { accountId?: string | undefined; mspId?: string | undefined; flagged?: boolean | undefined },
    page: PageQuery,
  ): Promise<Page<Site>>;
  changeSite(scope: Scope, id: string, change: SiteChange): Promise<Site | undefined>;
  closeSite(scope: Scope, id: string, at: Instant): Promise<Site | undefined>;
  deployments(
    scope: Scope,
    siteId: string,
    filter: { current: boolean },
    page: PageQuery,
  ): Promise<Page<Deployment> | undefined>;
  findings(
    scope: Scope,
    filter: { siteId?: string | undefined; open?: boolean | undefined },
    page: PageQuery,
  ): Promise<Page<Finding>>;
  /** Marks a site as refused and records why; the same code again within an open finding adds nothing. */
  flagSite(siteId: string, flag: string, finding: FindingDraft): Promise<void>;
  /** An operator has looked: lifts the flag and resolves the findings of refusals, which are of the codes of flags. */
  clearFlag(scope: Scope, siteId: string, at: Instant): Promise<Site | undefined>;
  /** Last contact and software of many sites at once. */
  recordContacts(contacts: readonly { siteId: string; at: Instant; software: string | null }[]): Promise<void>;
  enrolmentView(tokenHash: Hash, publicKey: PublicKey): Promise<EnrolmentView | undefined>;
  /** `NAME_TAKEN`: the new site's name; `CONFLICT`: the token was used or the site changed meanwhile, look again. */
  applyEnrolment(plan: EnrolmentPlan): Promise<Outcome<object, 'NAME_TAKEN' | 'CONFLICT'>>;
  session(siteId: string): Promise<SiteSession | undefined>;
};

/** A key with what only the aggregator itself may see. */
export type KeyRecord = { key: StoredKey; keyText: string };

export type KeyStore = {
  createKey(key: StoredKey, keyText: string): Promise<Outcome<object, 'SITE_HAS_KEY'>>;
  key(scope: Scope, id: string): Promise<StoredKey | undefined>;
  keys(
    scope: Scope,
    filter: { siteId?: string | undefined; accountId?: string | undefined; mspId?: string | undefined },
    page: PageQuery,
  ): Promise<Page<StoredKey>>;
  /** Sets what the portal wants and queues the command that makes it true. `UNCHANGED` when it is wanted already. */
  wishKey(
    scope: Scope,
    id: string,
    wish: KeyWish,
    command: SiteCommand,
  ): Promise<Outcome<{ key: StoredKey }, 'NOT_FOUND' | 'UNCHANGED'>>;
  keysOfSite(siteId: string): Promise<KeyRecord[]>;
  /** Commands not yet answered, oldest first. */
  pendingCommands(siteId: string, limit: number): Promise<SiteCommand[]>;
  /** Remembers the lease in force: what the portal shows and billing may be asked about. */
  recordLeases(leases: readonly { keyId: string; issuedAt: Instant; until: Instant }[]): Promise<void>;
};

export type IngestStore = {
  /** Applies plans of different sites in ONE durable transaction; a plan that cannot be applied leaves no trace and spoils no other. */
  apply(plans: readonly IngestPlan[]): Promise<IngestResult[]>;
  entryHash(siteId: string, seq: number): Promise<Hash | undefined>;
  /** A month as ingest counts it again: its latest report, and the intervals that touch the period unless they are more than `intervalsMax`. */
  heldMonth(siteId: string, month: Month, period: Period, intervalsMax: number): Promise<HeldMonth>;
  /** Entries after a number, in order. */
  entries(scope: Scope, siteId: string, afterSeq: number, limit: number): Promise<LogRow[] | undefined>;
};

/** A revision of a report as it was received. */
export type ReportRevision = {
  siteId: string;
  month: Month;
  revision: number;
  seq: number;
  hash: Hash;
  agreeing: boolean;
  receivedAt: Instant;
  report: DeployedAgentsReport;
};

export type ReportStore = {
  /** One row per site and month, by month (newest first), MSP, account, site. `now` tells running months from missing ones. */
  reportRows(
    scope: Scope,
    filter: {
      month?: Month | undefined;
      siteId?: string | undefined;
      mspId?: string | undefined;
      status?: ReportStatus | undefined;
    },
    now: Instant,
    page: PageQuery,
  ): Promise<Page<ReportRow>>;
  /** Every revision of a site's month, oldest first; empty where none came, undefined where the site is foreign. */
  revisions(scope: Scope, siteId: string, month: Month): Promise<ReportRevision[] | undefined>;
  /**
   * Intervals that touch `[from, to)` at a site, whoever asks: evidence is authorised by its invoice. With `upToSeq`, as they
   * stood after that entry of the ledger; else as they stand now.
   */
  intervals(
    siteId: string,
    from: Instant,
    to: Instant,
    limit: number,
    upToSeq?: number | null,
  ): Promise<(Deployment & { deployedSeq: number })[]>;
  /** The own count of a site's month, as far as the ledger is held, whoever asks. `at` is null where the peak is zero. */
  ownCount(siteId: string, month: Month): Promise<Record<AgentKind, { peak: number; at: Instant | null }>>;
};

export type BillingStore = {
  createAgreement(agreement: Agreement): Promise<Outcome<object, 'AGREEMENT_EXISTS'>>;
  /** Agreements, like documents, are seen by their seller and their buyer alone. */
  agreement(scope: Scope, id: string): Promise<Agreement | undefined>;
  agreements(
    scope: Scope,
    filter: { sellerId?: string | undefined; buyerId?: string | undefined },
    page: PageQuery,
  ): Promise<Page<Agreement>>;
  /** The agreement in force in `month` of every edge in which `sellerId` sells (all sellers when null). */
  agreementsInForce(
    sellerId: string | null,
    month: Month,
  ): Promise<{ agreement: Agreement; seller: OrganisationRecord; buyer: OrganisationRecord }[]>;
  /** The first month that the seller could close: it had an agreement in force and a site below it; undefined before that. */
  firstBillableMonth(seller: Scope): Promise<Month | undefined>;
  /** Every site under the buyer that lived in the month: its report's figures, its own count, its names. At most one row a site. */
  billableSites(buyerPath: TreePath, month: Month): Promise<BillableSite[]>;
  /** What the finalised documents of the edge and month have billed so far, added up per site and kind, and the draft if there is one. */
  billed(
    agreementSellerId: string,
    buyerId: string,
    month: Month,
  ): Promise<{ invoice: Invoice | undefined; draftId: string | undefined; figures: BilledFigure[]; documents: number }>;
  /**
   * Applies the plan for one edge and month: replaces the draft, or finalises with the next number of the seller's series,
   * or adds a note. Guarded by `documents`; `CONFLICT` when another close came first, with nothing written.
   */
  applyClose(plan: ClosePlan): Promise<Outcome<{ invoice: Invoice }, 'CONFLICT'>>;
  /** Documents in which the caller's own organisation sells or buys; what its branch agrees below it is not its affair. */
  invoices(
    scope: Scope,
    filter: { month?: Month | undefined; sellerId?: string | undefined; buyerId?: string | undefined },
    page: PageQuery,
  ): Promise<Page<Invoice>>;
  invoice(scope: Scope, id: string): Promise<Invoice | undefined>;
  lines(invoiceId: string, page: PageQuery): Promise<Page<InvoiceLine>>;
  line(invoiceId: string, number: number): Promise<InvoiceLine | undefined>;
  /** What the documents before this one billed for a site and kind; undefined where none did. */
  billedBefore(invoiceId: string, siteId: string, kind: AgentKind): Promise<BilledFigure | undefined>;
};

/** The aggregator's own signing key, made once at first start. */
export type SecretStore = {
  /** The stored PEM of the name, or `make()` stored and returned; two programs that start at once agree on one. */
  privateKeyPem(name: 'lease-signing', make: () => string): Promise<string>;
};
