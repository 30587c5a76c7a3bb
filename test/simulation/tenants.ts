/**
 * The tenant tree of a simulated world: a vendor, distributors, MSPs, accounts, price agreements on every edge, and the
 * enrolment of sites by the product's own desk. What they sell and owe is checked in `invoice-check.ts`.
 */
import { EnrolmentDesk } from '@rollcall/aggregator/gateway/enrolment-desk.ts';
import type { Scope } from '@rollcall/aggregator/core/scope.ts';
import type { OrganisationRecord, Store } from '@rollcall/aggregator/store/store.ts';
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { type IdNoun, idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { Organisation } from '@rollcall/shared/api/organisation.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { enrolText } from '@rollcall/shared/protocol/enrol.ts';
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { dayMs, type FaultLog } from './faults.ts';

export type Edge = { agreement: Agreement; seller: OrganisationRecord; buyer: OrganisationRecord };
export type EnrolledSite = {
  siteId: string;
  siteName: string;
  timeZone: string;
  enrolledAtMs: number;
  settings: SiteSettings;
};

export const scopeOf = ({ id, kind, path }: OrganisationRecord): Scope => ({ organisationId: id, kind, path });

/** Places with clocks that change, at midnight too, that have half hours, and that lie on both ends of the day. */
const zones = [
  'Europe/Rome',
  'America/New_York',
  'Pacific/Auckland',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Africa/Cairo',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'UTC',
] as const;

/** Refusals repeat an answer that was lost: how likely one is. */
const enrolAnswerLost = 0.2;

export class Tenants {
  readonly edges: Edge[] = [];
  readonly #store: () => Store;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #faults: FaultLog;
  #accounts: string[] = [];
  #root: Scope | undefined;
  #sites = 0;

  constructor(store: () => Store, clock: Clock, random: SeededRandom, faults: FaultLog) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
  }

  /** The vendor, who sees everything. */
  get root(): Scope {
    if (this.#root === undefined) throw new Error('the tenants were not made');
    return this.#root;
  }

  /** Makes the tree: one or two distributors, a sub-distributor now and then, MSPs with accounts, an agreement on every edge. */
  async make(): Promise<void> {
    const vendor = this.#organisation('vendor', null, 'Vendor');
    const made = await this.#store().tenancy.createVendor(vendor);
    const record = await this.#store().tenancy.vendor();
    if (!made.ok || record === undefined) throw new Error('there is no vendor');
    this.#root = scopeOf(record);
    const distributor = await this.#under(record, 'distributor', 'Distributor');
    const parents = [distributor];
    if (this.#random.happens(0.5)) parents.push(await this.#under(distributor, 'distributor', 'Sub-distributor'));
    for (let index = 1; index <= 3; index++) {
      const msp = await this.#under(this.#random.pick(parents), 'msp', `MSP ${index}`);
      const account = {
        id: this.#id('account'),
        mspId: msp.id,
        name: `Account of ${msp.name}`,
        addressLines: [],
        note: '',
        createdAt: this.#clock.now(),
      };
      await this.#store().tenancy.createAccount(account);
      this.#accounts.push(account.id);
    }
  }

  /** A site comes to life: a token, the enrolment, the answer that may be lost and asked for again. */
  async enrol(signer: Signer, settings: SiteSettings): Promise<EnrolledSite> {
    const accountId = this.#random.pick(this.#accounts);
    const text = `rce_${Buffer.from(this.#random.bytes(20)).toString('hex')}`;
    const now = this.#clock.now();
    const token = {
      id: this.#id('enrolmentToken'),
      siteId: null,
      accountId,
      usesMax: 1,
      uses: 0,
      createdAt: now,
      expiresAt: instantFromMs(msOfInstant(now) + dayMs),
      withdrawnAt: null,
    };
    await this.#store().tokens.createEnrolmentToken(token, nodeDigest.sha256(text));
    const desk = new EnrolmentDesk({
      store: this.#store(),
      clock: this.#clock,
      chance: this.#random.bytes,
      digest: nodeDigest,
      verifier: nodeVerifier,
      logger: createLogger({ name: 'simulation', level: 'silent' }),
      aggregatorPublicKeys: [signer.publicKey],
      enrolmentsPerMinuteMax: 1_000,
    });
    const facts = { token: text, publicKey: signer.publicKey, head: { seq: emptyHead.seq, hash: emptyHead.hash } };
    const request = {
      ...facts,
      siteName: `Site ${++this.#sites}`,
      timeZone: this.#random.pick(zones),
      software: '1.0.0-simulated',
      hostName: `site${this.#sites}`,
      signature: signer.sign(enrolText(facts)),
    };
    let answer = await desk.enrol(request, '192.0.2.1', () => {});
    if (this.#random.happens(enrolAnswerLost)) {
      this.#faults.add('enrol-answer-lost');
      answer = await desk.enrol(request, '192.0.2.1', () => {});
    }
    if (!answer.ok) throw new Error(`a site could not enrol: ${answer.code} ${answer.message}`);
    const { siteId, siteName, timeZone, serverTime } = answer.response;
    await this.#store().sites.changeSite(this.root, siteId, { settings });
    return { siteId, siteName, timeZone, enrolledAtMs: msOfInstant(serverTime), settings };
  }

  async #under(parent: OrganisationRecord, kind: 'distributor' | 'msp', name: string): Promise<OrganisationRecord> {
    const organisation = this.#organisation(kind, parent.id, name);
    await this.#store().tenancy.createOrganisation(organisation, parent);
    const record = await this.#store().tenancy.organisation(this.root, organisation.id);
    if (record === undefined) throw new Error(`${name} was not made`);
    const agreement: Agreement = {
      id: this.#id('agreement'),
      sellerId: parent.id,
      buyerId: organisation.id,
      createdAt: this.#clock.now(),
      programme: 'metered-peak',
      currency: organisation.currency,
      serverUnitPriceMinor: this.#random.integer(0, 4_000),
      workstationUnitPriceMinor: this.#random.integer(0, 900),
      taxRatePercent: this.#random.pick(['0', '22', '7.7', '8.125', '19']),
      paymentTermDays: 30,
      timeZone: this.#random.pick(zones),
      missingReportPolicy: this.#random.pick(['hold', 'estimate'] as const),
      validFrom: '2020-01',
    };
    const agreed = await this.#store().billing.createAgreement(agreement);
    if (!agreed.ok) throw new Error(`no agreement with ${name}: ${agreed.code}`);
    this.edges.push({ agreement, seller: parent, buyer: record });
    return record;
  }

  #organisation(kind: Organisation['kind'], parentId: string | null, name: string): Organisation {
    const currency = kind === 'vendor' ? 'USD' : 'EUR';
    return {
      id: this.#id('organisation'),
      kind,
      parentId,
      name,
      country: 'IT',
      currency,
      taxId: null,
      addressLines: [],
      createdAt: this.#clock.now(),
    };
  }

  #id(noun: IdNoun): string {
    return idFrom(noun, this.#random.bytes(idRandomBytes));
  }
}
