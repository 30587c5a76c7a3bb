/**
 * The roll: which endpoints there are, and how what they say becomes agent-deployed, -changed and -removed. Owns
 * registration, check-in, stale limits and removal; what a key allows is `lease-policy.ts`, credentials are the shell's.
 */
import type {
  AgentReport,
  CheckInResponse,
  LocalRefusalCode,
  RemoveEndpointRequest,
} from '@rollcall/shared/api/local.ts';
import { endpointsPerSiteMax } from '@rollcall/shared/domain/endpoint.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { allowedIn } from '@rollcall/shared/domain/lease.ts';
import { type Outcome, type Refusal, refuse } from '@rollcall/shared/domain/problem.ts';
import type { KeyState } from '@rollcall/shared/domain/product-key.ts';
import type { Hash } from '@rollcall/shared/ledger/crypto.ts';
import { keyFor } from './lease-policy.ts';
import type { Work } from './plan.ts';
import {
  type DeployedAgent,
  heardFloorOf,
  lastHeardAt,
  nowOf,
  type Registration,
  type SiteState,
} from './site-state.ts';

const dayMs = 86_400_000;
/** Between check-ins of an endpoint: often enough to notice an agent's end within the hour. */
export const checkInIntervalSeconds = 900;
/** While the key is not well: endpoints should learn soon of it and of its recovery. */
export const checkInIntervalTroubledSeconds = 60;
/** A registration without an agent, from its beginning or since the agent was removed, may make room for another after this. */
export const idleRegistrationMs = dayMs;

export type RegistrationRequest = {
  machineId: string;
  hostName: string;
  /** What the machine showed: the join code (already compared), or a product key by the SHA-256 of its text. */
  proof: { by: 'join-code' } | { by: 'product-key'; keyTextHash: Hash };
  credentialHash: Hash;
  /** Identifier for a machine not seen before. */
  newEndpointId: string;
};
export type Registered = { endpointId: string };

/** Registers a machine, or gives a known one a new credential. `PRODUCT_KEY_WRONG`, `ENDPOINT_LIMIT`. */
export function register(work: Work, request: RegistrationRequest): Outcome<Registered, LocalRefusalCode> {
  const { state } = work;
  const { machineId, hostName, credentialHash, proof } = request;
  if (
    proof.by === 'product-key' &&
    ![...state.soft.leases.values()].some((lease) => lease.keyTextHash === proof.keyTextHash)
  )
    return refuse(
      'PRODUCT_KEY_WRONG',
      'this product key is not one of this site',
      'type the key again, or ask the Site Manager for its join code',
    );
  const knownId = state.endpointOfMachine.get(machineId);
  const known = knownId === undefined ? undefined : state.soft.registrations.get(knownId);
  if (known === undefined && !makeRoom(work)) return endpointLimit();
  const registration: Registration = {
    endpointId: knownId ?? request.newEndpointId,
    machineId,
    hostName,
    origin: proof.by === 'join-code' ? 'managed' : 'standalone',
    credentialHash,
    registeredAt: nowOf(state),
    lastHeardAt: known?.lastHeardAt ?? null,
  };
  work.change({ kind: 'registered', registration });
  return { ok: true, endpointId: registration.endpointId };
}

/**
 * An endpoint says what agent it runs, or that it runs none any more. `CREDENTIAL_WRONG`, `TIME_UNCONFIRMED`; for an agent not
 * deployed yet also `NO_KEY`, `KEY_RESTRICTED`, `KEY_DISABLED`, `KEY_DEACTIVATED`, `ENDPOINT_LIMIT`. A deployed agent is heard in
 * every state of its key.
 */
export function checkIn(
  work: Work,
  { credentialHash, agent }: { credentialHash: Hash; agent: AgentReport | null },
): Outcome<CheckInResponse, LocalRefusalCode> {
  const { state } = work;
  const endpointId = state.endpointOfCredential.get(credentialHash);
  const registration = endpointId === undefined ? undefined : state.soft.registrations.get(endpointId);
  if (registration === undefined)
    return refuse('CREDENTIAL_WRONG', 'no endpoint has this credential', 'register the endpoint again');
  if (state.clock.unconfirmed !== null) return timeUnconfirmed();
  const now = nowOf(state);
  const deployed = state.agents.get(registration.endpointId);
  if (agent !== null && deployed === undefined) {
    const refusal = deploy(work, registration, agent);
    if (refusal !== null) return refusal;
  } else if (agent !== null && deployed !== undefined) {
    change(work, deployed, registration, agent);
  } else if (deployed !== undefined) {
    const { agentKind } = deployed;
    work.append(now, 'agent-removed', { endpointId: deployed.endpointId, agentKind, reason: 'uninstalled' });
  }
  work.change({ kind: 'heard', endpointId: registration.endpointId, at: now });
  const key = keyFor(state, agent?.product ?? deployed?.product ?? 'metered-agent');
  return {
    ok: true,
    at: now,
    deployed: agent !== null,
    keyState: key?.state ?? null,
    allowed: key === null ? { backup: false, deploy: false, restore: true } : allowedIn(key.state),
    nextCheckInSeconds: key?.state === 'active' ? checkInIntervalSeconds : checkInIntervalTroubledSeconds,
  };
}

/** The operator takes an endpoint's agent off the roll; should it check in again, it is deployed again. */
export function removeEndpoint(
  work: Work,
  { endpointId, reason }: RemoveEndpointRequest,
): Outcome<{ removed: true }, LocalRefusalCode> {
  const { state } = work;
  const agent = state.agents.get(endpointId);
  const isKnown = agent !== undefined || state.soft.registrations.has(endpointId);
  if (!isKnown)
    return refuse('NOT_FOUND', `this site has no endpoint ${endpointId}`, 'rollcall-site endpoints lists them');
  if (state.clock.unconfirmed !== null) return timeUnconfirmed();
  if (agent === undefined) return refuse('NOT_DEPLOYED', `no agent is deployed on ${endpointId}`);
  work.append(nowOf(state), 'agent-removed', { endpointId, agentKind: agent.agentKind, reason });
  return { ok: true, removed: true };
}

