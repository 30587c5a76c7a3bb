/** `rollcall` as people run it: real processes, a real server, a real database. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BillingWorld } from '../jobs/testing/billing-world.ts';
import { openStore } from '../store/open-store.ts';
import { runProgram } from './program.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rollcall-cli-'));
const database = `sqlite:${join(folder, 'rollcall.db')}`;

type Ran = { code: number | null; out: string; err: string };

function launch(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const child = launch(args, environment);
  const ran: Ran = { code: null, out: '', err: '' };
  child.stdout!.on('data', (chunk) => (ran.out += String(chunk)));
  child.stderr!.on('data', (chunk) => (ran.err += String(chunk)));
  await once(child, 'close');
  return { ...ran, code: child.exitCode };
}

/** A server that has said where it is. */
async function serve(...args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = launch(['serve', '--database', database, '--port', '0', ...args]);
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  child.stderr!.resume();
  return { child, url: /http:\/\/\S+/.exec(String(line))![0] };
}

let server: { child: ChildProcess; url: string };
let token: string;
/** A command as the vendor, on the server. */
const admin = (...args: string[]): Promise<Ran> => run(args, { ROLLCALL_SERVER: server.url, ROLLCALL_TOKEN: token });
const json = async <Thing = Record<string, unknown>>(...args: string[]): Promise<Thing> => {
  const { code, out, err } = await admin(...args, '--json');
  if (code !== 0) throw new Error(err);
  return JSON.parse(out);
};

