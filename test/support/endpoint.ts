/** An endpoint as a site's local API sees it: registers, keeps its credential, checks in. Plays the small reporter's part in tests. */
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import { type AgentReport, CheckInResponse, localPaths, RegisterResponse } from '@rollcall/shared/api/local.ts';
import { codeOf } from './api.ts';

const callTimeoutMs = 10_000;
const retryEveryMs = 50;
const retryForMs = 120_000;

export type LocalAnswer = { status: number; text: string; retryAfter: string | null };
export type Refused = { ok: false; status: number; code: string; retryAfter: string | null };
export type Heard = { ok: true; answer: CheckInResponse } | Refused;

/** What a machine shows to register. */
export type Proof = { joinCode: string } | { productKey: string };

/** One request to a local API, whatever its answer. @throws when there is none. */
export async function askLocal(
  url: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<LocalAnswer> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(callTimeoutMs),
  });
  return { status: response.status, text: await response.text(), retryAfter: response.headers.get('retry-after') };
}

const refused = ({ status, text, retryAfter }: LocalAnswer): Refused => ({
  ok: false,
  status,
  code: codeOf(text),
  retryAfter,
});

export class Endpoint {
  readonly machineId: string;
  readonly hostName: string;
  endpointId = '';
  #credential = '';

  constructor(hostName: string, machineId = `machine-of-${hostName}`) {
    this.hostName = hostName;
    this.machineId = machineId;
  }

  async register(url: string, proof: Proof): Promise<{ ok: true } | Refused> {
    const { machineId, hostName } = this;
    const answer = await askLocal(url, localPaths.register, { machineId, hostName, ...proof });
    if (answer.status !== 200) return refused(answer);
    const { endpointId, credential } = RegisterResponse.parse(JSON.parse(answer.text));
    this.endpointId = endpointId;
    this.#credential = credential;
    return { ok: true };
  }

  /** Checks in with an agent of the kind, or with none. */
  async checkIn(url: string, kind: AgentKind | null): Promise<Heard> {
    const agent = kind === null ? null : this.agent(kind);
    const answer = await askLocal(url, localPaths.checkIn, { agent }, { Authorization: `Bearer ${this.#credential}` });
    return answer.status === 200
      ? { ok: true, answer: CheckInResponse.parse(JSON.parse(answer.text)) }
      : refused(answer);
  }

  agent(kind: AgentKind): AgentReport {
    return { kind, product: 'metered-agent', agentVersion: '1.0.0', hostName: this.hostName };
  }

  /** Registers and checks in; every answer must be yes. */
  async join(url: string, proof: Proof, kind: AgentKind): Promise<CheckInResponse> {
    const registered = await this.register(url, proof);
    if (!registered.ok) throw new Error(`${this.hostName} was not registered: ${registered.code}`);
    return this.mustCheckIn(url, kind);
  }

  async mustCheckIn(url: string, kind: AgentKind | null): Promise<CheckInResponse> {
    const heard = await this.checkIn(url, kind);
    if (!heard.ok) throw new Error(`${this.hostName} was not heard: ${heard.status} ${heard.code}`);
    return heard.answer;
  }
}

/**
 * Asks again until there is an answer that is not a matter of waiting: what a real client does while a Site Manager is killed
 * and started again.
 */
export async function persistently<Answer extends { ok: true } | Refused>(ask: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + retryForMs;
  for (;;) {
    const answer = await ask().catch((error: unknown) => {
      if (performance.now() > deadline) throw error;
      return undefined;
    });
    if (answer !== undefined) {
      const mayPass = !answer.ok && (answer.status >= 500 || answer.status === 429);
      if (!mayPass || performance.now() > deadline) return answer;
    }
    await pause(retryEveryMs);
  }
}
