/** A site whose disk is memory and whose clocks are a test's: core as it is, committed as the store would. */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { ChainedEntry } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { generateSigningKey, nodeDigest, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import { firstEnrolment } from '../core/enrolment.ts';
import type { Plan, SitePorts } from '../core/plan.ts';
import type { Welcomed } from '../core/contact.ts';
import type { Reading } from '../core/site-clock.ts';
import { decide, type SiteAnswers, type SiteEvent, type SiteEventKind } from '../core/site.ts';
import { applySoftChange, emptySoftState, rebuildSite, type SiteState, type SoftState } from '../core/site-state.ts';

export const dayMs = 86_400_000;
export const hourMs = 3_600_000;
export const minuteMs = 60_000;

/** One key pair for all tests: making one takes a moment. */
export const testSigner: Signer = signerFromPem(generateSigningKey().privateKeyPem);

export const testIds = {
  site: `site_${'0'.repeat(20)}`,
  otherSite: `site_${'1'.repeat(20)}`,
  key: `key_${'0'.repeat(20)}`,
  otherKey: `key_${'1'.repeat(20)}`,
  command: (n: number) => `cmd_${String(n).padStart(20, '0')}`,
  endpoint: (n: number) => `ep_${String(n).padStart(20, '0')}`,
} as const;

export type Enrolled = { at?: Instant; timeZone?: string; staleAfterDays?: number };

/** The plan of a test's first enrolment. */
export function enrolmentPlan({
  at = '2026-01-10T12:00:00.000Z',
  timeZone = 'Europe/Rome',
  staleAfterDays = 30,
}: Enrolled = {}): Plan {
  return firstEnrolment(
    {
      siteId: testIds.site,
      siteName: 'Client North',
      timeZone,
      publicKey: testSigner.publicKey,
      software: 'rollcall-site 0.1.0',
      settings: { staleAfterDays },
    },
    at,
    nodeDigest,
  );
}

export function leaseOf(issuedAt: Instant, lengthMs: number, keyId: string = testIds.key): Lease {
  return {
    siteId: testIds.site,
    keyId,
    product: 'metered-agent',
    keyTextHash: nodeDigest.sha256('00000-00000-00000-00000-00000'),
    keyHint: '00000',
    issuedAt,
    until: instantFromMs(msOfInstant(issuedAt) + lengthMs),
  };
}

export class SiteInMemory {
  readonly clock: ManualClock;
  readonly disk: { entries: ChainedEntry<KnownEntry>[]; soft: SoftState };
  readonly ports: SitePorts;
  state: SiteState;

  constructor(enrolled: Enrolled = {}) {
    const plan = enrolmentPlan(enrolled);
    this.disk = { entries: [...plan.entries], soft: emptySoftState() };
    this.clock = new ManualClock(enrolled.at ?? '2026-01-10T12:00:00.000Z');
    this.ports = { digest: nodeDigest, signer: testSigner, history: () => this.disk.entries.map(({ entry }) => entry) };
    this.state = this.#rebuilt();
  }

  get reading(): Reading {
    return { wall: this.clock.now(), steadyMs: this.clock.steadyMs() };
  }

  get entries(): KnownEntry[] {
    return this.disk.entries.map(({ entry }) => entry);
  }

  /** Decides an event and commits its plan. */
  run<Kind extends SiteEventKind>(event: SiteEvent<Kind>): SiteAnswers[Kind] {
    const { plan, answer } = decide(this.state, event, this.reading, this.ports);
    this.commit(plan);
    return answer;
  }

  commit(plan: Plan): void {
    this.disk.entries.push(...plan.entries);
    for (const change of structuredClone(plan.softChanges)) applySoftChange(this.disk.soft, change);
  }

  /** The program ends, however it does, and starts on what is on disk. */
  restart(): void {
    this.state = this.#rebuilt();
    this.run({ kind: 'tick' });
  }

  rebuilt(): SiteState {
    return this.#rebuilt();
  }

  welcome(changes: Partial<Welcomed> = {}): void {
    const now = this.clock.now();
    this.run({
      kind: 'welcomed',
      serverTime: now,
      heardSteadyMs: this.clock.steadyMs(),
      acknowledgedSeq: 0,
      leases: [],
      settings: this.state.settings,
      commands: [],
      ...changes,
    });
  }

  /** Registers a machine and gives back what it checks in with. */
  endpoint(n: number): { credentialHash: string; endpointId: string } {
    const credentialHash = nodeDigest.sha256(`credential ${n}`);
    const request = {
      machineId: `machine-${n}`,
      hostName: `host-${n}`,
      proof: { by: 'join-code' as const },
      credentialHash,
    };
    const answer = this.run({ kind: 'register', ...request, newEndpointId: testIds.endpoint(n) });
    if (!answer.ok) throw new Error(answer.code);
    return { credentialHash, endpointId: answer.endpointId };
  }

  checkIn(n: number, kind: 'server' | 'workstation' | null = 'server', agentVersion = '1.0'): SiteAnswers['check-in'] {
    const agent =
      kind === null ? null : { kind, product: 'metered-agent' as const, agentVersion, hostName: `host-${n}` };
    return this.run({ kind: 'check-in', credentialHash: nodeDigest.sha256(`credential ${n}`), agent });
  }

  kinds(): string[] {
    return this.entries.map((entry) => entry.kind);
  }

  #rebuilt(): SiteState {
    return rebuildSite(this.disk.entries, structuredClone(this.disk.soft), this.reading);
  }
}