beforeAll(async () => {
  const set = await run([
    'setup',
    '--name',
    'Backup AG',
    '--country',
    'CH',
    '--currency',
    'CHF',
    '--database',
    database,
    '--token-file',
    'vendor.token',
  ]);
  if (set.code !== 0) throw new Error(set.err);
  token = readFileSync(join(folder, 'vendor.token'), 'utf8').trim();
  server = await serve();
}, 60_000);
afterAll(() => {
  server.child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const slow = { timeout: 120_000 };

describe('setup', slow, () => {
  it('has written the token to a file that only its owner can read, and says no the second time', async () => {
    expect(statSync(join(folder, 'vendor.token')).mode & 0o777).toBe(0o600);
    expect(token).toMatch(/^rc_[0-9a-z]{40}$/);
    const again = await run([
      'setup',
      '--name',
      'Other',
      '--country',
      'CH',
      '--currency',
      'CHF',
      '--database',
      database,
      '--token-file',
      'other.token',
    ]);
    expect([again.code, again.out]).toEqual([1, '']);
    expect(again.err).toMatch(/^rollcall: VENDOR_EXISTS: .*\n {2}hint: .*--new-token\n$/);
    expect(() => statSync(join(folder, 'other.token'))).toThrow('ENOENT');
  });

  it('makes another token for who lost the first, and never writes over one', async () => {
    const made = await run(['setup', '--new-token', '--database', database, '--json']);
    const fresh = String(JSON.parse(made.out).token);
    expect(
      (await run(['organisation', 'list', '--json'], { ROLLCALL_SERVER: server.url, ROLLCALL_TOKEN: fresh })).code,
    ).toBe(0);
    const over = await run(['setup', '--new-token', '--database', database, '--token-file', 'vendor.token']);
    expect([over.code, over.err]).toEqual([1, expect.stringContaining('the file exists')]);
    expect(readFileSync(join(folder, 'vendor.token'), 'utf8').trim()).toBe(token);
  });

  it('names everything that is missing or wrong', async () => {
    const wrong = await run(['setup', '--country', 'CHE', '--database', 'sqlite:unused.db']);
    expect(wrong.code).toBe(2);
    expect(wrong.err).toMatch(/--name: is missing.*--country: two capital letters.*--currency: /);
  });
});

/** The same without a process of its own, for what never gets as far as the network. */
async function runHere(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const code = await runProgram(args, { environment, out, err });
  return { code, out: String(out.read() ?? ''), err: String(err.read() ?? '') };
}

describe('the command line', slow, () => {
  it('says its version from a process of its own, and leaves with the exit code of a wrong one', async () => {
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
    });
    expect(await run(['nonsense'])).toMatchObject({ code: 2, out: '' });
  });

  it.each([
    [[]],
    [['serve']],
    [['setup']],
    [['site', 'create']],
    [['enrolment-token', 'create']],
    [['agreement', 'create']],
    [['invoice', 'evidence']],
  ])('explains %j', async (args) => {
    const { code, out, err } = await runHere([...args, '--help']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^Usage: rollcall/);
  });

  it.each([
    [['nonsense'], 'unknown command'],
    [['site', 'lst'], 'Did you mean list'],
    [['site', 'show'], "missing required argument 'site'"],
    [['site', 'list', '--bogus'], 'unknown option'],
    [['organisation', 'create', '--kind', 'vendor'], 'Allowed choices are distributor, msp'],
    [['site', 'list', '--limit', 'many'], '--limit: a whole number'],
    [['site', 'change', 'site_x'], 'nothing to change'],
    [['enrolment-token', 'create'], 'give --site, or --account'],
    [
      ['serve', '--port', '70000', '--lease-hours', '0'],
      /port: must be a whole number from 0 to 65535[^]*leaseHours: must be/,
    ],
  ])('%j is a wrong command line', async (args, says) => {
    const { code, out, err } = await runHere(args, { ROLLCALL_TOKEN: 'rc_any' });
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(says);
    expect(err).not.toMatch(/\n\s+at /);
  });

  it('says that there is no token, that it is no token, that its file is not there', async () => {
    for (const [environment, args, says] of [
      [{}, [], 'there is no API token'],
      [{ ROLLCALL_TOKEN: 'two\nlines' }, [], 'the API token is not one'],
      [{}, ['--token-file', 'nowhere'], 'cannot read the token file nowhere: ENOENT'],
    ] as const) {
      const { code, err } = await runHere(['site', 'list', ...args], environment);
      expect([code, err]).toEqual([2, expect.stringContaining(says)]);
      expect(err).not.toContain('lines');
    }
  });

  it('says that nobody is there, or somebody else', async () => {
    const free = createServer().listen(0);
    await once(free, 'listening');
    const { port } = free.address() as { port: number };
    free.close();
    const nobody = await run(['site', 'list', '--server', `http://127.0.0.1:${port}`], { ROLLCALL_TOKEN: token });
    expect([nobody.code, nobody.err]).toEqual([
      1,
      expect.stringMatching(/AGGREGATOR_UNREACHABLE: .*ECONNREFUSED\n {2}hint: /),
    ]);
    const wrong = await run(['site', 'list', '--server', 'ftp://x'], { ROLLCALL_TOKEN: token });
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('is not an address')]);
  });

  it('passes on what the aggregator refuses: code, what, and what to do', async () => {
    const wrongToken = await run(['site', 'list'], { ROLLCALL_SERVER: server.url, ROLLCALL_TOKEN: 'rc_wrong' });
    expect([wrongToken.code, wrongToken.err]).toEqual([
      1,
      expect.stringMatching(/^rollcall: UNAUTHENTICATED: .*\n {2}hint: /),
    ]);
    const fields = await admin(
      'organisation',
      'create',
      '--kind',
      'msp',
      '--name',
      ' x',
      '--country',
      'Italy',
      '--currency',
      'EUR',
    );
    expect(fields.code).toBe(1);
    expect(fields.err).toMatch(/INVALID_INPUT: 2 of the options are not valid\n {2}--name: [^]*\n {2}--country: /);
  });
});

