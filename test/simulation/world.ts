/**
 * A simulated world: sites with their machines and endpoints, the network, the aggregator with its real store, the people who
 * close months, correct reports and switch keys, and the faults that befall all of them. One seed makes one world; it says what
 * became of it in a `WorldEnd`, which `checks.ts` judges.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createPrivateKey } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeMonth } from '@rollcall/aggregator/jobs/month-close.ts';
import { openStore } from '@rollcall/aggregator/store/open-store.ts';
import type { Store } from '@rollcall/aggregator/store/store.ts';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { instantFromMs } from '@rollcall/shared/domain/instant.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import { signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { type AggregatorSeams, AggregatorProcess } from './aggregator-process.ts';
import { pickWeighted, spreadMs, untilNextMs } from './chance.ts';
import { Endpoints, settingsOfSites } from './endpoints.ts';
import { EventQueue } from './event-queue.ts';
import { dayMs, FaultLog, hourMs, meanBetweenMs, minuteMs, wallJumps } from './faults.ts';
import { GroundTruth, monthAfter, monthAtInstant } from './ground-truth.ts';
import { Line, type NetworkParts } from './link.ts';
import { MachineClock } from './machine-clock.ts';
import { SiteDisk } from './site-disk.ts';
import { SiteMachine, type SiteSeams } from './site-machine.ts';
import { SiteRecord } from './site-record.ts';
import { scopeOf, Tenants } from './tenants.ts';

export type WorldPlan = {
  seed: number;
  sites: number;
  days: number;
  /** Days without faults at the end: by default longer than the farthest that a clock in doubt runs ahead. */
  calmDays?: number;
  /** The store lies in a file that is closed and opened at each restart; else in memory. */
  storeInFile: boolean;
  /** Frames travel as text through the codec, and hellos are verified. */
  throughCodec: boolean;
  seams?: { site?: SiteSeams; aggregator?: AggregatorSeams; store?(store: Store): Store };
};

export type SimulatedSite = {
  machine: SiteMachine;
  record: SiteRecord;
  endpoints: Endpoints;
  disk: SiteDisk;
  signer: Signer;
  siteName: string;
  /** Machines that the operator took out of a sealed month. */
  excluded: Map<string, Set<string>>;
};

/** What became of a world; `nowMs` is its last instant. */
export type WorldEnd = {
  seed: number;
  sites: SimulatedSite[];
  aggregator: AggregatorProcess;
  tenants: Tenants;
  store: Store;
  nowMs: number;
  siteYears: number;
  events: number;
  faults: FaultLog;
  /** What closing months did, by outcome. */
  closes: Record<string, number>;
  dispose(): Promise<void>;
};

const startMs = Date.parse('2026-01-20T09:30:00.000Z');
/** Longer than the farthest that a clock in doubt runs ahead. */
const calmDaysDefault = 36;
/** Days after a month's end on which it is closed, and closed again. */
const closingDays = [3, 12] as const;
const leaseDays = [14, 14, 7, 30] as const;
/** DER prefix of an Ed25519 private key in PKCS #8 (RFC 8410); the 32 bytes of the seed follow. */
const privateKeyPrefix = Buffer.from('302e020100300506032b657004220420', 'hex');

export class World {
  readonly #plan: WorldPlan;
  readonly #random: SeededRandom;
  readonly #queue = new EventQueue(startMs);
  readonly #faults = new FaultLog();
  readonly #clock: Clock;
  readonly #network: NetworkParts;
  readonly #sites: SimulatedSite[] = [];
  #store: Store | undefined;
  #folder: string | undefined;
  #isCalm = false;
  readonly #closes: Record<string, number> = {};

