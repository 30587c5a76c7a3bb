/**
 * The machines of one site that run, or ran, an agent, and the people around them: they register and check in, change kind,
 * are uninstalled, replaced at one instant, imaged anew, renamed, fall silent, come back, and repeat calls that nobody
 * answered. What they are told is kept as the ground truth; what they deserve to be told is the product's affair.
 */
import type { SiteWork } from '@rollcall/agent/core/site.ts';
import type { AgentReport, CheckInResponse, LocalRefusalCode } from '@rollcall/shared/api/local.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import type { Outcome } from '@rollcall/shared/domain/problem.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { pickWeighted, spreadMs, untilNextMs } from './chance.ts';
import type { EventQueue } from './event-queue.ts';
import { dayMs, endpointOdds, type FaultLog, hourMs, minuteMs } from './faults.ts';
import type { Kind } from './ground-truth.ts';
import type { SiteMachine } from './site-machine.ts';
import type { SiteRecord, TakenCall } from './site-record.ts';

type Endpoint = {
  machineId: string;
  hostName: string;
  version: string;
  /** What it should run; null: nothing. */
  wanted: Kind | null;
  credential: string | null;
  endpointId: string | null;
  /** Set while the machine is switched off or its agent is broken. */
  isSilent: boolean;
  /** Set while the agent is told nothing or refused: how often it has tried. */
  attempts: number;
  /** What it was told last that it is; undefined before its first answer. */
  told: Kind | null | undefined;
  /** The one check-in that is planned; an earlier plan loses to a later one. */
  turn: number;
};

type Taken = Outcome<CheckInResponse, LocalRefusalCode>;

/** What happens to endpoints, and how often at a site in the mean. */
const lifeEveryMs = 9 * dayMs;
const lives = [
  { life: 'joins', weight: 6 },
  { life: 'is-uninstalled', weight: 3 },
  { life: 'is-swapped', weight: 3 },
  { life: 'changes-kind', weight: 2 },
  { life: 'falls-silent', weight: 4 },
  { life: 'is-imaged-anew', weight: 2 },
  { life: 'is-renamed', weight: 2 },
  { life: 'is-updated', weight: 3 },
  { life: 'is-taken-off', weight: 1 },
  { life: 'blinks', weight: 1 },
] as const;
const endpointsMax = 12;
/** The product's agents check in every quarter of an hour; a longer time between leaves more to go wrong in each. */
const checkInEveryMs = { low: 1.5 * dayMs, high: 6.5 * dayMs };

export class Endpoints {
  readonly #site: SiteMachine;
  readonly #record: SiteRecord;
  readonly #queue: EventQueue;
  readonly #random: SeededRandom;
  readonly #faults: FaultLog;
  readonly #endpoints: Endpoint[] = [];
  #made = 0;
  /** While set, machines come and go; later they only check in. */
  livesOn = true;
  /** Endpoint of each machine, as the site told it. */
  readonly endpointIds = new Map<string, string>();

  constructor(site: SiteMachine) {
    const { record, queue, random, faults } = site.parts;
    this.#site = site;
    this.#record = record;
    this.#queue = queue;
    this.#random = random;
    this.#faults = faults;
  }

  /** The first machines join within days; from then on life goes on. */
  begin(count: number): void {
    for (let index = 0; index < count; index++)
      this.#queue.after(this.#random.next() * 4 * dayMs, () => void this.#join());
    this.#liveOn();
  }

  /** Machines that call and were not told that they are what they are. */
  unserved(): string[] {
    const served = ({ isSilent, wanted, told }: Endpoint): boolean => isSilent || wanted === (told ?? null);
    return this.#endpoints
      .filter((endpoint) => !served(endpoint))
      .map(({ machineId, wanted, told }) => `${machineId} is ${wanted} and was told ${told}`);
  }

