/** This machine as an endpoint of the first site: what it is, its credential, its check-in over the local API. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type AgentReport, CheckInResponse, localPaths, RegisterResponse } from '@rollcall/shared/api/local.ts';
import { osInfo, uuid } from 'systeminformation';

const callTimeoutMs = 10_000;

/** A hash of the machine's own identifier: stable, and of no use to anybody else. */
async function machineIdOfThisMachine(): Promise<string> {
  const { os, hardware } = await uuid();
  const known = [os, hardware].find((identifier) => identifier !== '' && identifier !== '-') ?? hostname();
  return createHash('sha256').update(`rollcall machine id\n${known}`).digest('hex').slice(0, 32);
}

/** Registers this machine if it has no credential yet, and checks it in as what its operating system says it is. */
export async function checkInThisMachine(
  localApiUrl: string,
  joinCode: string,
  credentialFile: string,
): Promise<{ agent: AgentReport; answer: CheckInResponse }> {
  const hostName = hostname();
  if (!existsSync(credentialFile)) {
    const body = { machineId: await machineIdOfThisMachine(), hostName, joinCode };
    const { credential } = RegisterResponse.parse(await post(`${localApiUrl}${localPaths.register}`, body, {}));
    writeFileSync(credentialFile, credential, { mode: 0o600 });
  }
  const agent: AgentReport = {
    kind: await kindOfThisMachine(),
    product: 'metered-agent',
    agentVersion: '1.0.0',
    hostName,
  };
  const headers = { Authorization: `Bearer ${readFileSync(credentialFile, 'utf8')}` };
  return {
    agent,
    answer: CheckInResponse.parse(await post(`${localApiUrl}${localPaths.checkIn}`, { agent }, headers)),
  };
}

/** A server says so in its name on Windows; on Linux it is a machine with nothing to sit down at. */
async function kindOfThisMachine(): Promise<AgentReport['kind']> {
  const { platform, distro } = await osInfo();
  if (platform === 'linux')
    return existsSync('/usr/share/xsessions') || existsSync('/usr/share/wayland-sessions') ? 'workstation' : 'server';
  return /server/i.test(distro) ? 'server' : 'workstation';
}

async function post(url: string, body: unknown, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(callTimeoutMs),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}