/** When the next stale limit may pass, in milliseconds; infinity where none will. May be early, never late. */
export const staleNotBeforeMs = (state: SiteState): number =>
  state.settings.staleAfterDays === 0
    ? Number.POSITIVE_INFINITY
    : state.heardFloorMs + state.settings.staleAfterDays * dayMs;

export type StaleDue = { agent: DeployedAgent; dueMs: number };

/** Agents whose stale limit has passed at `nowMs`, in the order in which it did. */
export function staleAgents(state: SiteState, nowMs: number): StaleDue[] {
  if (staleNotBeforeMs(state) > nowMs) return [];
  // The floor is raised only here: an endpoint that was heard since leaves it too low, which costs one walk a limit's length.
  state.heardFloorMs = heardFloorOf(state);
  if (staleNotBeforeMs(state) > nowMs) return [];
  const limitMs = state.settings.staleAfterDays * dayMs;
  const due: StaleDue[] = [];
  for (const agent of state.agents.values()) {
    const dueMs = msOfInstant(lastHeardAt(state, agent)) + limitMs;
    if (dueMs <= nowMs) due.push({ agent, dueMs });
  }
  return due.sort((a, b) => a.dueMs - b.dueMs || (a.agent.endpointId < b.agent.endpointId ? -1 : 1));
}

/** Removes a stale agent at the instant its limit passed. */
export function removeStale(work: Work, { agent, dueMs }: StaleDue): void {
  const { endpointId, agentKind } = agent;
  work.append(instantFromMs(dueMs), 'agent-removed', { endpointId, agentKind, reason: 'stale' });
}

export const timeUnconfirmed = (): Refusal<'TIME_UNCONFIRMED'> =>
  refuse(
    'TIME_UNCONFIRMED',
    'the Site Manager does not know yet what time it is',
    'it asks the aggregator; without contact, run rollcall-site confirm-clock once the clock of the machine is right',
  );

const endpointLimit = (): Refusal<'ENDPOINT_LIMIT'> =>
  refuse(
    'ENDPOINT_LIMIT',
    `this site has ${endpointsPerSiteMax} endpoints, as many as one Site Manager keeps`,
    'remove endpoints that are gone',
  );

const keyRefusals = {
  restricted: {
    code: 'KEY_RESTRICTED',
    message: 'the key allows no new deployments until contact with the aggregator returns',
  },
  'disabled-offline': {
    code: 'KEY_DISABLED',
    message: 'the key is disabled until contact with the aggregator returns',
  },
  deactivated: { code: 'KEY_DEACTIVATED', message: 'the key was deactivated in the portal' },
} as const satisfies Partial<Record<KeyState, { code: LocalRefusalCode; message: string }>>;

function deploy(work: Work, registration: Registration, agent: AgentReport): Refusal<LocalRefusalCode> | null {
  const { state } = work;
  const key = keyFor(state, agent.product);
  if (key === null)
    return refuse('NO_KEY', 'this site has no key for this product', 'create a key for the site in the portal');
  if (key.state === 'restricted' || key.state === 'disabled-offline' || key.state === 'deactivated') {
    const { code, message } = keyRefusals[key.state];
    return refuse(code, message);
  }
  if (state.agents.size >= endpointsPerSiteMax) return endpointLimit();
  const { endpointId, machineId, origin } = registration;
  const { product, agentVersion, hostName } = agent;
  const keyId = key.keyId;
  work.append(nowOf(state), 'agent-deployed', {
    endpointId,
    machineId,
    keyId,
    agentKind: agent.kind,
    origin,
    product,
    agentVersion,
    hostName,
  });
  return null;
}

function change(work: Work, deployed: DeployedAgent, { origin }: Registration, agent: AgentReport): void {
  const { endpointId } = deployed;
  const facts = {
    hostName: agent.hostName,
    agentKind: agent.kind,
    origin,
    product: agent.product,
    agentVersion: agent.agentVersion,
  };
  const isSame =
    facts.hostName === deployed.hostName &&
    facts.agentKind === deployed.agentKind &&
    facts.origin === deployed.origin &&
    facts.product === deployed.product &&
    facts.agentVersion === deployed.agentVersion;
  if (!isSame)
    work.append(nowOf(work.state), 'agent-changed', { endpointId, agentKindBefore: deployed.agentKind, ...facts });
}

/**
 * True when one more registration fits. If need be the one that was longest without an agent makes room: its machine registers
 * again should it come back, and keeps its endpoint if it ever had an agent.
 */
function makeRoom(work: Work): boolean {
  const { state } = work;
  if (Math.max(state.soft.registrations.size, state.agents.size) < endpointsPerSiteMax) return true;
  let longest: { endpointId: string; idleSince: Instant } | undefined;
  for (const { endpointId, registeredAt } of state.soft.registrations.values()) {
    if (state.agents.has(endpointId)) continue;
    // Not since it was last heard of: to say that there is no agent is no sign of one.
    const removedAt = state.removedAt.get(endpointId);
    const idleSince = removedAt !== undefined && removedAt > registeredAt ? removedAt : registeredAt;
    if (longest === undefined || idleSince < longest.idleSince) longest = { endpointId, idleSince };
  }
  if (longest === undefined || msOfInstant(longest.idleSince) + idleRegistrationMs > msOfInstant(nowOf(state)))
    return false;
  work.change({ kind: 'registration-forgotten', endpointId: longest.endpointId });
  return true;
}