describe('from setup to invoice', slow, () => {
  it('every noun can be made, listed and shown, as a table and as JSON', async () => {
    const north = await json(
      'organisation',
      'create',
      '--kind',
      'distributor',
      '--name',
      'Nord GmbH',
      '--country',
      'DE',
      '--currency',
      'EUR',
      '--address',
      'Am Markt 1',
      '--address',
      '10115 Berlin',
    );
    expect(north).toMatchObject({ kind: 'distributor', addressLines: ['Am Markt 1', '10115 Berlin'] });
    const northId = String(north['id']);
    const msp = await json(
      'organisation',
      'create',
      '--kind',
      'msp',
      '--name',
      'Alpi IT',
      '--country',
      'IT',
      '--currency',
      'EUR',
      '--parent',
      northId,
    );
    const account = await json('account', 'create', '--name', 'Bäckerei 😀', '--msp', String(msp['id']));
    const site = await json(
      'site',
      'create',
      '--account',
      String(account['id']),
      '--name',
      'Head office',
      '--time-zone',
      'Europe/Rome',
      '--stale-after-days',
      '10',
    );
    const siteId = String(site['id']);
    expect(site).toMatchObject({ settings: { staleAfterDays: 10 } });
    expect((await admin('site', 'list')).out).toMatch(
      new RegExp(`^ID .*STATE.*\\n${siteId} +Head office .*not enrolled`),
    );
    expect((await admin('site', 'show', siteId)).out).toMatch(/TIME ZONE +Europe\/Rome/);
    expect(await json('site', 'change', siteId, '--note', 'by the lake')).toMatchObject({
      note: 'by the lake',
      settings: { staleAfterDays: 10 },
    });
    const key = await json('key', 'create', '--site', siteId);
    expect(key['keyText']).toMatch(/^([0-9a-z]{5}-){4}[0-9a-z]{5}$/);
    expect(await json('key', 'deactivate', String(key['id']))).toMatchObject({ wish: 'deactivated' });
    expect(await json('key', 'reactivate', String(key['id']))).toMatchObject({ wish: 'active' });
    const enrolment = await json(
      'enrolment-token',
      'create',
      '--account',
      String(account['id']),
      '--uses',
      '5',
      '--valid-hours',
      '2',
    );
    expect(enrolment).toMatchObject({ usesMax: 5, siteId: null });
    expect(await json('enrolment-token', 'withdraw', String(enrolment['id']))).toMatchObject({
      withdrawnAt: expect.any(String),
    });
    expect(await json<unknown[]>('enrolment-token', 'list')).toHaveLength(1);

    const apiToken = await json('api-token', 'create', '--name', 'Nord', '--organisation', northId);
    writeFileSync(join(folder, 'north.token'), `${String(apiToken['token'])}\n`);
    const asNorth = (...args: string[]) => run([...args, '--server', server.url, '--token-file', 'north.token']);
    expect((await asNorth('organisation', 'list', '--kind', 'vendor')).err).toBe('nothing to list\n');
    expect(JSON.parse((await asNorth('organisation', 'list', '--json')).out)).toHaveLength(2);

    const price = [
      '--currency',
      'EUR',
      '--server-price',
      '9.50',
      '--workstation-price',
      '3',
      '--tax-rate',
      '22',
      '--valid-from',
      '2026-01',
      '--time-zone',
      'Europe/Rome',
    ];
    expect(
      JSON.parse((await asNorth('agreement', 'create', '--buyer', String(msp['id']), ...price, '--json')).out),
    ).toMatchObject({ serverUnitPriceMinor: 950, workstationUnitPriceMinor: 300 });
    expect((await asNorth('agreement', 'list')).out).toContain('9.50 EUR');

    // A month of a Site Manager's life, straight into the database that the server runs on.
    const store = await openStore(database);
    const ledger = await new BillingWorld(store).site(
      { id: String(msp['id']) },
      'Warehouse',
      '2026-01-05T10:00:00.000Z',
    );
    ledger.deploy('2026-01-06T10:00:00.000Z', 'server', 2);
    ledger.seal('2026-01');
    await ledger.send();
    await store.close();
    expect((await asNorth('report', 'list', '--month', '2026-01')).out).toMatch(
      /2026-01 .*Warehouse +agreeing +2 \+ 0 +2 \+ 0/,
    );
    expect((await asNorth('report', 'show', ledger.siteId, '2026-01')).out).toMatch(
      /SERVERS REPORTED +2\n[^]*ACTIVE AT CLOSE +0 \+ 0\n/,
    );
    expect((await asNorth('report', 'csv', '--month', '2026-01')).out).toContain('Warehouse');
    expect((await asNorth('report', 'csv', ledger.siteId, '2026-01', '--out', 'report.csv')).err).toBe(
      'wrote report.csv\n',
    );
    expect((await asNorth('close', '2026-01', '--preview')).out).toMatch(/Alpi IT +finalised +19\.00 EUR/);
    expect((await asNorth('close', '2026-01')).out).toMatch(/Alpi IT +finalised +INV-\d+-000001/);
    expect((await asNorth('close', '2026-01')).out).toMatch(/Alpi IT +unchanged/);
    const [invoice] = JSON.parse((await asNorth('invoice', 'list', '--json')).out) as { id: string }[];
    const shown = await asNorth('invoice', 'show', invoice!.id);
    expect(shown.out).toMatch(/NET +19\.00 EUR\nTAX +4\.18 EUR \(22 %\)\nGROSS +23\.18 EUR/);
    expect(shown.out).toMatch(
      /1 +Alpi IT +Account of Warehouse +Warehouse +server +2 +9\.50 +19\.00 +report, revision 1/,
    );
    expect((await asNorth('invoice', 'evidence', invoice!.id, '1')).out).toMatch(/PEAK +2\n[^]*ENDPOINT +HOST[^]*ep_/);
    expect((await asNorth('invoice', 'csv', invoice!.id)).out).toContain('Warehouse');
    const pdf = await asNorth('invoice', 'pdf', invoice!.id);
    const name = /^wrote (\S+\.pdf)\n$/.exec(pdf.err)![1]!;
    expect(readFileSync(join(folder, name)).subarray(0, 5).toString()).toBe('%PDF-');
    expect((await admin('invoice', 'show', invoice!.id)).err).toContain('NOT_FOUND');

    expect(await json('site', 'clear-flag', siteId)).toMatchObject({ flag: null });
    expect((await admin('site', 'deployments', ledger.siteId)).out.match(/ep_/g)).toHaveLength(2);
    expect((await admin('site', 'findings')).code).toBe(0);
    expect(await json('site', 'close', siteId)).toMatchObject({ closedAt: expect.any(String) });
    expect(await json('api-token', 'revoke', String(apiToken['id']))).toMatchObject({ revokedAt: expect.any(String) });
    expect((await asNorth('organisation', 'list')).err).toContain('TOKEN_REVOKED');
  });

  it('a list that is longer than asked for says so, beside the rows', async () => {
    const { out, err } = await admin('organisation', 'list', '--limit', '1', '--json');
    expect(JSON.parse(out)).toHaveLength(1);
    expect(err).toContain('there are more than these 1');
  });
});