  #liveOn(): void {
    this.#queue.after(untilNextMs(this.#random, lifeEveryMs), () => {
      if (!this.livesOn) return;
      this.#live();
      this.#liveOn();
    });
  }

  #live(): void {
    const { life } = pickWeighted(this.#random, lives);
    if (life === 'joins') return this.#endpoints.length < endpointsMax ? void this.#join() : undefined;
    const running = this.#endpoints.filter(({ wanted }) => wanted !== null);
    if (running.length === 0) return undefined;
    const endpoint = this.#random.pick(running);
    switch (life) {
      case 'is-uninstalled':
        endpoint.wanted = null;
        if (this.#random.happens(0.4)) this.#reinstallLater(endpoint);
        return this.#checkIn(endpoint);
      case 'is-swapped':
        return this.#swap(endpoint);
      case 'changes-kind':
        endpoint.wanted = endpoint.wanted === 'server' ? 'workstation' : 'server';
        return this.#checkIn(endpoint);
      case 'falls-silent':
        return this.#silence(endpoint);
      case 'is-imaged-anew':
        endpoint.credential = null;
        return this.#checkIn(endpoint);
      case 'is-renamed':
        endpoint.hostName = `${endpoint.hostName.split('-')[0]}-${this.#random.integer(1, 999)}`;
        return this.#checkIn(endpoint);
      case 'is-updated':
        endpoint.version = `1.${this.#random.integer(0, 40)}.0`;
        return this.#checkIn(endpoint);
      case 'is-taken-off':
        return this.#takeOff(endpoint);
      case 'blinks':
        return this.#blink(endpoint);
    }
  }

  #join(kind: Kind = this.#random.happens(0.35) ? 'server' : 'workstation'): Endpoint {
    const number = ++this.#made;
    const endpoint: Endpoint = {
      machineId: `machine-${this.#record.siteId.slice(-6)}-${String(number).padStart(4, '0')}`,
      hostName: `host${number}`,
      version: '1.0.0',
      wanted: kind,
      credential: null,
      endpointId: null,
      isSilent: false,
      attempts: 0,
      told: undefined,
      turn: 0,
    };
    this.#endpoints.push(endpoint);
    this.#checkIn(endpoint);
    return endpoint;
  }

  #reinstallLater(endpoint: Endpoint): void {
    this.#queue.after(spreadMs(this.#random, hourMs, 60 * dayMs), () => {
      endpoint.wanted ??= this.#random.happens(0.5) ? 'server' : 'workstation';
      this.#checkIn(endpoint);
    });
  }

  /** Silent for so long that it is, or is not, given up; then back, or never. */
  #silence(endpoint: Endpoint): void {
    endpoint.isSilent = true;
    endpoint.turn++;
    if (this.#random.happens(0.15)) {
      this.#endpoints.splice(this.#endpoints.indexOf(endpoint), 1);
      return;
    }
    this.#queue.after(spreadMs(this.#random, 2 * dayMs, 90 * dayMs), () => {
      endpoint.isSilent = false;
      this.#checkIn(endpoint);
    });
  }

  /** The old machine leaves and the new one comes at one instant, in either order, in one transaction. */
  #swap(old: Endpoint): void {
    const kind = old.wanted ?? 'workstation';
    old.wanted = null;
    const fresh = this.#join(kind);
    if (old.isSilent || !this.#register(old) || !this.#register(fresh)) return this.#checkIn(old);
    this.#call(this.#random.happens(0.5) ? [old, fresh] : [fresh, old]);
  }

  /** Deployed and removed within the same transaction: never counted. */
  #blink(endpoint: Endpoint): void {
    if (endpoint.isSilent || !this.#register(endpoint)) return;
    const { wanted } = endpoint;
    const both = this.#site.call(
      (work) => [this.#ask(work, endpoint, null), this.#ask(work, endpoint, wanted)] as const,
      ([gone, back]) => {
        this.#taken(endpoint, null, gone);
        this.#taken(endpoint, wanted, back);
      },
    );
    if (both === undefined) this.#again(endpoint);
  }

  #takeOff(endpoint: Endpoint): void {
    const { endpointId, machineId } = endpoint;
    if (endpointId === null) return;
    this.#site.call(
      (work) =>
        work.decide({
          kind: 'remove-endpoint',
          endpointId,
          reason: this.#random.pick(['replaced', 'operator'] as const),
        }),
      (answer) => {
        if (answer.ok) this.#record.takenOff(endpointId, machineId, this.#site.parts.disk.head().at);
      },
    );
  }

  #checkIn(endpoint: Endpoint): void {
    if (endpoint.isSilent) return;
    if (!this.#register(endpoint)) return this.#again(endpoint);
    this.#call([endpoint]);
  }

  /** A machine without a credential asks for one; false: nobody answered, or no. */
  #register(endpoint: Endpoint): boolean {
    if (endpoint.credential !== null) return true;
    const { machineId, hostName } = endpoint;
    const credential = Buffer.from(this.#random.bytes(12)).toString('hex');
    const newEndpointId = idFrom('endpoint', this.#random.bytes(idRandomBytes));
    const answer = this.#site.call(
      (work) =>
        work.decide({
          kind: 'register',
          machineId,
          hostName,
          proof: { by: 'join-code' },
          credentialHash: nodeDigest.sha256(credential),
          newEndpointId,
        }),
      () => {},
    );
    if (answer === undefined || !answer.ok || this.#isAnswerLost()) return false;
    const known = this.endpointIds.get(machineId);
    if (known !== undefined && known !== answer.endpointId)
      this.#record.breach('nothing-twice', `machine ${machineId} was ${known} and is now ${answer.endpointId}`);
    this.endpointIds.set(machineId, answer.endpointId);
    endpoint.credential = credential;
    endpoint.endpointId = answer.endpointId;
    return true;
  }

  #call(endpoints: readonly Endpoint[]): void {
    const kindsAsked = endpoints.map(({ wanted }) => wanted);
    const calls: (TakenCall | undefined)[] = [];
    const answers = this.#site.call(
      (work) => endpoints.map((endpoint, index) => this.#ask(work, endpoint, kindsAsked[index] ?? null)),
      (taken) => {
        for (const [index, endpoint] of endpoints.entries())
          calls.push(this.#taken(endpoint, kindsAsked[index] ?? null, taken[index]));
      },
    );
    for (const [index, endpoint] of endpoints.entries()) {
      const answer = answers?.[index];
      if (answer === undefined || this.#isAnswerLost()) {
        this.#again(endpoint);
        continue;
      }
      const call = calls[index];
      if (call !== undefined) call.answered = true;
      this.#answered(endpoint, kindsAsked[index] ?? null, answer);
      if (answer.ok && this.#random.happens(endpointOdds.calledTwice)) {
        this.#faults.add('endpoint-called-twice');
        this.#checkIn(endpoint);
      }
    }
  }

  #ask(work: SiteWork, endpoint: Endpoint, kind: Kind | null): Taken {
    const { credential, version: agentVersion, hostName } = endpoint;
    const agent: AgentReport | null = kind === null ? null : { kind, product: 'metered-agent', agentVersion, hostName };
    return work.decide({ kind: 'check-in', credentialHash: nodeDigest.sha256(credential ?? ''), agent });
  }

  #taken({ endpointId, machineId }: Endpoint, kind: Kind | null, answer: Taken | undefined): TakenCall | undefined {
    if (answer === undefined || !answer.ok || endpointId === null) return undefined;
    if (answer.deployed !== (kind !== null))
      this.#record.breach(
        'acknowledged-is-kept',
        `${machineId} said ${kind} and was told deployed: ${answer.deployed}`,
      );
    return this.#record.taken(endpointId, machineId, answer.at, kind);
  }

  #answered(endpoint: Endpoint, kind: Kind | null, answer: Taken): void {
    if (answer.ok) {
      endpoint.told = kind;
      endpoint.attempts = 0;
      if (endpoint.wanted !== null)
        this.#later(endpoint, spreadMs(this.#random, checkInEveryMs.low, checkInEveryMs.high));
      return;
    }
    if (answer.code === 'CREDENTIAL_WRONG') {
      this.#record.breach('acknowledged-is-kept', `the registration of ${endpoint.machineId} is gone`);
      endpoint.credential = null;
    }
    this.#again(endpoint);
  }

  /** Nobody answered, or not now: again, and again ever later. */
  #again(endpoint: Endpoint): void {
    const limitMs = [2_000, minuteMs, 20 * minuteMs, 3 * hourMs][endpoint.attempts] ?? dayMs;
    endpoint.attempts++;
    this.#later(endpoint, limitMs * (0.5 + this.#random.next()));
  }

  #later(endpoint: Endpoint, delayMs: number): void {
    const turn = ++endpoint.turn;
    this.#queue.after(delayMs, () => {
      if (endpoint.turn === turn) this.#checkIn(endpoint);
    });
  }

  #isAnswerLost(): boolean {
    const isLost = this.#random.happens(endpointOdds.answerLost);
    if (isLost) this.#faults.add('endpoint-answer-lost');
    return isLost;
  }
}

/** Limits of silence that sites have. */
export const settingsOfSites: readonly SiteSettings[] = [0, 7, 14, 30, 30, 30, 60].map((staleAfterDays) => ({
  staleAfterDays,
}));
