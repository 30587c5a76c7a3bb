/**
 * Everything a Site Manager knows, in two parts: what follows from the ledger alone (`applyEntry` is the only reader of it),
 * and the soft state beside it (`applySoftChange` is the only writer). Both are changed by a plan and by nothing else, so a
 * state rebuilt from disk is the state that was live. Deciding what goes into a plan belongs to the other files of core/.
 *
 * The state is mutable, since a roll of thousands must not be copied for each check-in. The rule that makes this safe: the
 * caller commits the plan right after it was decided, and before anything is answered or sent; when the commit fails the
 * state is thrown away and rebuilt from disk.
 */
import type { AgentKind, AgentOrigin } from '@rollcall/shared/domain/agent-kind.ts';
import { type Instant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Lease, stageBeginsAt } from '@rollcall/shared/domain/lease.ts';
import { type Month, monthOf, monthPeriod, nextMonth } from '@rollcall/shared/domain/month.ts';
import type { Product } from '@rollcall/shared/domain/product.ts';
import type { KeyState } from '@rollcall/shared/domain/product-key.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import { type Head } from '@rollcall/shared/ledger/chain.ts';
import type { Hash, PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import type { EntryBody, KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { countChanges, IntervalBook } from '@rollcall/shared/ledger/intervals.ts';
import { applyToMeter, type MonthMeter, startMeter } from '@rollcall/shared/metering/month-meter.ts';
import { type ClockAnomaly, instantOf, type Reading, type SiteClock, startClock } from './site-clock.ts';

/** What a machine registered with; the ledger learns of it only once an agent is deployed there. */
export type Registration = {
  endpointId: string;
  machineId: string;
  hostName: string;
  origin: AgentOrigin;
  /** SHA-256 of the credential's text. */
  credentialHash: Hash;
  registeredAt: Instant;
  /** The last accepted check-in. */
  lastHeardAt: Instant | null;
};

/** A refusal by the aggregator that trying again does not mend by itself. */
export type UplinkRefusal = { code: string; message: string; at: Instant };
export type SiteNotice = { code: string; message: string; at: Instant };

/** Between two writings of the time that the site was surely alive at. */
export const heartbeatEveryMs = 60_000;

/** Trusted time in the last minute in which the site lived, the offset it was reckoned with, and whether a contact stood behind it. */
export type Heartbeat = { at: Instant; wallOffsetMs: number; vouched: boolean };

/** Durable, but not in the ledger: it says what happened last, not what happened. */
export type SoftState = {
  registrations: Map<string, Registration>;
  /** The newest lease of each key. */
  leases: Map<string, Lease>;
  heartbeat: Heartbeat | null;
  lastContactAt: Instant | null;
  /** The highest entry the aggregator said it holds. */
  acknowledgedSeq: number;
  refusal: UplinkRefusal | null;
  notice: SiteNotice | null;
};

export type SoftChange =
  | { kind: 'registered'; registration: Registration }
  | { kind: 'heard'; endpointId: string; at: Instant }
  | { kind: 'registration-forgotten'; endpointId: string }
  | { kind: 'lease'; lease: Lease }
  | { kind: 'heartbeat'; heartbeat: Heartbeat }
  | { kind: 'contact'; lastContactAt: Instant }
  | { kind: 'acknowledged'; seq: number }
  | { kind: 'refusal'; refusal: UplinkRefusal | null }
  | { kind: 'notice'; notice: SiteNotice | null };

export const emptySoftState = (): SoftState => ({
  registrations: new Map(),
  leases: new Map(),
  heartbeat: null,
  lastContactAt: null,
  acknowledgedSeq: 0,
  refusal: null,
  notice: null,
});

export type SiteIdentity = {
  siteId: string;
  siteName: string;
  timeZone: TimeZone;
  publicKey: PublicKey;
  /** The first enrolment: where the site's life begins. */
  enrolledAt: Instant;
};

export type DeployedAgent = {
  endpointId: string;
  machineId: string;
  keyId: string;
  hostName: string;
  agentKind: AgentKind;
  origin: AgentOrigin;
  product: Product;
  agentVersion: string;
  /** Start of the interval that is open now: a change of kind begins a new one. */
  deployedAt: Instant;
};

export type SiteKey = { keyId: string; product: Product; keyHint: string; state: KeyState; stateSince: Instant };

/** When the stages of a key's lease begin, milliseconds since 1970. */
export type StageStarts = { warning: number; restricted: number; 'disabled-offline': number };

/** The month that is running: the next to be sealed. */
export type OpenMonth = { month: Month; start: Instant; end: Instant; meter: MonthMeter };

export type SiteState = {
  head: Head;
  identity: SiteIdentity;
  settings: SiteSettings;
  agents: Map<string, DeployedAgent>;
  /** Endpoint of each machine that ever had an agent here or is registered: a machine keeps its endpoint for good. */
  endpointOfMachine: Map<string, string>;
  /** When the agent of an endpoint was removed last, while none is deployed there. */
  removedAt: Map<string, Instant>;
  keys: Map<string, SiteKey>;
  openMonth: OpenMonth;
  /** Intervals that can still touch a month not yet sealed. */
  intervals: IntervalBook;
  contactLostSince: Instant | null;
  appliedCommands: Set<string>;
  soft: SoftState;
  endpointOfCredential: Map<Hash, string>;
  stageStarts: Map<string, StageStarts>;
  /** No deployed agent was heard of before this (ms): the next stale removal need not be looked for until it can be due. */
  heardFloorMs: number;
  clock: SiteClock;
  /** Anomalies noticed before they could be written down. */
  pendingAnomalies: ClockAnomaly[];
  connected: boolean;
  /** Since when the aggregator is known to acknowledge nothing of what it is sent; a new program finds out anew. */
  unacknowledgedSince: Instant | null;
};

/**
 * The state as disk says it is: entries in order from number 1, soft state, and the first reading of the clocks.
 * @throws RollcallError `LEDGER_CORRUPT` when the entries contradict each other, `NOT_ENROLLED` when there are none.
 */
export function rebuildSite(
  entries: Iterable<{ entry: KnownEntry; hash: Hash }>,
  soft: SoftState,
  reading: Reading,
): SiteState {
  let state: SiteState | undefined;
  for (const { entry, hash } of entries) {
    if (state === undefined) {
      if (entry.kind !== 'site-enrolled' || entry.seq !== 1)
        throw new RollcallError('LEDGER_CORRUPT', 'the ledger does not begin with the enrolment of its site', {
          retryable: false,
        });
      state = firstState(entry, hash, soft, reading);
    } else if (entry.seq !== state.head.seq + 1 || entry.prev !== state.head.hash) {
      throw new RollcallError(
        'LEDGER_CORRUPT',
        `entry ${entry.seq} of the ledger does not follow entry ${state.head.seq}`,
        { retryable: false },
      );
    } else {
      try {
        applyEntry(state, entry, hash);
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause;
        throw new RollcallError('LEDGER_CORRUPT', `entry ${entry.seq} of the ledger: ${cause.message}`, {
          retryable: false,
          cause,
        });
      }
    }
  }
  if (state === undefined)
    throw new RollcallError('NOT_ENROLLED', 'this Site Manager is not enrolled', {
      retryable: false,
      hint: 'run rollcall-site enrol',
    });
  if (soft.acknowledgedSeq > state.head.seq)
    throw new RollcallError(
      'LEDGER_CORRUPT',
      `the ledger ends at entry ${state.head.seq}, before entry ${soft.acknowledgedSeq} that the aggregator holds`,
      {
        retryable: false,
      },
    );
  for (const { endpointId, machineId, credentialHash } of soft.registrations.values()) {
    state.endpointOfMachine.set(machineId, endpointId);
    state.endpointOfCredential.set(credentialHash, endpointId);
  }
  for (const lease of soft.leases.values()) state.stageStarts.set(lease.keyId, stageStartsOf(lease));
  state.heardFloorMs = heardFloorOf(state);
  // Before the first heartbeat the last known time is that of the enrolment, which the aggregator told.
  const { wallOffsetMs, vouched } = soft.heartbeat ?? { wallOffsetMs: 0, vouched: true };
  const started = startClock(lastKnownAt(soft, state.head.at), wallOffsetMs, reading, vouched);
  state.clock = started.clock;
  state.pendingAnomalies = started.anomaly === null ? [] : [started.anomaly];
  return state;
}

/**
 * The latest instant that the site was surely alive at. A head further ahead of the last heartbeat than one beat was dated
 * while a clock was believed that a contact then corrected: that time has not come yet.
 */
function lastKnownAt({ heartbeat }: SoftState, headAt: Instant): Instant {
  if (heartbeat === null) return headAt;
  const isAhead = msOfInstant(headAt) > msOfInstant(heartbeat.at) + heartbeatEveryMs;
  return isAhead || headAt < heartbeat.at ? heartbeat.at : headAt;
}

function firstState(
  entry: KnownEntry & { kind: 'site-enrolled' },
  hash: Hash,
  soft: SoftState,
  reading: Reading,
): SiteState {
  const { siteId, siteName, timeZone, publicKey, settings } = entry.body;
  const month = monthOf(entry.at, timeZone);
  const period = { start: entry.at, end: monthPeriod(month, timeZone).end };
  return {
    head: { seq: entry.seq, hash, at: entry.at },
    identity: { siteId, siteName, timeZone, publicKey, enrolledAt: entry.at },
    settings,
    agents: new Map(),
    endpointOfMachine: new Map(),
    removedAt: new Map(),
    keys: new Map(),
    openMonth: { month, ...period, meter: startMeter(period.start, { server: 0, workstation: 0 }) },
    intervals: new IntervalBook(),
    contactLostSince: null,
    appliedCommands: new Set(),
    soft,
    endpointOfCredential: new Map(),
    stageStarts: new Map(),
    heardFloorMs: Number.POSITIVE_INFINITY,
    clock: startClock(entry.at, 0, reading, true).clock,
    pendingAnomalies: [],
    connected: false,
    unacknowledgedSince: null,
  };
}

/** The one reading of the ledger at its site. @throws RangeError when the entry contradicts what came before it. */
export function applyEntry(state: SiteState, entry: KnownEntry, hash: Hash): void {
  state.head = { seq: entry.seq, hash, at: entry.at };
  for (const { kind, delta } of countChanges(entry))
    state.openMonth = { ...state.openMonth, meter: applyToMeter(state.openMonth.meter, { at: entry.at, kind, delta }) };
  state.intervals.apply(entry);
  switch (entry.kind) {
    case 'site-enrolled':
      // Again: new key pair, perhaps a new name. The zone stays, so that the months tile.
      state.identity = { ...state.identity, siteName: entry.body.siteName, publicKey: entry.body.publicKey };
      state.settings = entry.body.settings;
      break;
    case 'key-added':
      // Its first state follows in an entry of its own.
      state.keys.set(entry.body.keyId, { ...entry.body, state: 'disabled-offline', stateSince: entry.at });
      break;
    case 'key-removed':
      state.keys.delete(entry.body.keyId);
      break;
    case 'key-state': {
      const key = state.keys.get(entry.body.keyId);
      if (key === undefined) throw new RangeError(`there is no key ${entry.body.keyId}`);
      state.keys.set(key.keyId, { ...key, state: entry.body.state, stateSince: entry.at });
      break;
    }
    case 'agent-deployed':
      state.agents.set(entry.body.endpointId, { ...entry.body, deployedAt: entry.at });
      state.endpointOfMachine.set(entry.body.machineId, entry.body.endpointId);
      state.removedAt.delete(entry.body.endpointId);
      break;
    case 'agent-changed':
      changeAgent(state, entry.body, entry.at);
      break;
    case 'agent-removed':
      state.agents.delete(entry.body.endpointId);
      state.removedAt.set(entry.body.endpointId, entry.at);
      break;
    case 'contact-lost':
      state.contactLostSince = entry.body.since;
      break;
    case 'contact-restored':
      state.contactLostSince = null;
      break;
    case 'month-sealed':
      beginMonth(state, entry.body.period.end);
      break;
    case 'command-applied':
      state.appliedCommands.add(entry.body.commandId);
      break;
    case 'settings-changed':
      state.settings = entry.body.settings;
      break;
    case 'clock-anomaly':
    case 'report-corrected':
      break;
  }
}

function changeAgent(state: SiteState, body: EntryBody<'agent-changed'>, at: Instant): void {
  const agent = state.agents.get(body.endpointId);
  if (agent === undefined) throw new RangeError(`${body.endpointId} is not deployed`);
  const { agentKindBefore, ...facts } = body;
  state.agents.set(body.endpointId, {
    ...agent,
    ...facts,
    deployedAt: facts.agentKind === agentKindBefore ? agent.deployedAt : at,
  });
}

function beginMonth(state: SiteState, start: Instant): void {
  const month = nextMonth(state.openMonth.month);
  const { server, workstation } = state.openMonth.meter;
  state.openMonth = {
    month,
    start,
    end: monthPeriod(month, state.identity.timeZone).end,
    meter: startMeter(start, { server: server.count, workstation: workstation.count }),
  };
  state.intervals.forgetBefore(start);
}

/** The one writer of soft state; a disk, real or simulated, applies the same changes to its own copy. */
export function applySoftChange(soft: SoftState, change: SoftChange): void {
  switch (change.kind) {
    case 'registered':
      soft.registrations.set(change.registration.endpointId, change.registration);
      break;
    case 'heard': {
      const registration = soft.registrations.get(change.endpointId);
      if (registration !== undefined)
        soft.registrations.set(change.endpointId, { ...registration, lastHeardAt: change.at });
      break;
    }
    case 'registration-forgotten':
      soft.registrations.delete(change.endpointId);
      break;
    case 'lease':
      soft.leases.set(change.lease.keyId, change.lease);
      break;
    case 'heartbeat':
      soft.heartbeat = change.heartbeat;
      break;
    case 'contact':
      soft.lastContactAt = change.lastContactAt;
      break;
    case 'acknowledged':
      soft.acknowledgedSeq = change.seq;
      break;
    case 'refusal':
      soft.refusal = change.refusal;
      break;
    case 'notice':
      soft.notice = change.notice;
      break;
  }
}

/** When an agent was last heard of; its deployment counts as one. */
export function lastHeardAt(state: SiteState, agent: DeployedAgent): Instant {
  return state.soft.registrations.get(agent.endpointId)?.lastHeardAt ?? agent.deployedAt;
}

/** The earliest of all deployed agents' last signs, in milliseconds; infinity where none is deployed. */
export function heardFloorOf(state: SiteState): number {
  let earliest: Instant | undefined;
  for (const agent of state.agents.values()) {
    const heardAt = lastHeardAt(state, agent);
    if (earliest === undefined || heardAt < earliest) earliest = heardAt;
  }
  return earliest === undefined ? Number.POSITIVE_INFINITY : msOfInstant(earliest);
}

export const stageStartsOf = (lease: Lease): StageStarts => ({
  warning: msOfInstant(stageBeginsAt(lease, 'warning')),
  restricted: msOfInstant(stageBeginsAt(lease, 'restricted')),
  'disabled-offline': msOfInstant(stageBeginsAt(lease, 'disabled-offline')),
});

/** Now, for everything that is written down: trusted time, but never before the ledger's head. */
export function nowOf(state: SiteState): Instant {
  const now = instantOf(state.clock.trustedMs);
  return now < state.head.at ? state.head.at : now;
}

/** The last sign of the aggregator: now while connected; the enrolment was the first. */
export const lastContactAt = (state: SiteState): Instant =>
  state.connected ? nowOf(state) : (state.soft.lastContactAt ?? state.identity.enrolledAt);
