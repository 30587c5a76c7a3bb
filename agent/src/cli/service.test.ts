import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeAggregator, fakeProductKey, startFakeAggregator } from '../testing/fake-aggregator.ts';
import { type Ended, runProgram, startProgram, untilSays } from '../testing/program.ts';
import { seedSite } from '../testing/seeded-site.ts';

const token = 'tok_secret_abcdefghijklmnop';

let root: string;
let aggregator: FakeAggregator;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'rollcall-service-'));
  aggregator = await startFakeAggregator(systemClock);
});

afterAll(async () => {
  await aggregator.close();
  rmSync(root, { recursive: true });
});

type LocalApi = { url: string; pid: number; operatorToken: string };
const localApi = (folder: string): LocalApi =>
  JSON.parse(readFileSync(join(folder, 'local-api.json'), 'utf8')) as LocalApi;

const command = (folder: string, ...args: string[]): Promise<Ended> => runProgram([...args, '--data-folder', folder]);

describe('the service', { timeout: 60_000 }, () => {
  test('admits, counts, corrects, answers its operator, and stops when told', async () => {
    const folder = join(root, 'running');
    const { months, endpoints } = seedSite(folder, 'http://127.0.0.1:9');
    expect((await command(folder, 'enrol', '--again', '--server', aggregator.url, '--token', token)).exitCode).toBe(0);
    const service = startProgram(['run', '--local-api-port', '0', '--data-folder', folder]);
    const said = await untilSays(service.child, /the Site Manager runs/);
    const url = /"localApi":"([^"]+)"/.exec(said)?.[1] ?? '';
    const joinCode = (await command(folder, 'endpoints', 'join-code')).stdout.trim();

    const post = async (
      path: string,
      body: unknown,
      bearer = '',
    ): Promise<{ status: number; body: Record<string, unknown> }> => {
      const headers = {
        'Content-Type': 'application/json',
        ...(bearer === '' ? {} : { Authorization: `Bearer ${bearer}` }),
      };
      const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    const until = async (check: () => Promise<boolean>): Promise<void> => {
      for (let tries = 0; tries < 100; tries++) {
        if (await check()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error('it did not come true');
    };
    await until(async () => (await command(folder, 'status', '--json')).stdout.includes('"connected":true'));

    const credentials: string[] = [];
    for (const proof of [{ joinCode }, { productKey: fakeProductKey }]) {
      const registered = await post('/endpoint/v1/register', {
        machineId: `machine-${credentials.length}-new`,
        hostName: 'new',
        ...proof,
      });
      expect(registered.status).toBe(200);
      const credential = String(registered.body['credential']);
      credentials.push(credential);
      const agent = { kind: 'workstation', product: 'metered-agent', agentVersion: '2', hostName: 'new' };
      expect(await post('/endpoint/v1/check-in', { agent }, credential)).toMatchObject({
        status: 200,
        body: { deployed: true },
      });
    }
    expect(
      (await post('/endpoint/v1/register', { machineId: 'machine-9', hostName: 'x', joinCode: 'wrong-code-entirely' }))
        .status,
    ).toBe(403);

    const status = await command(folder, 'status');
    expect(status.exitCode).toBe(0);
    expect(status.stdout).toMatch(/service +running/);
    const listed = await command(folder, 'endpoints');
    expect(listed.stdout).toMatch(/new +workstation +standalone/);
    expect(listed.stdout).toMatch(/new +workstation +managed/);

    const removed = await command(folder, 'endpoints', 'remove', endpoints['web-2'], '--reason', 'replaced');
    expect([removed.exitCode, removed.stdout]).toEqual([0, expect.stringContaining(`removed ${endpoints['web-2']}`)]);
    const twice = await command(folder, 'endpoints', 'remove', endpoints['web-2'], '--reason', 'replaced');
    expect([twice.exitCode, twice.stdout]).toEqual([1, '']);

    const corrected = await command(
      folder,
      'report',
      'correct',
      months[2],
      '--exclude',
      endpoints['web-2'],
      '--reason',
      'was a test machine',
    );
    expect([corrected.exitCode, corrected.stdout]).toEqual([
      0,
      expect.stringContaining('is now revision 2: 1 server, 1 workstation, 1 endpoint left out'),
    ]);
    const shown = await command(folder, 'report', 'show', months[2]);
    expect(shown.stdout).toMatch(/web-2 +ep_\d+ +was a test machine/);
    expect(shown.stdout).toMatch(/revision +2 \(corrected\)/);
    const earlier = await command(folder, 'report', 'show', months[2], '--revision', '1');
    expect(earlier.stdout).toMatch(/revision +1 of 2 \(corrected since\)/);

    // An older month bears the key of its time, a later one the new key; both verify while the service writes on.
    for (const month of [months[0], months[2]]) {
      const exported = await command(folder, 'report', 'export', month);
      const verdict = await runProgram(['verify', '-', '--json'], { stdin: exported.stdout });
      expect([verdict.exitCode, JSON.parse(verdict.stdout)]).toMatchObject([0, { ok: true }]);
    }

    const second = await command(folder, 'run', '--local-api-port', '0');
    expect([second.exitCode, second.stderr]).toEqual([1, expect.stringContaining('another Site Manager is running')]);
    const again = await command(folder, 'enrol', '--again', '--token', token);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining('another Site Manager is running')]);

    const { operatorToken } = localApi(folder);
    expect(statSync(join(folder, 'local-api.json')).mode & 0o777).toBe(0o600);
    service.child.kill('SIGTERM');
    const ended = await service.ended;
    expect([ended.exitCode, ended.stdout]).toEqual([0, '']);
    expect(existsSync(join(folder, 'local-api.json'))).toBe(false);
    await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed');

    const secrets = [token, joinCode, fakeProductKey, operatorToken, ...credentials];
    const said2 = [
      ended.stderr,
      status.stdout,
      listed.stdout,
      removed.stdout,
      corrected.stdout,
      twice.stderr,
      again.stderr,
    ].join('\n');
    for (const secret of secrets) expect(said2).not.toContain(secret);
    expect(said2).not.toContain('PRIVATE KEY');
  });

  test('a taken port is one clear sentence, and nothing is left running', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const port = String((taken.address() as AddressInfo).port);
    const folder = join(root, 'port-taken');
    await command(folder, 'enrol', '--server', aggregator.url, '--token', token);
    const { exitCode, stderr } = await command(folder, 'run', '--local-api-port', port, '--log-level', 'silent');
    taken.close();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^rollcall-site: port ${port} on 127\\.0\\.0\\.1 is taken by another program\n  what to do: .*--local-api-port\n$`,
      ),
    );
  });

  test('a service that was killed is found not to run, and starts again', async () => {
    const folder = join(root, 'killed');
    await command(folder, 'enrol', '--server', aggregator.url, '--token', token);
    const service = startProgram(['run', '--local-api-port', '0', '--data-folder', folder]);
    await untilSays(service.child, /the Site Manager runs/);
    const killed = localApi(folder);
    service.child.kill('SIGKILL');
    await service.ended;
    // Somebody else listens where it listened, and would like to know what its operator shows.
    const heard: string[] = [];
    const thief = createServer((request, response) => {
      heard.push(request.headers.authorization ?? '');
      response.end('{}');
    });
    await new Promise<void>((resolve) => thief.listen(Number(new URL(killed.url).port), '127.0.0.1', resolve));
    expect((await command(folder, 'status')).exitCode).toBe(3);
    expect((await command(folder, 'confirm-clock')).stderr).toContain('the service does not run');
    expect(heard).toEqual([]);
    // Even where the number of its process is taken again: what the thief then hears opens nothing.
    writeFileSync(join(folder, 'local-api.json'), JSON.stringify({ ...killed, pid: process.pid }));
    expect((await command(folder, 'status')).stderr).toContain('is not the Site Manager of this version');
    expect(heard).toEqual([`Bearer ${killed.operatorToken}`]);
    thief.close();
    const next = startProgram(['run', '--local-api-port', '0', '--data-folder', folder]);
    await untilSays(next.child, /the Site Manager runs/);
    expect((await command(folder, 'status')).exitCode).toBe(0);
    const answer = await fetch(`${localApi(folder).url}/operator/v1/status`, {
      headers: { Authorization: heard[0] ?? '' },
    });
    expect(answer.status).toBe(401);
    next.child.kill('SIGINT');
    expect((await next.ended).exitCode).toBe(0);
  });
});
