/**
 * The whole of a site: which events there are, and how one, or a group of them, becomes a plan and answers. Owns the order
 * of things: clock first, then everything that fell due, then the event. The rules themselves are in the files beside it.
 */
import type {
  AgentReport,
  CheckInResponse,
  CorrectReportRequest,
  LocalRefusalCode,
  RemoveEndpointRequest,
} from '@rollcall/shared/api/local.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { Outcome } from '@rollcall/shared/domain/problem.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import type { Hash } from '@rollcall/shared/ledger/crypto.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import type { SiteCommand } from '@rollcall/shared/protocol/command.ts';
import { applyCommand } from './commands.ts';
import {
  acknowledged,
  disconnected,
  noteNotice,
  noteRefusal,
  noteUnacknowledged,
  takeSettings,
  type Welcomed,
  welcomed,
} from './contact.ts';
import { advance, persistHeartbeat } from './due.ts';
import { acceptLease } from './lease-policy.ts';
import { correctReport } from './month-sealing.ts';
import { type Plan, type SitePorts, Work } from './plan.ts';
import { checkIn, type Registered, register, type RegistrationRequest, removeEndpoint } from './roll.ts';
import { confirmClock, contactClock, type Reading, readClock, type ToldTime } from './site-clock.ts';
import { nowOf, type SiteState } from './site-state.ts';

/** What can happen to a site. The shell has parsed and, for leases, verified everything in it. */
export type SiteEvents = {
  /** Nothing but time. */
  tick: object;
  'check-in': { credentialHash: Hash; agent: AgentReport | null };
  /** A machine showed the join code or a product key; `newEndpointId` is used if it is new. */
  register: RegistrationRequest;
  'remove-endpoint': RemoveEndpointRequest;
  'correct-report': CorrectReportRequest;
  'confirm-clock': object;
  /** The aggregator's welcome, leases verified. */
  welcomed: Welcomed;
  /** `heardSteadyMs`, as in a welcome: the steady time at which the frame was read. */
  acknowledged: { seq: number; serverTime: Instant; heardSteadyMs: number };
  /** Entries were sent, and nothing of them was acknowledged in time. */
  unacknowledged: object;
  lease: { lease: Lease };
  command: { command: SiteCommand };
  settings: { settings: SiteSettings };
  notice: { code: string; message: string };
  /** The aggregator will not have this site as it is. */
  refused: { code: string; message: string };
  /** The connection is gone; the other side was last heard of so long ago. */
  disconnected: { aliveAgoMs: number };
};

export type SiteAnswers = {
  tick: null;
  'check-in': Outcome<CheckInResponse, LocalRefusalCode>;
  register: Outcome<Registered, LocalRefusalCode>;
  'remove-endpoint': Outcome<{ removed: true }, LocalRefusalCode>;
  'correct-report': Outcome<{ report: DeployedAgentsReport }, LocalRefusalCode>;
  'confirm-clock': Outcome<{ confirmed: true }, LocalRefusalCode>;
  welcomed: null;
  acknowledged: null;
  unacknowledged: null;
  lease: null;
  command: null;
  settings: null;
  notice: null;
  refused: null;
  disconnected: null;
};

export type SiteEventKind = keyof SiteEvents;
export type SiteEvent<Kind extends SiteEventKind = SiteEventKind> = { [K in Kind]: { kind: K } & SiteEvents[K] }[Kind];

type Handlers = {
  [Kind in SiteEventKind]: (work: Work, event: SiteEvent<Kind>, reading: Reading) => SiteAnswers[Kind];
};

const handlers: Handlers = {
  tick: () => null,
  'check-in': checkIn,
  register,
  'remove-endpoint': removeEndpoint,
  'correct-report': correctReport,
  'confirm-clock': confirmByOperator,
  welcomed,
  acknowledged,
  unacknowledged: noteUnacknowledged,
  lease: (work, { lease }) => acceptLease(work, lease),
  command: (work, { command }) => applyCommand(work, command),
  settings: takeSettings,
  notice: noteNotice,
  refused: noteRefusal,
  disconnected,
};

type ToldTimes = { [Kind in SiteEventKind]?: (event: SiteEvent<Kind>) => ToldTime };

/** Events that bring the aggregator's time. */
const toldTimes: ToldTimes = {
  welcomed: ({ serverTime, heardSteadyMs }) => ({ serverTime, heardSteadyMs, by: 'welcome' }),
  acknowledged: ({ serverTime, heardSteadyMs }) => ({ serverTime, heardSteadyMs, by: 'ack' }),
};

/** A unit of work of one or more events that happen at one reading of the clocks and share a transaction. */
export class SiteWork {
  readonly #work: Work;
  readonly #reading: Reading;

  constructor(state: SiteState, reading: Reading, ports: SitePorts) {
    this.#work = new Work(state, ports);
    this.#reading = reading;
  }

  /** Decides one event; its changes are in the state at once, and in the plan of `finish`. */
  decide<Kind extends SiteEventKind>(event: SiteEvent<Kind>): SiteAnswers[Kind] {
    const kind: Kind = event.kind;
    const handle: Handlers[Kind] = handlers[kind];
    const tell: ToldTimes[Kind] = toldTimes[kind];
    this.#readTime(tell === undefined ? null : tell(event));
    this.#catchUp();
    return handle(this.#work, event, this.#reading);
  }

  /** The plan of all events decided; to be committed before anything is answered or sent. */
  finish(): Plan {
    // An operator's confirmation of the clock makes things due after its own catching up.
    this.#catchUp();
    return this.#work.plan;
  }

  #readTime(told: ToldTime | null): void {
    const { state } = this.#work;
    if (told === null) {
      const { clock, anomaly } = readClock(state.clock, this.#reading);
      state.clock = clock;
      if (anomaly !== null) state.pendingAnomalies.push(anomaly);
    } else {
      const { clock, anomaly, earlier } = contactClock(state.clock, this.#reading, told);
      state.clock = clock;
      for (const found of [earlier, anomaly]) if (found !== null) state.pendingAnomalies.push(found);
    }
  }

  /** Nothing is written down while the time is not known: it would be dated wrongly for good. */
  #catchUp(): void {
    const { state } = this.#work;
    if (state.clock.unconfirmed !== null) return;
    advance(this.#work);
    const anomalies = state.pendingAnomalies;
    state.pendingAnomalies = [];
    for (const anomaly of anomalies) this.#work.append(nowOf(state), 'clock-anomaly', anomaly);
    persistHeartbeat(this.#work);
  }
}

/**
 * Decides one event. The state has changed when this returns: the caller commits the plan before it does anything else, and
 * rebuilds the state from disk when it cannot.
 */
export function decide<Kind extends SiteEventKind>(
  state: SiteState,
  event: SiteEvent<Kind>,
  reading: Reading,
  ports: SitePorts,
): { plan: Plan; answer: SiteAnswers[Kind] } {
  const work = new SiteWork(state, reading, ports);
  const answer = work.decide(event);
  return { plan: work.finish(), answer };
}

function confirmByOperator(
  work: Work,
  _event: SiteEvent<'confirm-clock'>,
  reading: Reading,
): SiteAnswers['confirm-clock'] {
  const { state } = work;
  const confirmed = confirmClock(state.clock, reading);
  if (!confirmed.ok) return confirmed;
  state.clock = confirmed.clock;
  return { ok: true, confirmed: true };
}