  constructor(plan: WorldPlan) {
    this.#plan = plan;
    this.#random = new SeededRandom(plan.seed);
    this.#clock = {
      now: () => instantFromMs(this.#queue.nowMs),
      steadyMs: () => this.#queue.nowMs - startMs,
      after: () => {
        throw new Error('nothing in the simulated aggregator sets timers');
      },
    };
    this.#network = {
      queue: this.#queue,
      random: this.#random,
      faults: this.#faults,
      throughCodec: plan.throughCodec,
      isCalm: false,
    };
  }

  /** Lives through the plan's days and the calm after them. */
  async live(): Promise<WorldEnd> {
    if (this.#plan.storeInFile) this.#folder = await mkdtemp(join(tmpdir(), 'rollcall-simulation-'));
    await this.#openStore();
    const store = (): Store => {
      if (this.#store === undefined) throw new Error('the store is not open');
      return this.#store;
    };
    const tenants = new Tenants(store, this.#clock, this.#random, this.#faults);
    await tenants.make();
    const aggregator = new AggregatorProcess({
      queue: this.#queue,
      random: this.#random,
      faults: this.#faults,
      clock: this.#clock,
      store,
      reopenStore: () => this.#reopenStore(),
      leaseMs: this.#random.pick(leaseDays) * dayMs,
      verifiesHellos: this.#plan.throughCodec,
      seams: this.#plan.seams?.aggregator ?? {},
    });
    for (let index = 0; index < this.#plan.sites; index++)
      this.#queue.at(startMs + Math.floor(this.#random.next() * 40 * dayMs), () => this.#found(tenants, aggregator));
    this.#closeMonths(tenants, store);
    const endMs = startMs + this.#plan.days * dayMs;
    await this.#queue.runUntil(endMs);
    const siteYears =
      this.#sites.reduce((sum, { record }) => sum + (endMs - record.truth.startMs), 0) / (365.25 * dayMs);
    this.#calmDown(aggregator);
    await this.#queue.runUntil(endMs + (this.#plan.calmDays ?? calmDaysDefault) * dayMs);
    await this.#closeAll(tenants, store());
    const { nowMs, ran } = this.#queue;
    return {
      seed: this.#plan.seed,
      sites: this.#sites,
      aggregator,
      tenants,
      store: store(),
      nowMs,
      siteYears,
      events: ran,
      faults: this.#faults,
      closes: this.#closes,
      dispose: async () => {
        await store().close();
        if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
      },
    };
  }

  async #openStore(): Promise<void> {
    const path = this.#folder === undefined ? ':memory:' : join(this.#folder, 'rollcall.db');
    const store = await openStore(`sqlite:${path}`);
    await store.migrate();
    this.#store = this.#plan.seams?.store?.(store) ?? store;
  }

  async #reopenStore(): Promise<void> {
    if (this.#folder === undefined) return;
    this.#faults.add('aggregator-database-reopened');
    await this.#store?.close();
    await this.#openStore();
  }

  /** A site is founded: enrolled, its ledger begun, its machine started, its people and faults set going. */
  async #found(tenants: Tenants, aggregator: AggregatorProcess): Promise<void> {
    const random = new SeededRandom(this.#random.integer(0, 2 ** 32 - 1));
    const signer = signerFrom(random);
    const enrolled = await tenants.enrol(signer, random.pick(settingsOfSites));
    const { siteId, siteName, timeZone, enrolledAtMs } = enrolled;
    const settings = { staleAfterDays: 30 };
    const truth = new GroundTruth(enrolledAtMs, timeZone, settings.staleAfterDays);
    const record = new SiteRecord(siteId, truth, this.#queue);
    const disk = new SiteDisk({
      at: instantFromMs(enrolledAtMs),
      kind: 'site-enrolled',
      body: { siteId, siteName, timeZone, publicKey: signer.publicKey, software: '1.0.0-simulated', settings },
    });
    const clock = new MachineClock(this.#queue.nowMs, random.integer(-90_000, 90_000), random.integer(-50, 50));
    const line = new Line(this.#network);
    const machine = new SiteMachine({
      siteId,
      queue: this.#queue,
      random,
      faults: this.#faults,
      network: this.#network,
      aggregator,
      clock,
      line,
      disk,
      record,
      signer,
      seams: this.#plan.seams?.site ?? {},
    });
    const site = {
      machine,
      record,
      endpoints: new Endpoints(machine),
      disk,
      signer,
      siteName,
      excluded: new Map<string, Set<string>>(),
    };
    this.#sites.push(site);
    machine.start();
    site.endpoints.begin(random.integer(1, 5));
    this.#befall(site, random);
    this.#govern(site, random, tenants, aggregator);
  }

  /** Faults come again and again, each in its own time, until the world is calm. */
  #befall(site: SimulatedSite, random: SeededRandom): void {
    const { machine } = site;
    const { line } = machine.parts;
    this.#every(random, meanBetweenMs.reboot, () => {
      this.#faults.add('reboot');
      this.#turnOff(site, random, spreadMs(random, minuteMs, 5 * hourMs));
    });
    this.#every(random, meanBetweenMs.offForDays, () => {
      this.#faults.add('off-for-days');
      this.#turnOff(site, random, spreadMs(random, dayMs, 12 * dayMs));
    });
    this.#every(random, meanBetweenMs.offForMonths, () => {
      this.#faults.add('off-for-months');
      this.#turnOff(site, random, spreadMs(random, 25 * dayMs, 150 * dayMs));
    });
    this.#every(random, meanBetweenMs.sleep, () => {
      if (machine.power !== 'on') return;
      this.#faults.add('sleep');
      machine.sleep(spreadMs(random, minuteMs, 4 * dayMs));
    });
    this.#every(random, meanBetweenMs.wallJump, () => this.#setClock(site, random));
    this.#every(random, meanBetweenMs.connectionCut, () => machine.connection?.cutSomehow());
    this.#every(random, meanBetweenMs.networkOutage, () => {
      this.#faults.add('network-outage');
      line.goOut(spreadMs(random, minuteMs, 6 * dayMs));
      machine.connection?.cutSomehow();
    });
    this.#every(random, meanBetweenMs.longNetworkOutage, () => {
      this.#faults.add('long-network-outage');
      line.goOut(spreadMs(random, 10 * dayMs, 100 * dayMs));
      machine.connection?.cutSomehow();
    });
  }

  #turnOff(site: SimulatedSite, random: SeededRandom, forMs: number): void {
    site.machine.powerOff(forMs);
    if (!random.happens(0.15)) return;
    this.#faults.add('jump-while-off');
    this.#queue.after(forMs * random.next(), () => this.#setClock(site, random));
  }

  #setClock({ machine, record }: SimulatedSite, random: SeededRandom): void {
    if (this.#isCalm) return;
    const { clock } = machine.parts;
    const { nowMs } = this.#queue;
    const { fault, lowMs, highMs } = pickWeighted(random, wallJumps);
    this.#faults.add(fault);
    const before = clock.wallErrorMs(nowMs);
    if (fault === 'wall-put-right') clock.setError(nowMs, random.integer(-2_000, 2_000));
    else clock.jump(nowMs, random.integer(lowMs, highMs));
    record.wallSet(clock.wallErrorMs(nowMs) - before, isUnconfirmed(machine));
    machine.wallWasSet();
  }

  /** What people do about a site: its operator, its MSP in the portal. */
  #govern(site: SimulatedSite, random: SeededRandom, tenants: Tenants, aggregator: AggregatorProcess): void {
    const { siteId } = site.record;
    this.#every(random, 200 * dayMs, () => this.#correct(site, random));
    this.#every(random, 250 * dayMs, async () => {
      await aggregator.parts.store().sites.changeSite(tenants.root, siteId, { settings: random.pick(settingsOfSites) });
      await aggregator.siteChanged(siteId);
    });
    this.#every(random, 220 * dayMs, () => this.#switchKey(siteId, random, tenants, aggregator));
    // The operator of a machine that does not know the time looks after it within days: sets the clock right, and says so.
    this.#every(random, 3 * dayMs, () => this.#confirmClock(site, random));
  }

  #correct(site: SimulatedSite, random: SeededRandom): void {
    const months = site.record.truth.monthsOver(this.#queue.nowMs);
    const machines = [...site.endpoints.endpointIds];
    if (months.length === 0 || machines.length === 0) return;
    const month = random.pick(months);
    const [machineId, endpointId] = random.pick(machines);
    site.machine.call(
      (work) => work.decide({ kind: 'correct-report', month, exclude: [endpointId], reason: 'replaced the same day' }),
      (answer) => {
        if (answer.ok) site.excluded.set(month, new Set([...(site.excluded.get(month) ?? []), machineId]));
      },
    );
  }

  async #switchKey(
    siteId: string,
    random: SeededRandom,
    tenants: Tenants,
    aggregator: AggregatorProcess,
  ): Promise<void> {
    const store = aggregator.parts.store();
    for (const { key } of await store.keys.keysOfSite(siteId)) {
      const wish = key.wish === 'active' ? 'deactivated' : 'active';
      const command = {
        id: idFrom('command', random.bytes(idRandomBytes)),
        name: wish === 'active' ? 'reactivate-key' : 'deactivate-key',
        keyId: key.id,
        issuedAt: this.#clock.now(),
      };
      await store.keys.wishKey(tenants.root, key.id, wish, command);
      await aggregator.siteChanged(siteId);
      // Nobody leaves a client without new deployments for long.
      if (wish === 'deactivated')
        this.#queue.after(spreadMs(random, hourMs, 20 * dayMs), () =>
          this.#switchKey(siteId, random, tenants, aggregator),
        );
    }
  }

  #confirmClock({ machine, record }: SimulatedSite, random: SeededRandom): void {
    const { clock } = machine.parts;
    const { nowMs } = this.#queue;
    if (!isUnconfirmed(machine)) return;
    const before = clock.wallErrorMs(nowMs);
    clock.setError(nowMs, random.integer(-2_000, 2_000));
    record.wallSet(clock.wallErrorMs(nowMs) - before, isUnconfirmed(machine));
    const lastKnown = machine.parts.disk.soft.heartbeat?.at ?? null;
    machine.call(
      (work) => work.decide({ kind: 'confirm-clock' }),
      (answer) => {
        if (answer.ok) record.vouched(lastKnown);
      },
    );
  }

  #every(random: SeededRandom, meanMs: number, happen: () => void | Promise<void>): void {
    this.#queue.after(untilNextMs(random, meanMs), () => {
      if (this.#isCalm) return undefined;
      this.#every(random, meanMs, happen);
      return happen();
    });
  }

  /** Each seller closes each month some days after its end, and once more later. */
  #closeMonths(tenants: Tenants, store: () => Store): void {
    const firstMonth = monthAtInstant(startMs, 'UTC');
    let month = firstMonth;
    for (
      let afterMs = Date.parse(`${monthAfter(month)}-01T12:00:00.000Z`);
      afterMs < startMs + this.#plan.days * dayMs;
    ) {
      const closing = month;
      for (const days of closingDays) {
        this.#queue.at(afterMs + days * dayMs, async () => {
          await this.#close(tenants, store(), closing, days === closingDays[1] && this.#random.happens(0.3));
        });
      }
      month = monthAfter(month);
      afterMs = Date.parse(`${monthAfter(month)}-01T12:00:00.000Z`);
    }
  }

  async #close(tenants: Tenants, store: Store, month: string, withoutMissing: boolean): Promise<void> {
    const sellers = new Map(tenants.edges.map(({ seller }) => [seller.id, seller]));
    for (const seller of sellers.values()) {
      // The world is broken, not its figures: whoever reads the failing seed wants the error itself.
      const logger = {
        error: ({ err }: { err?: Error }): never => {
          throw err ?? new Error('an edge could not be closed');
        },
      };
      const deps = { store, clock: this.#clock, chance: this.#random.bytes, logger };
      const closed = await closeMonth(deps, scopeOf(seller), { month, withoutMissing });
      const outcomes = closed.ok ? closed.result.edges.map(({ outcome }) => outcome) : [closed.code];
      for (const outcome of outcomes) this.#closes[outcome] = (this.#closes[outcome] ?? 0) + 1;
    }
  }

  async #closeAll(tenants: Tenants, store: Store): Promise<void> {
    for (
      let month = monthAtInstant(startMs, 'UTC');
      month < monthAtInstant(this.#queue.nowMs, 'UTC');
      month = monthAfter(month)
    ) {
      await this.#close(tenants, store, month, false);
      // Closing twice changes nothing; the check of the invoices would see it.
      await this.#close(tenants, store, month, false);
    }
  }

  /** From here on nothing goes wrong: what is out of contact comes back, and all that was owed arrives. */
  #calmDown(aggregator: AggregatorProcess): void {
    this.#isCalm = true;
    this.#network.isCalm = true;
    aggregator.crashesOn = false;
    for (const { machine, record, endpoints } of this.#sites) {
      const { clock, line } = machine.parts;
      endpoints.livesOn = false;
      machine.crashesOn = false;
      line.repair();
      const before = clock.wallErrorMs(this.#queue.nowMs);
      clock.setError(this.#queue.nowMs, 0);
      record.wallSet(-before, isUnconfirmed(machine));
      if (machine.isUp) machine.wallWasSet();
      else machine.comeBack();
      machine.connection?.cut('told');
    }
  }
}

const isUnconfirmed = ({ state }: SiteMachine): boolean => state !== null && state.clock.unconfirmed !== null;

function signerFrom(random: SeededRandom): Signer {
  const key = createPrivateKey({
    key: Buffer.concat([privateKeyPrefix, random.bytes(32)]),
    format: 'der',
    type: 'pkcs8',
  });
  const pem = key.export({ type: 'pkcs8', format: 'pem' });
  return signerFromPem(typeof pem === 'string' ? pem : pem.toString('utf8'));
}
