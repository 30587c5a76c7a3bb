/** A real gateway for tests: an HTTP server on a port of its own, a real SQLite store, one MSP with an account. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { keyHint, productKeyRandomBytes, productKeyTextFrom } from '@rollcall/shared/domain/product-key.ts';
import type { EnrolmentToken } from '@rollcall/shared/api/token.ts';
import type { Site } from '@rollcall/shared/api/site.ts';
import type { PublicKey, Signer } from '@rollcall/shared/ledger/crypto.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { generateSigningKey, nodeDigest, signerFromPem, systemChance } from '@rollcall/shared/node/crypto.ts';
import { leaseSignerFromPem } from '@rollcall/shared/node/lease-token.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import { openSqlite } from '@rollcall/shared/node/sqlite.ts';
import type { Scope } from '../../core/scope.ts';
import { leaseMsDefault } from '../../core/leases.ts';
import { SiteLedger } from '../../core/testing/site-ledger.ts';
import { openTemporaryStore } from '../../store/testing.ts';
import type { Store } from '../../store/store.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import type { GatewayLimits } from '../limits.ts';

export const newId = (noun: Parameters<typeof idFrom>[0]): string => idFrom(noun, systemChance(idRandomBytes));
export const newSigner = (): Signer => signerFromPem(generateSigningKey().privateKeyPem);

/** Where the ledgers of enrolled sites begin. */
const enrolledAt = '2026-01-10T09:00:00.000Z';

export type RigOptions = {
  limits?: Partial<GatewayLimits>;
  leaseMs?: number;
  trustedProxies?: number;
  wrapStore?: (store: Store) => Store;
};

/** A site that is enrolled: its record, its keys, its ledger. */
export type RigSite = { site: Site; signer: Signer; ledger: SiteLedger; keyId: string };

export class GatewayRig {
  readonly store: Store;
  readonly leasePublicKey: PublicKey;
  gateway: Gateway;
  port = 0;
  readonly #options: RigOptions;
  readonly #databasePath: string;
  readonly #dispose: () => Promise<void>;
  readonly #leasePem: string;
  #server: Server | undefined;
  mspId = '';
  accountId = '';
  mspScope: Scope = { organisationId: '', kind: 'msp', path: '' };

  private constructor(options: RigOptions, temporary: Awaited<ReturnType<typeof openTemporaryStore>>) {
    const { privateKeyPem, publicKey } = generateSigningKey();
    this.#options = options;
    this.#leasePem = privateKeyPem;
    this.leasePublicKey = publicKey;
    this.store = temporary.store;
    this.#databasePath = temporary.databaseUrl.replace(/^sqlite:/, '');
    this.#dispose = () => temporary.dispose();
    this.gateway = this.#newGateway();
  }

  static async start(options: RigOptions = {}): Promise<GatewayRig> {
    const rig = new GatewayRig(options, await openTemporaryStore());
    await rig.#makeTenants();
    await rig.#listen();
    return rig;
  }

  async dispose(): Promise<void> {
    await this.stopGateway();
    await this.#dispose();
  }

