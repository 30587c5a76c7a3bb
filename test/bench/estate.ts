/** Enrolled sites for the benchmarks, made in the store as an enrolment makes them, and ledgers with everyday entries. */
import type { OrganisationRecord, Store } from '@rollcall/aggregator/store/store.ts';
import {
  addAccount,
  addOrganisation,
  addSite,
  must,
  newHash,
  newId,
  enrolmentTokenDraft,
  vendorOf,
} from '@rollcall/aggregator/store/testing/tenants.ts';
import { type IdNoun, idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { defaultSiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { chainDrafts, emptyHead, type Head } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { EntryDraft, KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { generateSigningKey, nodeDigest, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';

export const benchBegin: Instant = '2026-03-02T00:00:00.000Z';
const random = new SeededRandom(8);

export type BenchSite = { siteId: string; siteName: string; privateKeyPem: string };

/** Organisations and `count` enrolled sites in accounts of `sitesPerMsp` at an MSP. */
export async function makeEstate(
  store: Store,
  count: number,
  sitesPerMsp = 500,
): Promise<{
  vendor: OrganisationRecord;
  distributor: OrganisationRecord;
  msps: OrganisationRecord[];
  sites: BenchSite[];
}> {
  const vendor = await vendorOf(store);
  const distributor = await addOrganisation(store, 'distributor', vendor);
  const msps: OrganisationRecord[] = [];
  const sites: BenchSite[] = [];
  let account: Awaited<ReturnType<typeof addAccount>> | undefined;
  for (let index = 0; index < count; index++) {
    if (account === undefined || index % sitesPerMsp === 0) {
      const msp = await addOrganisation(store, 'msp', distributor);
      msps.push(msp);
      account = await addAccount(store, msp);
    }
    const site = await addSite(store, account);
    const { privateKeyPem, publicKey } = generateSigningKey();
    const token = enrolmentTokenDraft(account, { siteId: site.id });
    await store.tokens.createEnrolmentToken(token, newHash());
    must(
      await store.sites.applyEnrolment({
        tokenId: token.id,
        usesBefore: 0,
        newSite: null,
        siteId: site.id,
        before: { enrolledAt: null, ledgerHead: null },
        publicKey,
        at: benchBegin,
        newKey: null,
      }),
    );
    sites.push({ siteId: site.id, siteName: site.name, privateKeyPem });
  }
  return { vendor, distributor, msps, sites };
}

/** A site's pen: gives its entries in order, each minute one. */
export class BenchLedger {
  readonly signer: Signer;
  head: Head = emptyHead;
  readonly #site: BenchSite;
  readonly #keyId = newId('productKey');
  #atMs = msOfInstant(benchBegin);
  #deployed: string[] = [];

  constructor(site: BenchSite) {
    this.#site = site;
    this.signer = signerFromPem(site.privateKeyPem);
  }

  /** The next `count` entries: the enrolment first, then three deployments to each removal and each upgrade. */
  next(count: number): KnownEntry[] {
    const drafts = Array.from({ length: count }, (_, index) => this.#draft(this.head.seq + index));
    return this.chain(drafts);
  }

  /** Agents of both kinds, five workstations to a server. */
  deploy(count: number): KnownEntry[] {
    return this.chain(
      Array.from({ length: count }, (_, index) => this.#deployment(index % 6 === 0 ? 'server' : 'workstation')),
    );
  }

  enrol(): KnownEntry[] {
    return this.chain([this.#draft(0)]);
  }

  chain(drafts: readonly EntryDraft[]): KnownEntry[] {
    const { entries, head } = chainDrafts(this.head, drafts, nodeDigest);
    this.head = head;
    return entries.map(({ entry }) => entry);
  }

  #draft(position: number): EntryDraft {
    const at = this.#nextAt();
    if (position === 0) {
      const { siteId, siteName } = this.#site;
      return {
        at,
        kind: 'site-enrolled',
        body: {
          siteId,
          siteName,
          timeZone: 'UTC',
          publicKey: this.signer.publicKey,
          software: 'rollcall-site 0.1.0',
          settings: defaultSiteSettings,
        },
      };
    }
    if (position % 5 === 0) {
      const endpointId = this.#deployed.shift();
      if (endpointId !== undefined)
        return { at, kind: 'agent-removed', body: { endpointId, agentKind: 'workstation', reason: 'uninstalled' } };
    }
    const last = this.#deployed.at(-1);
    if (position % 5 === 1 && last !== undefined)
      return {
        at,
        kind: 'agent-changed',
        body: {
          endpointId: last,
          agentKindBefore: 'workstation',
          agentKind: 'workstation',
          ...facts(last),
          agentVersion: '8.1.7401',
        },
      };
    return this.#deployment('workstation', at);
  }

  #deployment(agentKind: 'server' | 'workstation', at = this.#nextAt()): EntryDraft {
    const endpointId = benchId('endpoint');
    this.#deployed.push(endpointId);
    return {
      at,
      kind: 'agent-deployed',
      body: {
        endpointId,
        machineId: `4c4c4544-${endpointId.slice(3)}`,
        keyId: this.#keyId,
        agentKind,
        ...facts(endpointId),
      },
    };
  }

  #nextAt(): Instant {
    this.#atMs += 60_000;
    return instantFromMs(this.#atMs);
  }
}

const benchId = (noun: IdNoun): string => idFrom(noun, random.bytes(idRandomBytes));

const facts = (endpointId: string) =>
  ({
    hostName: `DESKTOP-${endpointId.slice(-8).toUpperCase()}`,
    origin: 'managed',
    product: 'metered-agent',
    agentVersion: '8.1.7400',
  }) as const;
