/** `npm start` as a stranger runs it: from nothing to the printed result, again with its data, and refused in one sentence. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Invoice } from '@rollcall/shared/api/invoice.ts';
import { pageOf } from '@rollcall/shared/api/page.ts';
import { monthOf, previousMonth } from '@rollcall/shared/domain/month.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tenants } from '../../scripts/first-run/story.ts';
import { Api } from '../support/api.ts';
import { freePort } from '../support/ports.ts';
import { type Program, runProgram, startProgram, until } from '../support/program.ts';

const runningTimeoutMs = 170_000;
/** The aggregator's port; the local APIs of the sites take the next two. */
const ports = 3;

let folder: string;
let port: number;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-start-'));
  for (let found: number[] = []; found.length < ports; port = found[0] as number) {
    const next = await freePort();
    found = next === (found.at(-1) ?? 0) + 1 ? [...found, next] : [next];
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const npmStart = (): Program =>
  startProgram({ program: 'npm start', arguments: ['--data-folder', join(folder, 'data'), '--port', String(port)] });

const untilRunning = (program: Program): Promise<true> =>
  until('npm start comes to its end', () => (program.output().includes('\nRunning. ') ? true : undefined), {
    timeoutMs: runningTimeoutMs,
    everyMs: 200,
    programs: [program],
  });

/** Peaks of the second month as the story tells them: both sites together, by hand. */
const peaks = { server: 3 + 2, workstation: 7 + 3 };
const euros = (minor: number): string => `EUR ${Math.floor(minor / 100)}.${String(minor % 100).padStart(2, '0')}`;

describe('npm start', () => {
  test('makes two months of life, prints what they cost and how to look, keeps its data, and says when it cannot run', async () => {
    const first = npmStart();
    await untilRunning(first);
    const month = previousMonth(monthOf(systemClock.now(), 'Europe/Rome'));
    const [toDistributor, toMsp] = [tenants.toDistributor, tenants.toMsp].map(
      ({ serverUnitPriceMinor, workstationUnitPriceMinor }) =>
        serverUnitPriceMinor * peaks.server + workstationUnitPriceMinor * peaks.workstation,
    ) as [number, number];
    const output = first.output().replaceAll('\u00a0', ' ');
    expect(output).toContain(`Deployed Agents Report, ${month}`);
    for (const total of [toDistributor, toMsp, Math.round(toMsp * 1.22)]) expect(output).toContain(euros(total));
    const documents = readdirSync(join(folder, 'data', 'documents')).toSorted();
    expect(documents.map((name) => name.replace(/\d/g, ''))).toEqual([
      'distributor-INV--.csv',
      'distributor-INV--.pdf',
      'vendor-INV--.csv',
      'vendor-INV--.pdf',
    ]);
    const url = `http://127.0.0.1:${port}`;
    expect(output).toContain(`Dashboard   ${url}/`);
    expect((await fetch(`${url}/`)).headers.get('content-type')).toContain('text/html');
    const token = /distributor +(rc_[0-9a-z]{40})/.exec(output)?.[1] ?? '';
    const invoices = () => new Api(url, token).list(`/invoices?month=${month}`, pageOf(Invoice));
    const before = await invoices();
    expect(before.map(({ netMinor }) => netMinor).toSorted((a, b) => a - b)).toEqual([toDistributor, toMsp]);

    const refused = await runProgram({ program: 'npm start', arguments: ['--port', String(port)] });
    expect([refused.code, refused.output.trim()]).toEqual([
      1,
      `Port ${port} is taken by another program (perhaps another npm start): stop it, or use npm start -- --port N.`,
    ]);
    first.kill('SIGINT');
    expect(await first.ended).toEqual({ code: 0, signal: null });

    const again = npmStart();
    await untilRunning(again);
    expect(again.output()).not.toContain('living through');
    expect(await invoices()).toEqual(before);
    again.kill('SIGINT');
    expect(await again.ended).toEqual({ code: 0, signal: null });
  }, 400_000);

  test('says what is wrong with its options', async () => {
    const { code, output } = await runProgram({ program: 'npm start', arguments: ['--fresj'] });
    expect([code, output.trim().split('\n').length]).toEqual([1, 1]);
    expect(output).toContain('--fresj');
    expect(existsSync(join(folder, 'data'))).toBe(true);
  });
});