  async stopGateway(): Promise<void> {
    await this.gateway.stop();
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  /** A new gateway on the same store, as after a restart of the program. */
  async restart(): Promise<void> {
    await this.stopGateway();
    this.gateway = this.#newGateway();
    await this.#listen();
  }

  /** A site with a key, enrolled, and the ledger its Site Manager would begin. */
  async enrolledSite(name = `Site ${newId('site')}`): Promise<RigSite> {
    const now = systemClock.now();
    const site: Site = {
      id: newId('site'),
      mspId: this.mspId,
      accountId: this.accountId,
      name,
      timeZone: 'Europe/Rome',
      note: '',
      settings: { staleAfterDays: 30 },
      createdAt: now,
      enrolledAt: null,
      closedAt: null,
      software: null,
      lastContactAt: null,
      ledger: { seq: 0 },
      deployed: { server: 0, workstation: 0 },
      flag: null,
    };
    await this.store.sites.createSite(site);
    const signer = newSigner();
    const { keyId } = await this.#enrol(site, signer);
    const ledger = new SiteLedger({ siteId: site.id, timeZone: site.timeZone, signer, at: enrolledAt });
    return { site, signer, ledger, keyId };
  }

  /** Makes a token; `text` is what a person would paste. */
  async token(changes: Partial<EnrolmentToken> = {}): Promise<{ token: EnrolmentToken; text: string }> {
    const now = systemClock.now();
    const token: EnrolmentToken = {
      id: newId('enrolmentToken'),
      siteId: null,
      accountId: this.accountId,
      usesMax: 1,
      uses: 0,
      createdAt: now,
      expiresAt: instantFromMs(msOfInstant(now) + 3_600_000),
      withdrawnAt: null,
      ...changes,
    };
    const text = `rce_${newId('enrolmentToken').replace('_', '-')}`;
    await this.store.tokens.createEnrolmentToken(token, nodeDigest.sha256(text));
    return { token, text };
  }

  async siteNow(siteId: string): Promise<Site> {
    const site = await this.store.sites.site(this.mspScope, siteId);
    if (site === undefined) throw new Error(`no site ${siteId}`);
    return site;
  }

  async findingsOf(siteId: string): Promise<string[]> {
    const { rows } = await this.store.sites.findings(this.mspScope, { siteId }, { limit: 100 });
    return rows.map(({ code }) => code).sort();
  }

  /** Every row of every table, as text: what must not change when something was refused. */
  dump(): string {
    const database = openSqlite(this.#databasePath, { readOnly: true });
    try {
      const tables = database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .pluck()
        .all() as string[];
      return tables
        .map(
          (table) =>
            `${table}\n${database
              .prepare(`SELECT * FROM "${table}"`)
              .all()
              .map((row) => JSON.stringify(row))
              .sort()
              .join('\n')}`,
        )
        .join('\n');
    } finally {
      database.close();
    }
  }

  #newGateway(): Gateway {
    const { limits = {}, leaseMs = leaseMsDefault, trustedProxies = 0, wrapStore = (store) => store } = this.#options;
    return createGateway({
      store: wrapStore(this.store),
      clock: systemClock,
      chance: systemChance,
      logger: createLogger({ name: 'test', level: 'silent' }),
      leaseSigner: leaseSignerFromPem(this.#leasePem),
      aggregatorPublicKeys: [this.leasePublicKey],
      leaseMs,
      trustedProxies,
      limits: {
        connectionsPerAddressMax: 10_000,
        handshakesPerMinuteMax: 100_000,
        enrolmentsPerMinuteMax: 1_000,
        ...limits,
      },
    });
  }

  async #listen(): Promise<void> {
    const { gateway } = this;
    const server = createServer((_, response) => response.writeHead(404).end());
    server.on('upgrade', (request, socket, head) => gateway.handleUpgrade(request, socket, head));
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async #makeTenants(): Promise<void> {
    const now = systemClock.now();
    const { tenancy } = this.store;
    const vendorId = newId('organisation');
    await tenancy.createVendor({
      id: vendorId,
      parentId: null,
      kind: 'vendor',
      name: 'Vendor',
      createdAt: now,
      ...organisationFacts,
    });
    const vendor = await tenancy.vendor();
    if (vendor === undefined) throw new Error('the vendor was not made');
    this.mspId = newId('organisation');
    await tenancy.createOrganisation(
      { id: this.mspId, parentId: vendorId, kind: 'msp', name: 'MSP', createdAt: now, ...organisationFacts },
      vendor,
    );
    this.mspScope = { organisationId: this.mspId, kind: 'msp', path: `${vendor.path}${this.mspId}/` };
    this.accountId = newId('account');
    await tenancy.createAccount({
      id: this.accountId,
      mspId: this.mspId,
      name: 'Account',
      addressLines: [],
      note: '',
      createdAt: now,
    });
  }

  async #enrol(site: Site, signer: Signer): Promise<{ keyId: string }> {
    const { token } = await this.token({ siteId: site.id });
    const keyId = newId('productKey');
    const keyText = productKeyTextFrom(systemChance(productKeyRandomBytes));
    const applied = await this.store.sites.applyEnrolment({
      tokenId: token.id,
      usesBefore: 0,
      newSite: null,
      siteId: site.id,
      before: { enrolledAt: null, ledgerHead: null },
      publicKey: signer.publicKey,
      at: enrolledAt,
      newKey: {
        key: {
          id: keyId,
          siteId: site.id,
          product: 'metered-agent',
          keyHint: keyHint(keyText),
          wish: 'active',
          siteState: null,
          createdAt: systemClock.now(),
          leaseIssuedAt: null,
          leaseUntil: null,
        },
        keyText,
      },
    });
    if (!applied.ok) throw new Error(`the site could not be enrolled: ${applied.code}`);
    return { keyId };
  }
}

const organisationFacts = { country: 'IT', currency: 'EUR', taxId: null, addressLines: [] };
