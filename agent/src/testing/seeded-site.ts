/**
 * A data folder that has lived through months: enrolled, and filled by the real core through the real store on a manual clock.
 * The months lie right before this machine's own, so that the real program can go on from there.
 */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Month, monthOf, monthPeriod, previousMonth } from '@rollcall/shared/domain/month.ts';
import { generateSigningKey, nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { decide, type SiteAnswers, type SiteEvent, type SiteEventKind } from '../core/site.ts';
import type { SiteState } from '../core/site-state.ts';
import { keyForEnrolment, saveIdentity } from '../identity.ts';
import { initialiseLedger, openSiteStore, type SiteStore } from '../ledger/site-store.ts';
import { software } from '../software.ts';
import { fakeSite } from './fake-aggregator.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;

export type SeededSite = {
  /** Sealed, oldest first: peaks (servers, workstations) are 1/2, 1/2 and 2/1. */
  months: [Month, Month, Month];
  /** Endpoints by host name. */
  endpoints: Record<'web-1' | 'desk-1' | 'desk-2' | 'web-2', string>;
};

/** Fills an empty folder with three sealed months and a part of this one. */
export function seedSite(dataFolder: string, aggregatorUrl: string): SeededSite {
  const now = systemClock.now();
  const third = previousMonth(monthOf(now, fakeSite.timeZone));
  const months: [Month, Month, Month] = [previousMonth(previousMonth(third)), previousMonth(third), third];
  const start = monthPeriod(months[0], fakeSite.timeZone).start;
  const clock = new ManualClock(instantFromMs(msOfInstant(start) + 9 * dayMs));
  const signer = enrolOnDisk(dataFolder, aggregatorUrl, clock.now());
  const store = openSiteStore(dataFolder);
  try {
    const site = new SiteOnDisk(store, clock, signer);
    const endpoints = {
      'web-1': site.register('web-1'),
      'desk-1': site.register('desk-1'),
      'desk-2': site.register('desk-2'),
    };
    const here = new Map<string, 'server' | 'workstation'>([
      ['web-1', 'server'],
      ['desk-1', 'workstation'],
      ['desk-2', 'workstation'],
    ]);
    site.live(here, monthPeriod(months[1], fakeSite.timeZone).start, 5);
    site.checkIn('desk-2', null);
    here.delete('desk-2');
    site.live(here, monthPeriod(months[2], fakeSite.timeZone).start, 5);
    const web2 = site.register('web-2');
    here.set('web-2', 'server');
    site.live(here, monthPeriod(months[2], fakeSite.timeZone).end, 0);
    return { months, endpoints: { ...endpoints, 'web-2': web2 } };
  } finally {
    store.close();
  }
}

/** Fills an empty folder with a site that had one agent, a server, and whose service was stopped so many days ago. */
export function seedStoppedSite(dataFolder: string, aggregatorUrl: string, daysAgo: number): void {
  const clock = new ManualClock(instantFromMs(msOfInstant(systemClock.now()) - daysAgo * dayMs));
  const signer = enrolOnDisk(dataFolder, aggregatorUrl, clock.now());
  const store = openSiteStore(dataFolder);
  try {
    const site = new SiteOnDisk(store, clock, signer);
    site.register('web-1');
    site.checkIn('web-1', 'server');
  } finally {
    store.close();
  }
}

function enrolOnDisk(dataFolder: string, aggregatorUrl: string, at: Instant): ReturnType<typeof keyForEnrolment> {
  const signer = keyForEnrolment(dataFolder);
  const { publicKey } = signer;
  const settings = { staleAfterDays: 30 };
  initialiseLedger(dataFolder, { ...fakeSite, settings, software, publicKey, at });
  const aggregatorPublicKeys = [generateSigningKey().publicKey];
  saveIdentity(dataFolder, { version: 1, ...fakeSite, aggregatorUrl, aggregatorPublicKeys, publicKey, settings });
  return signer;
}

class SiteOnDisk {
  readonly #state: SiteState;
  readonly #store: SiteStore;
  readonly #clock: ManualClock;
  readonly #signer: ReturnType<typeof keyForEnrolment>;
  #registered = 0;

  constructor(store: SiteStore, clock: ManualClock, signer: ReturnType<typeof keyForEnrolment>) {
    this.#store = store;
    this.#clock = clock;
    this.#signer = signer;
    this.#state = store.load(this.#reading());
    this.#contact();
  }

  register(hostName: string): string {
    this.#registered++;
    const request = {
      machineId: `machine-${hostName}`,
      hostName,
      proof: { by: 'join-code' as const },
      credentialHash: nodeDigest.sha256(hostName),
      newEndpointId: `ep_${String(this.#registered).padStart(20, '0')}`,
    };
    const answer = this.#run({ kind: 'register', ...request });
    if (!answer.ok) throw new Error(answer.code);
    return answer.endpointId;
  }

  checkIn(hostName: string, kind: 'server' | 'workstation' | null): void {
    const agent = kind === null ? null : { kind, product: 'metered-agent' as const, agentVersion: '1.0', hostName };
    const answer = this.#run({ kind: 'check-in', credentialHash: nodeDigest.sha256(hostName), agent });
    if (!answer.ok) throw new Error(answer.code);
  }

  /** Twice a day everyone checks in and the aggregator is heard of, until so many days after an instant. */
  live(here: ReadonlyMap<string, 'server' | 'workstation'>, until: Instant, daysAfter: number): void {
    const end = instantFromMs(msOfInstant(until) + daysAfter * dayMs);
    for (;;) {
      this.#contact();
      for (const [hostName, kind] of here) this.checkIn(hostName, kind);
      if (this.#clock.now() >= end) return;
      this.#clock.advance(Math.min(12 * hourMs, msOfInstant(end) - msOfInstant(this.#clock.now())));
    }
  }

  #contact(): void {
    const serverTime = this.#clock.now();
    const lease = {
      siteId: fakeSite.siteId,
      keyId: 'key_0000000000000000000a',
      product: 'metered-agent' as const,
      keyTextHash: nodeDigest.sha256('any'),
      keyHint: '7k3mq',
      issuedAt: serverTime,
      until: instantFromMs(msOfInstant(serverTime) + 14 * dayMs),
    };
    const { settings } = this.#state;
    const heardSteadyMs = this.#clock.steadyMs();
    this.#run({
      kind: 'welcomed',
      serverTime,
      heardSteadyMs,
      acknowledgedSeq: 0,
      leases: [lease],
      settings,
      commands: [],
    });
  }

  #run<Kind extends SiteEventKind>(event: SiteEvent<Kind>): SiteAnswers[Kind] {
    const ports = { digest: nodeDigest, signer: this.#signer, history: () => this.#store.history() };
    const { plan, answer } = decide(this.#state, event, this.#reading(), ports);
    this.#store.applyPlan(plan);
    return answer;
  }

  #reading = () => ({ wall: this.#clock.now(), steadyMs: this.#clock.steadyMs() });
}
