import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SiteStatus } from '@rollcall/shared/api/local.ts';
import { monthOf } from '@rollcall/shared/domain/month.ts';
import { type BrokenExport, ExportCheck, type VerifiedExport } from '@rollcall/shared/ledger/export-check.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeAggregator, startFakeAggregator } from '../testing/fake-aggregator.ts';
import { type Ended, runProgram } from '../testing/program.ts';
import { type SeededSite, seedSite, seedStoppedSite } from '../testing/seeded-site.ts';

const token = 'tok_secret_abcdefghijklmnop';

let root: string;
let aggregator: FakeAggregator;
/** Lived through three months; read by commands, not run. */
let seeded: SeededSite & { folder: string };

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'rollcall-cli-'));
  aggregator = await startFakeAggregator(systemClock);
  const folder = join(root, 'seeded');
  seeded = { folder, ...seedSite(folder, 'http://127.0.0.1:9') };
}, 60_000);

afterAll(async () => {
  await aggregator.close();
  rmSync(root, { recursive: true });
});

const command = (folder: string, ...args: string[]): Promise<Ended> => runProgram([...args, '--data-folder', folder]);
const ofSeeded = (...args: string[]): Promise<Ended> => command(seeded.folder, ...args);

describe('help', () => {
  test('shows every command, examples and exit codes', async () => {
    const { exitCode, stdout, stderr } = await runProgram(['--help']);
    expect([exitCode, stderr]).toEqual([0, '']);
    for (const word of ['enrol', 'run', 'status', 'endpoints', 'report', 'verify', 'confirm-clock'])
      expect(stdout).toContain(`\n  ${word} `);
    expect(stdout).toContain('Examples:');
    expect(stdout.indexOf('Exit codes:')).toBeGreaterThan(stdout.indexOf('Examples:'));
  });

  test('is shown where no command is given, as a failure', async () => {
    const { exitCode, stdout, stderr } = await runProgram([]);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('Usage: rollcall-site');
  });

  test.each([
    [['frobnicate'], 'there is no command "frobnicate"'],
    [['report', 'show'], "missing required argument 'month'"],
    [['endpoints', 'remove', 'ep_1'], "required option '--reason <reason>' not specified"],
    [['status', '--loud'], "unknown option '--loud'"],
    [['report', 'show', '2026-13'], '"2026-13" is not a month such as 2026-03'],
    [['report', 'export'], 'give either a month such as 2026-03 or --all'],
    [['report', 'export', '2026-01', '--all'], 'give either a month such as 2026-03 or --all'],
    [['verify', 'x', '--public-key', 'short'], '--public-key takes the 43 characters'],
    [['endpoints', 'remove', 'web-1', '--reason', 'operator'], 'is not the identifier of an endpoint'],
    [['report', 'exprot', '2026-10'], 'there is no command "report exprot"; it has list, show, export, correct'],
    [['endpoints', 'delete', 'ep_1'], 'there is no command "endpoints delete"; it has list, remove, join-code'],
    [['report', 'list', '2026-10'], "too many arguments for 'list': 2026-10"],
    [['report', 'show', '2026-01', '2026-02'], "too many arguments for 'show'"],
    [['report', 'export', '2026-01', '2026-02'], "too many arguments for 'export'"],
    [['report', 'correct', '2026-01', '2026-02', '--exclude', 'ep_1', '--reason', 'x'], "for 'correct'"],
    [['endpoints', 'remove', 'ep_1', 'ep_2', '--reason', 'operator'], "too many arguments for 'remove'"],
    [['endpoints', 'join-code', 'please'], "too many arguments for 'join-code'"],
    [['status', 'now'], "too many arguments for 'status'"],
    [['confirm-clock', 'now'], "too many arguments for 'confirm-clock'"],
    [['run', 'fast'], "too many arguments for 'run'"],
    [['enrol', 'https://rollcall.example.com'], "too many arguments for 'enrol'"],
  ])('%j is told what is wrong with it', async (args, message) => {
    const { exitCode, stdout, stderr } = await runProgram(args, {
      environment: { ROLLCALL_SITE_DATA_FOLDER: seeded.folder },
    });
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain(message);
  });

  test('the version is that of the package', async () => {
    expect((await runProgram(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('the settings', () => {
  test('come from flag, variable and file, and are shown by --print-config', async () => {
    const file = join(root, 'site.toml');
    writeFileSync(file, 'localApiPort = 1\nlocalApiHost = "file"\nlogLevel = "warn"\n');
    const environment = {
      ROLLCALL_SITE_CONFIG: file,
      ROLLCALL_SITE_LOCAL_API_HOST: 'variable',
      ROLLCALL_SITE_DATA_FOLDER: '/somewhere',
    };
    const { stdout } = await runProgram(['run', '--print-config', '--local-api-port', '0'], { environment });
    expect(stdout.split('\n')).toEqual([
      'dataFolder = "/somewhere"',
      'localApiHost = "variable"',
      'localApiPort = 0',
      'logLevel = "warn"',
      '',
    ]);
  });

  test('are refused whole, with everything that is wrong', async () => {
    const { exitCode, stderr } = await runProgram(['--print-config', '--log-level', 'loud'], {
      environment: { ROLLCALL_SITE_LOCAL_API_PORT: '70000', ROLLCALL_SITE_AGGREGATOR_URL: 'ftp://x' },
    });
    expect(exitCode).toBe(1);
    for (const name of ['3 problems', 'logLevel', 'localApiPort', 'aggregatorUrl']) expect(stderr).toContain(name);
  });
});

describe('enrolment', () => {
  const enrol = (folder: string, ...args: string[]): Promise<Ended> =>
    command(folder, 'enrol', '--server', aggregator.url, '--token', token, ...args);

  test('makes key, ledger and files that only their owner reads, and shows no secret', async () => {
    const folder = join(root, 'fresh');
    const { exitCode, stdout, stderr } = await enrol(folder);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('enrolled as the site "Rome office"');
    const files = readdirSync(folder);
    for (const name of ['site.json', 'join-code', 'ledger.db']) expect(files).toContain(name);
    expect(files).not.toContain('site-key.pending.pem');
    for (const name of files.filter((name) => /pem$|token|code|json$/.test(name)))
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(stdout).not.toContain(readFileSync(join(folder, 'join-code'), 'utf8').trim());
    expect(stdout).not.toContain(token);
    expect(stdout).not.toContain('PRIVATE KEY');
  });

  test('is refused the second time, unless --again: then with a new key and the ledger as it stood', async () => {
    const folder = join(root, 'again');
    await enrol(folder);
    const refused = await enrol(folder);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/is enrolled already, as the site "Rome office"\n.*--again/);
    const before = aggregator.enrolments.at(-1);
    expect((await enrol(folder, '--again')).exitCode).toBe(0);
    const after = aggregator.enrolments.at(-1);
    expect(after?.publicKey).not.toBe(before?.publicKey);
    expect([before?.head.seq, after?.head.seq]).toEqual([0, 1]);
    const file = join(root, 'again.jsonl');
    await command(folder, 'report', 'export', '--all', '-o', file);
    const verdict = await runProgram(['verify', file, '--json', '--public-key', after?.publicKey ?? '']);
    expect(JSON.parse(verdict.stdout)).toMatchObject({ ok: true, entries: 2 });
  });

  test.each([
    ['http://rollcall.invalid', true],
    ['http://10.127.0.0.1.invalid', true],
    ['https://rollcall.invalid', false],
    ['http://127.0.0.1:9', false],
    ['http://localhost:9', false],
    ['http://[::1]:9', false],
  ])('to %s warns that the token goes in clear: %s', async (server, warns) => {
    const folder = join(root, 'clear');
    const { stderr } = await command(folder, 'enrol', '--server', server, '--token', token);
    expect(stderr.startsWith(`rollcall-site: warning: ${server} is not encrypted: the enrolment token`)).toBe(warns);
    expect(stderr).not.toContain(token);
  });

  test('takes the token from a file or a variable', async () => {
    const file = join(root, 'token');
    writeFileSync(file, `${token}\n`);
    const byFile = await command(join(root, 'by-file'), 'enrol', '--server', aggregator.url, '--token-file', file);
    expect(byFile.exitCode).toBe(0);
    const byVariable = await runProgram(
      ['enrol', '--server', aggregator.url, '--data-folder', join(root, 'by-variable')],
      {
        environment: { ROLLCALL_ENROLMENT_TOKEN: token },
      },
    );
    expect(byVariable.exitCode).toBe(0);
    expect(aggregator.enrolments.slice(-2).map((request) => request.token)).toEqual([token, token]);
  });

  test('shows the same key when it is repeated after a failure', async () => {
    const folder = join(root, 'retried');
    const keys: string[] = [];
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk) => (text += String(chunk)));
      request.on('end', () => {
        keys.push((JSON.parse(text) as { publicKey: string }).publicKey);
        response.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const broken = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (let count = 0; count < 2; count++) {
      const { exitCode, stderr } = await command(folder, 'enrol', '--server', broken, '--token', token);
      expect(exitCode).toBe(1);
      expect(stderr).toContain('running the same command again is safe');
      expect(stderr).not.toContain(token);
    }
    server.close();
    expect((await enrol(folder)).exitCode).toBe(0);
    expect([...keys, aggregator.enrolments.at(-1)?.publicKey]).toEqual([keys[0], keys[0], keys[0]]);
  });

  test('names everything that is missing or wrong at once, and not the token', async () => {
    const nothing = await command(join(root, 'none'), 'enrol');
    expect(nothing.stderr).toMatch(/--server: .*\n {2}--token: .*needed/);
    const wrong = await command(
      join(root, 'none'),
      'enrol',
      '--server',
      'nowhere',
      '--token',
      'bad token!',
      '--site-name',
      ' x',
      '--time-zone',
      'Mars/Base',
    );
    for (const flag of ['--server:', '--token: not an enrolment token', '--site-name:', '--time-zone:'])
      expect(wrong.stderr).toContain(flag);
    expect(wrong.stderr).not.toContain('bad token!');
    expect(existsSync(join(root, 'none'))).toBe(false);
  });
});

describe('what a site shows of its months', () => {
  const [first, second, third] = [0, 1, 2].map((index) => () => seeded.months[index] ?? '') as [
    () => string,
    () => string,
    () => string,
  ];

  test('the list has one line for each month', async () => {
    const { exitCode, stdout } = await ofSeeded('report', 'list');
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n').filter((line) => /^ {2}\d{4}-/.test(line));
    expect(lines.map((line) => line.trim().split(/\s+/).slice(0, 4))).toEqual([
      [first(), '1', '1', '2'],
      [second(), '1', '1', '2'],
      [third(), '1', '2', '1'],
    ]);
  });

  test('a report shows peaks, instants in the site’s zone, and who made them by name', async () => {
    const { exitCode, stdout } = await ofSeeded('report', 'show', third());
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Deployed Agents Report for ${third()}`);
    expect(stdout).toMatch(/time zone +Europe\/Rome/);
    expect(stdout).toMatch(new RegExp(`period +${third()}-01 00:00:00 UTC\\+0[12]:00 to `));
    expect(stdout).toMatch(new RegExp(`servers +2 +${third()}-06 00:00:00`));
    expect(stdout).toMatch(/web-1 +ep_/);
    expect(stdout).toMatch(/web-2 +ep_/);
    expect(stdout).not.toContain('desk-2');
    expect(stdout).toMatch(/active at close +2 servers, 1 workstation /);
    expect(stdout).toMatch(/signature +OK/);
  });

  test('the same for machines', async () => {
    const list = JSON.parse((await ofSeeded('report', 'list', '--json')).stdout) as unknown;
    expect(list).toMatchObject([
      { month: first(), peaks: { server: 1, workstation: 2 }, latest: true },
      {},
      { month: third() },
    ]);
    const show = JSON.parse((await ofSeeded('report', 'show', second(), '--json')).stdout) as unknown;
    expect(show).toMatchObject({ month: second(), revision: 1, peaks: { workstation: { peak: 2 } } });
    const rows = JSON.parse((await ofSeeded('endpoints', '--json')).stdout) as {
      hostName: string;
      kind: string | null;
    }[];
    expect(rows.map(({ hostName, kind }) => [hostName, kind])).toEqual([
      ['desk-1', 'workstation'],
      ['web-1', 'server'],
      ['web-2', 'server'],
      ['desk-2', null],
    ]);
  });

  test('a month or revision that is not there is told', async () => {
    const missing = await ofSeeded('report', 'show', '1999-01');
    expect([missing.exitCode, missing.stdout]).toEqual([1, '']);
    expect(missing.stderr).toContain('there is no report of 1999-01');
    const revision = await ofSeeded('report', 'show', first(), '--revision', '2');
    expect(revision.stderr).toContain('has no revision 2; its latest is 1');
    expect((await ofSeeded('report', 'export', '1999-01')).stderr).toContain('there is no report of 1999-01');
  });

  test('an export ends with the report asked for, is verified, and names the entry that was changed', async () => {
    const file = join(root, 'second.jsonl');
    const written = await ofSeeded('report', 'export', second(), '-o', file);
    expect(written.exitCode).toBe(0);
    expect(written.stdout).toContain(`to ${file}`);
    const text = readFileSync(file, 'utf8');
    expect((await ofSeeded('report', 'export', second())).stdout.split('\n').slice(1, -2)).toEqual(
      text.split('\n').slice(1, -2),
    );
    const yes = await runProgram(['verify', file]);
    expect(yes.exitCode).toBe(0);
    expect(yes.stdout).toContain('yes:');
    expect(yes.stdout).toContain('compare the key');
    expect(yes.stdout).toMatch(new RegExp(`${first()} +1 +1 +2\n +${second()} +1 +1 +2\n`));
    const seq = text.split('\n').findIndex((line) => line.includes('"hostName":"desk-2"'));
    const changed = join(root, 'changed.jsonl');
    writeFileSync(changed, text.replace('"hostName":"desk-2"', '"hostName":"desk-3"'));
    const no = await runProgram(['verify', changed]);
    expect(no.exitCode).toBe(2);
    expect(no.stdout).toContain(`entry ${seq} (line ${seq + 1})`);
    const piped = await runProgram(['verify', '-', '--json'], { stdin: text.slice(0, -1) });
    expect([piped.exitCode, JSON.parse(piped.stdout)]).toMatchObject([2, { ok: false, code: 'TRAILER_CHANGED' }]);
  });

  test('every file that is given is verified, and one that is bad makes the whole no', async () => {
    const [good, garbage] = [join(root, 'good.jsonl'), join(root, 'garbage.jsonl')];
    await ofSeeded('report', 'export', first(), '-o', good);
    writeFileSync(garbage, 'nothing of the kind\n');
    const both = await runProgram(['verify', good, garbage, good]);
    expect(both.exitCode).toBe(2);
    expect(both.stdout.match(/^(yes|no): .*$/gm)).toEqual([
      `yes: ${good} is what the site wrote, unchanged`,
      `no: ${garbage} is not what the site wrote`,
      `yes: ${good} is what the site wrote, unchanged`,
    ]);
    const json = await runProgram(['verify', '--json', garbage, good]);
    const verdicts: unknown = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect([json.exitCode, verdicts]).toMatchObject([
      2,
      [
        { file: garbage, ok: false },
        { file: good, ok: true },
      ],
    ]);
    const missing = await runProgram(['verify', join(root, 'nothing'), good]);
    expect([missing.exitCode, missing.stderr]).toEqual([1, expect.stringContaining('there is no such file')]);
    expect(missing.stdout).toContain(`yes: ${good}`);
    expect((await runProgram(['verify', good, good])).exitCode).toBe(0);
  });

  test('any byte of an export that is changed is found, and the entry it lies in is named', async () => {
    const file = Buffer.from((await ofSeeded('report', 'export', '--all')).stdout);
    const ends = [...file.keys()].filter((index) => file[index] === 10);
    const verify = (bytes: Uint8Array): VerifiedExport | BrokenExport => {
      const check = new ExportCheck(nodeDigest, nodeVerifier);
      check.push(bytes);
      return check.finish();
    };
    expect(verify(file).ok).toBe(true);
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const copy = Uint8Array.from(file);
        copy[position] = (file[position] ?? 0) ^ change;
        const verdict = verify(copy);
        const line = ends.findIndex((end) => end >= position);
        const seq = line === 0 || line === ends.length - 1 ? undefined : line;
        expect([verdict.ok, verdict.ok ? undefined : verdict.seq]).toEqual([false, seq]);
      }),
      { numRuns: 300 },
    );
  });

  test('an export replaces the file it is told to and touches nothing else, nor goes through a link', async () => {
    const folder = mkdtempSync(join(root, 'export-'));
    const [file, victim, link] = [join(folder, 'x.jsonl'), join(folder, 'victim'), join(folder, 'link')];
    writeFileSync(file, 'an older export');
    writeFileSync(victim, 'of somebody else');
    symlinkSync(victim, `${file}.new`);
    symlinkSync(victim, link);
    expect((await ofSeeded('report', 'export', '--all', '-o', file)).exitCode).toBe(0);
    expect((await runProgram(['verify', file])).exitCode).toBe(0);
    for (const [path, why] of [
      [link, 'it is a link'],
      [folder, 'it is not a plain file'],
    ] as const) {
      const refused = await ofSeeded('report', 'export', '--all', '-o', path);
      expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining(`cannot write ${path}: ${why}`)]);
    }
    expect(readFileSync(victim, 'utf8')).toBe('of somebody else');
    expect(readdirSync(folder).sort()).toEqual(['link', 'victim', 'x.jsonl', 'x.jsonl.new']);
  });

  test('a file that cannot be written or read is told', async () => {
    expect((await ofSeeded('report', 'export', '--all', '-o', join(root, 'no', 'where'))).stderr).toContain(
      'cannot write',
    );
    expect((await runProgram(['verify', join(root, 'nothing')])).stderr).toContain('there is no such file');
    expect((await runProgram(['verify', root])).stderr).toContain('it is a folder');
  });

  test('status without the service reads the disk, says so, and ends with 3', async () => {
    const { exitCode, stdout } = await ofSeeded('status');
    expect(exitCode).toBe(3);
    expect(stdout).toContain('NOT RUNNING');
    expect(stdout).toMatch(/deployed now +2 servers, 1 workstation\n/);
    const { running, ...status } = JSON.parse((await ofSeeded('status', '--json')).stdout) as { running: boolean };
    expect(running).toBe(false);
    expect(SiteStatus.parse(status).deployed).toEqual({ server: 2, workstation: 1 });
  });

  test('status of a service that was stopped weeks ago tells how things stand now, and advises to start it', async () => {
    const folder = join(root, 'stopped');
    seedStoppedSite(folder, 'http://127.0.0.1:9', 40);
    const ledger = readFileSync(join(folder, 'ledger.db'));
    const { exitCode, stdout } = await command(folder, 'status');
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/…7k3mq +metered-agent +disabled-offline +/);
    expect(stdout).toContain('KEY_DISABLED');
    // Stale ten days ago.
    expect(stdout).toMatch(/deployed now +0 servers, 0 workstations\n/);
    expect(stdout).toContain(`peak of ${monthOf(systemClock.now(), 'Europe/Rome')}`);
    expect(stdout).toMatch(/ledger +4 entries/);
    expect(stdout).toContain('start it with `rollcall-site run`');
    expect(stdout).not.toContain('confirm-clock');
    expect(readFileSync(join(folder, 'ledger.db')).equals(ledger)).toBe(true);
    const { keys, month } = SiteStatus.parse(JSON.parse((await command(folder, 'status', '--json')).stdout));
    expect([keys[0]?.state, month]).toEqual(['disabled-offline', monthOf(systemClock.now(), 'Europe/Rome')]);
  });

  test('what needs the service says that it does not run', async () => {
    const endpoint = seeded.endpoints['web-1'];
    for (const args of [
      ['confirm-clock'],
      ['endpoints', 'remove', endpoint, '--reason', 'operator'],
      ['report', 'correct', first(), '--exclude', endpoint, '--reason', 'x'],
    ]) {
      const { exitCode, stderr } = await ofSeeded(...args);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('the service does not run')]);
    }
  });

  test('a folder without a site is told', async () => {
    for (const args of [
      ['status'],
      ['endpoints'],
      ['report'],
      ['run'],
      ['confirm-clock'],
      ['endpoints', 'join-code'],
    ]) {
      const { exitCode, stdout, stderr } = await command(join(root, 'empty'), ...args);
      expect([exitCode, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/there is no enrolled site in .*\n.*rollcall-site enrol/);
    }
  });
});
