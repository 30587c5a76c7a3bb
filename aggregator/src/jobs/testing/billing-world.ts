/** For tests of billing: a tenant tree on a real store, and sites whose signed ledgers are really taken in. */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import { type IdNoun, idFrom } from '@rollcall/shared/domain/id.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Month, monthOf, monthPeriod } from '@rollcall/shared/domain/month.ts';
import { defaultSiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import { chainDrafts, emptyHead, type Head } from '@rollcall/shared/ledger/chain.ts';
import type { EntryDraft, KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { IntervalBook } from '@rollcall/shared/ledger/intervals.ts';
import { type DeployedAgentsReport, type Exclusion, sealReport } from '@rollcall/shared/ledger/report.ts';
import { generateSigningKey, nodeDigest, nodeVerifier, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { freshState, planIngest } from '../../core/ingest.ts';
import type { Scope } from '../../core/scope.ts';
import { planned } from '../../core/testing/plan-book.ts';
import type { OrganisationRecord, Store } from '../../store/store.ts';

const random = new SeededRandom(2026);
const makeId = (noun: IdNoun): string => idFrom(noun, random.bytes(20));

/** Before anything happened. */
const longAgo: Instant = '2025-01-01T00:00:00.000Z';

export const scopeOf = ({ id, kind, path }: OrganisationRecord): Scope => ({ organisationId: id, kind, path });

export class BillingWorld {
  readonly store: Store;
  readonly clock = new ManualClock(longAgo);
  readonly chance = random.bytes;
  /** What was logged as an error. */
  readonly errors: object[] = [];
  readonly logger = { error: (what: object): void => void this.errors.push(what) };

  constructor(store: Store) {
    this.store = store;
  }

  async vendor(name = 'Vendor'): Promise<OrganisationRecord> {
    const id = makeId('organisation');
    await this.store.tenancy.createVendor({
      id,
      kind: 'vendor',
      parentId: null,
      name,
      country: 'CH',
      currency: 'CHF',
      taxId: null,
      addressLines: ['Limmatquai 1', '8001 Zürich'],
      createdAt: longAgo,
    });
    return this.#organisation(`${id}/`, id);
  }

  async below(
    parent: OrganisationRecord,
    kind: 'distributor' | 'msp',
    name: string,
    currency = 'EUR',
  ): Promise<OrganisationRecord> {
    const id = makeId('organisation');
    await this.store.tenancy.createOrganisation(
      {
        id,
        kind,
        parentId: parent.id,
        name,
        country: 'IT',
        currency,
        taxId: 'IT01234567890',
        addressLines: ['Via Roma 12'],
        createdAt: longAgo,
      },
      parent,
    );
    return this.#organisation(parent.path, id);
  }

  async agree(
    seller: OrganisationRecord,
    buyer: OrganisationRecord,
    terms: Partial<Agreement> = {},
  ): Promise<Agreement> {
    const agreement: Agreement = {
      id: makeId('agreement'),
      sellerId: seller.id,
      buyerId: buyer.id,
      programme: 'metered-peak',
      currency: buyer.currency,
      serverUnitPriceMinor: 950,
      workstationUnitPriceMinor: 300,
      taxRatePercent: '22',
      paymentTermDays: 30,
      timeZone: 'Europe/Rome',
      missingReportPolicy: 'hold',
      validFrom: '2026-01',
      createdAt: longAgo,
      ...terms,
    };
    await this.store.billing.createAgreement(agreement);
    return agreement;
  }

  /** A site of an account of its own, enrolled at `at`; its ledger begins then too, unless by a clock of its own. */
  async site(
    msp: Pick<OrganisationRecord, 'id'>,
    name: string,
    at: Instant,
    timeZone = 'Europe/Rome',
    ledgerFrom = at,
  ): Promise<LedgerSite> {
    const accountId = makeId('account');
    await this.store.tenancy.createAccount({
      id: accountId,
      mspId: msp.id,
      name: `Account of ${name}`,
      addressLines: [],
      note: '',
      createdAt: longAgo,
    });
    const siteId = makeId('site');
    await this.store.sites.createSite({
      id: siteId,
      mspId: msp.id,
      accountId,
      name,
      timeZone,
      note: '',
      settings: defaultSiteSettings,
      createdAt: longAgo,
      enrolledAt: null,
      closedAt: null,
      software: null,
      lastContactAt: null,
      ledger: { seq: 0 },
      deployed: { server: 0, workstation: 0 },
      flag: null,
    });
    const signer = signerFromPem(generateSigningKey().privateKeyPem);
    const tokenId = makeId('enrolmentToken');
    await this.store.tokens.createEnrolmentToken(
      {
        id: tokenId,
        siteId,
        accountId,
        usesMax: 1,
        uses: 0,
        createdAt: longAgo,
        expiresAt: '2030-01-01T00:00:00.000Z',
        withdrawnAt: null,
      },
      nodeDigest.sha256(tokenId),
    );
    const enrolled = await this.store.sites.applyEnrolment({
      tokenId,
      usesBefore: 0,
      newSite: null,
      siteId,
      before: { enrolledAt: null, ledgerHead: null },
      publicKey: signer.publicKey,
      at,
      newKey: null,
    });
    if (!enrolled.ok) throw new Error(enrolled.message);
    const site = new LedgerSite(this.store, { siteId, siteName: name, timeZone, enrolledAt: ledgerFrom }, signer);
    site.append({
      at: ledgerFrom,
      kind: 'site-enrolled',
      body: {
        siteId,
        siteName: name,
        timeZone,
        publicKey: signer.publicKey,
        software: '1.0.0',
        settings: defaultSiteSettings,
      },
    });
    return site;
  }

  async #organisation(path: string, id: string): Promise<OrganisationRecord> {
    const organisation = await this.store.tenancy.organisation({ organisationId: id, kind: 'vendor', path }, id);
    if (organisation === undefined) throw new Error(`no organisation ${id}`);
    return organisation;
  }
}

type SiteFacts = { siteId: string; siteName: string; timeZone: string; enrolledAt: Instant };

/** One site's ledger. Entries are kept until `send` ships them, as a site without a network would. */
export class LedgerSite {
  readonly siteId: string;
  readonly reports = new Map<Month, DeployedAgentsReport>();
  readonly #facts: SiteFacts;
  readonly #store: Store;
  readonly #signer: ReturnType<typeof signerFromPem>;
  readonly #book = new IntervalBook();
  readonly #keyId = makeId('productKey');
  #head: Head = emptyHead;
  #unsent: KnownEntry[] = [];

  constructor(store: Store, facts: SiteFacts, signer: ReturnType<typeof signerFromPem>) {
    this.#store = store;
    this.#facts = facts;
    this.#signer = signer;
    this.siteId = facts.siteId;
  }

  append(draft: EntryDraft): void {
    const { entries, head } = chainDrafts(this.#head, [draft], nodeDigest);
    this.#head = head;
    this.#unsent.push(...entries.map(({ entry }) => entry));
    this.#book.apply(draft);
  }

  /** Deploys so many agents of a kind and names their endpoints. */
  deploy(at: Instant, kind: AgentKind, count: number): string[] {
    return Array.from({ length: count }, () => {
      const endpointId = makeId('endpoint');
      const facts = {
        hostName: `host-${endpointId.slice(-4)}`,
        agentKind: kind,
        origin: 'managed',
        product: 'metered-agent',
        agentVersion: '1.0.0',
      } as const;
      this.append({
        at,
        kind: 'agent-deployed',
        body: { endpointId, machineId: `machine-${endpointId}`, keyId: this.#keyId, ...facts },
      });
      return endpointId;
    });
  }

  remove(at: Instant, agentKind: AgentKind, endpointId: string): void {
    this.append({ at, kind: 'agent-removed', body: { endpointId, agentKind, reason: 'uninstalled' } });
  }

  /** `peaks`: what it says and signs instead of what happened. */
  seal(month: Month, peaks?: DeployedAgentsReport['peaks']): DeployedAgentsReport {
    const { start, end } = monthPeriod(month, this.#facts.timeZone);
    const { enrolledAt, timeZone } = this.#facts;
    const period = { start: monthOf(enrolledAt, timeZone) === month ? enrolledAt : start, end };
    return this.#report('month-sealed', month, end, period, 1, [], end, peaks);
  }

  /** A correction takes endpoints out of a month that was sealed. */
  correct(month: Month, at: Instant, endpointIds: readonly string[]): DeployedAgentsReport {
    const before = this.reports.get(month);
    if (before === undefined) throw new Error(`${month} is not sealed`);
    const exclusions = [
      ...before.exclusions,
      ...endpointIds.map((endpointId) => ({ endpointId, reason: 'counted twice' })),
    ];
    return this.#report('report-corrected', month, at, before.period, before.revision + 1, exclusions, at);
  }

  /** Ships what was not shipped yet through the aggregator's own ingest into the store. */
  async send(): Promise<void> {
    const { siteId, timeZone } = this.#facts;
    const { publicKey } = this.#signer;
    for (const entry of this.#unsent) {
      const session = await this.#store.sites.session(siteId);
      const state = session?.state ?? freshState({ siteId, publicKey, timeZone });
      const context = {
        digest: nodeDigest,
        verifier: nodeVerifier,
        receivedAt: entry.at,
        enrolledPublicKey: publicKey,
        enrolledAt: this.#facts.enrolledAt,
        ledgerSeq: this.#head.seq,
      };
      const outcome = planned(planIngest(state, [entry], context), (month) => ({
        latest: this.#sentReport(month, entry),
        intervals: this.#book.all(),
      }));
      if (!outcome.ok) throw new Error(outcome.message);
      const [applied] = await this.#store.ingest.apply([outcome.plan]);
      if (applied?.ok !== true) throw new Error(`entry ${entry.seq}: ${applied?.code}`);
    }
    this.#unsent = [];
  }

  /** The revision before the one that the entry brings. */
  #sentReport(month: Month, { body }: KnownEntry): DeployedAgentsReport | null {
    const report = this.reports.get(month);
    return report === undefined || !('revision' in body) ? null : { ...report, revision: body.revision - 1 };
  }

  #signed({ signature: _, ...content }: DeployedAgentsReport): DeployedAgentsReport {
    return { ...content, signature: this.#signer.sign(`rollcall.report.v1\n${canonicalJson(content)}`) };
  }

  #report(
    kind: 'month-sealed' | 'report-corrected',
    month: Month,
    at: Instant,
    period: { start: Instant; end: Instant },
    revision: number,
    exclusions: Exclusion[],
    sealedAt: Instant,
    peaks?: DeployedAgentsReport['peaks'],
  ): DeployedAgentsReport {
    const { siteId, siteName, timeZone } = this.#facts;
    const upTo = { seq: this.#head.seq, hash: this.#head.hash };
    const facts = {
      siteId,
      siteName,
      month,
      timeZone,
      period,
      revision,
      activeAtClose: { server: 0, workstation: 0 },
      upTo,
      exclusions,
      sealedAt,
    };
    const honest = sealReport(facts, this.#book.all(), nodeDigest, this.#signer);
    const report = peaks === undefined ? honest : this.#signed({ ...honest, peaks });
    this.reports.set(month, report);
    this.append({ at, kind, body: report });
    return report;
  }
}
