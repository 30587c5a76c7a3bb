// The whole of `npm test`: the checks, then the tests, each under a time limit; the last line is "N passed, N failed".
// Owns the order and the sum; what a check runs stands in package.json. `--only checks` leaves the tests out.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { thirdPartyVectorsAbsence } from '../test/support/third-party-vectors.ts';
import { TestCounts } from './test-counts.ts';

type Sum = { passed: number; failed: number; skipped: number };

const root = fileURLToPath(new URL('../', import.meta.url));
const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;

/** Checks by their script in package.json; each counts as one. */
const checks = [
  { name: 'format', script: 'check:format', timeoutMs: 60_000 },
  { name: 'lint', script: 'check:lint', timeoutMs: 180_000 },
  { name: 'types', script: 'check:types', timeoutMs: 300_000 },
  { name: 'dead code', script: 'check:dead-code', timeoutMs: 180_000 },
];
/** Programs that tests run beside ours, with Debian's package of each. */
const systemTools = [
  { command: 'faketime', package: 'faketime', for: 'end-to-end tests across a month’s end' },
  { command: 'pdftotext', package: 'poppler-utils', for: 'reading invoices back' },
  { command: 'chromium', package: 'chromium', for: 'the dashboard in a browser' },
];
const importRulesTimeoutMs = 120_000;
const testsTimeoutMs = 20 * 60_000;

const { values: options } = parseArgs({ options: { only: { type: 'string' } } });
if (options.only !== undefined && options.only !== 'checks') {
  console.error(`--only takes "checks", not "${options.only}".`);
  process.exit(2);
}

let running: ChildProcess | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (running) endGroup(running);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });

const sum: Sum = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

for (const { name, script, timeoutMs } of checks) {
  const command = scripts[script];
  if (command === undefined) throw new Error(`package.json has no script ${script}`);
  const { ok } = await run(name, command, timeoutMs, {});
  count(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 });
}
await vitest('import rules', '--project architecture', importRulesTimeoutMs);
if (options.only === undefined) {
  bringSystemTools();
  await vitest('tests', '--project "!architecture"', testsTimeoutMs);
}

console.log('');
const absence = options.only === undefined ? thirdPartyVectorsAbsence() : undefined;
if (absence !== undefined) console.log(`ATTENTION: ${absence}`);
for (const failure of failures) console.log(`failed: ${failure}`);
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1;
console.log(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`);

function count(name: string, more: Sum): void {
  sum.passed += more.passed;
  sum.failed += more.failed;
  sum.skipped += more.skipped;
  if (more.failed > 0) failures.push(more.passed + more.failed > 1 ? `${name} (${more.failed})` : name);
}

/** Runs vitest and adds its tests up; a project without one test, and whatever fails outside a test, count as failed. */
async function vitest(name: string, selection: string, timeoutMs: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-test-'));
  const countsFile = join(folder, 'counts.json');
  try {
    const { ok } = await run(
      name,
      `vitest run ${selection} --reporter=default --reporter=./scripts/count-reporter.ts`,
      timeoutMs,
      { ROLLCALL_TEST_COUNTS: countsFile },
    );
    if (!existsSync(countsFile)) {
      count(`${name}: the run did not come to its end`, { passed: 0, failed: 1, skipped: 0 });
      return;
    }
    const counts = TestCounts.parse(JSON.parse(readFileSync(countsFile, 'utf8')));
    let failed = counts.errors;
    for (const [project, tests] of Object.entries(counts.projects)) {
      const none = tests.passed + tests.failed + tests.skipped === 0;
      count(`${name}: ${project}${none ? ' has no test' : ''}`, none ? { ...tests, failed: 1 } : tests);
      failed += tests.failed + (none ? 1 : 0);
    }
    count(`${name}: errors outside a test`, { passed: 0, failed: counts.errors, skipped: 0 });
    if (!ok && failed === 0) count(`${name}: vitest ended badly`, { passed: 0, failed: 1, skipped: 0 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs one command line under a time limit, with a heading and its duration. Ends whatever it started. */
function run(
  name: string,
  command: string,
  timeoutMs: number,
  environment: Record<string, string>,
): Promise<{ ok: boolean }> {
  console.log(`\n── ${name}`);
  const startedAt = performance.now();
  const child = spawn(command, {
    cwd: root,
    shell: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    // A group of its own, so that a command that hangs goes together with all it started.
    detached: process.platform !== 'win32',
    env: { ...process.env, ...environment },
  });
  running = child;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endGroup(child);
  }, timeoutMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(timer);
      running = undefined;
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      const outcome = late ? `ended after its limit of ${timeoutMs / 1000} s` : code === 0 ? 'ok' : 'FAILED';
      console.log(`── ${name}: ${outcome} (${seconds} s)`);
      resolve({ ok: code === 0 && !late });
    });
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (process.platform === 'win32') {
    spawnSync('taskkill', ['/pid', String(child.pid), '/t', '/f']);
    return;
  }
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: it has ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** The end-to-end tests turn the clock of real processes with Debian's faketime. */
function bringSystemTools(): void {
  const missing = systemTools.filter(({ command }) => !has(command));
  if (missing.length === 0) return;
  const packages = missing.map((tool) => tool.package);
  const isDebianRoot = process.getuid?.() === 0 && existsSync('/etc/debian_version') && has('apt-get');
  if (!isDebianRoot) {
    console.log(
      `\nTests that need them are skipped, or fail with a line that says so: ${named(missing)}. On Debian: sudo apt-get install ${packages.join(' ')}`,
    );
    return;
  }
  console.log(`\nInstalling ${packages.join(', ')} (apt-get), which tests need …`);
  const install = ['install', '--yes', '--no-install-recommends', ...packages];
  if (!aptGet(install)) {
    aptGet(['update']);
    aptGet(install);
  }
  const left = missing.filter(({ command }) => !has(command));
  if (left.length > 0) console.log(`Could not be installed, tests that need them are skipped or fail: ${named(left)}.`);
}

function named(tools: readonly { command: string; for: string }[]): string {
  return tools.map((tool) => `${tool.command} (${tool.for})`).join(', ');
}

function aptGet(aptArguments: string[]): boolean {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', ['-qq', ...aptArguments], { timeout: 600_000, env: environment }).status === 0;
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { timeout: 10_000 }).status === 0;
}