describe('serve', slow, () => {
  it('prints its configuration, and never the password of a database', async () => {
    const { out, err, code } = await run(['serve', '--print-config', '--port', '1234'], {
      ROLLCALL_DATABASE: 'postgres://rollcall:geheim@db/rollcall',
      ROLLCALL_LEASE_HOURS: '48',
    });
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/database = "\[secret\]"[^]*port = 1234[^]*leaseHours = 48/);
    expect(out).not.toContain('geheim');
    const wrong = await run(['serve'], { ROLLCALL_DATABASE: 'postgress://rollcall:geheim@db/rollcall' });
    expect([wrong.code, wrong.err.includes('geheim')]).toEqual([2, false]);
  });

  it.each([
    ['a taken port', () => ['--database', 'sqlite:another.db', '--port', new URL(server.url).port], 'PORT_TAKEN'],
    ['a database that is served already', () => ['--database', database, '--port', '0'], 'DATABASE_IN_USE'],
    ['a database that is a folder', () => ['--database', `sqlite:${folder}`, '--port', '0'], 'DATABASE_UNUSABLE'],
    [
      'a PostgreSQL that is not there',
      () => ['--database', 'postgres://rollcall:geheim@127.0.0.1:1/rollcall', '--port', '0'],
      'STORE_UNAVAILABLE',
    ],
  ])('%s is one sentence and exit code 1', async (_case, args, says) => {
    const { code, out, err } = await run(['serve', '--log-level', 'silent', ...args()]);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(new RegExp(`^rollcall: ${says}: .*\\n( {2}hint: .*\\n)?$`));
    expect(err).not.toContain('geheim');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends in order at %s', async (signal) => {
    const { child } = await serve('--log-level', 'silent', '--database', `sqlite:${signal}.db`);
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
