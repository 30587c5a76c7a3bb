// From a clone and any Node since 18 to a script of ours under Node 24. Owns the installation of the packages and of
// that Node; what then happens is the script's: `node scripts/bootstrap.mjs SCRIPT [ARGUMENT…]`. Plain JavaScript, no
// packages: it runs before there are any.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const pnpmVersion = '12.21.0';
/** An installation on an empty machine took 0.75 GiB, npm's cache and pnpm's store included. */
const freeDiskBytesMin = 1024 ** 3;
const installTimeoutMs = 10 * 60_000;
const parentWatchMs = 250;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(root, 'node_modules', '.rollcall-installed');

const [script, ...scriptArguments] = process.argv.slice(2);
if (!script) stop('Which script? Use npm start, npm test or npm run bench.');
if (!isAtLeast(process.versions.node, [18, 0]))
  stop(`Rollcall needs Node 18 or later to set itself up; this is Node ${process.versions.node}.`);

await install();
process.exitCode = await runScript();

/** Installs the packages, unless the same ones are already there. Says nothing but one line while it goes well. */
async function install() {
  const wanted = fingerprint();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted && everyFolderInstalled()) return;

  const freeBytes = freeDiskBytes();
  if (freeBytes !== undefined && freeBytes < freeDiskBytesMin)
    stop(`Rollcall needs ${gib(freeDiskBytesMin)} of free disk for its packages; ${root} has ${gib(freeBytes)}.`);

  console.error('Installing the packages (about half a minute the first time) …');
  // A stamp that outlives a broken installation would hide it.
  rmSync(stampFile, { force: true });
  const { code, output, failure } = await runQuietly(
    'npx',
    ['--yes', `pnpm@${pnpmVersion}`, 'install', '--frozen-lockfile'],
    installTimeoutMs,
  );
  if (failure?.code === 'ENOENT')
    stop('Rollcall needs npm (with npx) to install its packages; npx is not on the PATH.');
  if (failure || code !== 0) {
    console.error(output.trimEnd());
    const how = failure ? failure.message : `pnpm ended with ${code}`;
    stop(`The packages could not be installed: ${how}; what it printed is above.`);
  }
  writeFileSync(stampFile, wanted);
}

/** Runs the script under Node 24, passes signals on, and comes back with its exit code. */
function runScript() {
  const node = runtime();
  const path = [dirname(node), join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  const child = spawn(node, [join(root, script), ...scriptArguments], {
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  // A terminal's Ctrl-C reaches the whole group: passed on as well, it would come twice, and twice means "at once".
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !hasTerminal) child.kill(signal);
    });
  // npm passes SIGTERM to a shell between us and it, which dies of it and tells nobody: then the shell's end is the signal.
  if (process.env.npm_lifecycle_event) {
    const parent = process.ppid;
    const watch = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(watch);
      child.kill('SIGTERM');
    }, parentWatchMs);
    watch.unref();
  }
  return new Promise((resolve) => {
    child.on('error', (error) => stop(`${script} could not be started: ${error.message}`));
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** The Node that runs our code: the one that came with the packages, else this one if it is new enough. */
function runtime() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  const installed = join(root, 'node_modules', `node-${platform}-${process.arch}`, 'bin', file);
  if (existsSync(installed) && spawnSync(installed, ['--version'], { timeout: 10_000 }).status === 0) return installed;
  if (isAtLeast(process.versions.node, [22, 19])) return process.execPath;
  return stop(
    `Rollcall brings no Node for ${process.platform} ${process.arch}, so it needs Node 22.19 or later (24 is best); ` +
      `this is Node ${process.versions.node}.`,
  );
}

/** What an installation depends on: the lockfile, the settings, each package.json, and the platform. */
function fingerprint() {
  const hash = createHash('sha256').update(`${pnpmVersion} ${process.platform} ${process.arch} `);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.pnpmfile.cjs', 'package.json']) update(file);
  for (const folder of packageFolders()) update(join(folder, 'package.json'));
  return hash.digest('hex');

  function update(file) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
}

function packageFolders() {
  const settings = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8');
  const list = /^packages:\n((?: {2}- .+\n)+)/m.exec(settings);
  if (!list) return stop('pnpm-workspace.yaml lists no packages.');
  return list[1]
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^ {2}- /, ''));
}

/** Somebody may have removed one package's node_modules and left the stamp. */
function everyFolderInstalled() {
  return packageFolders().every((folder) => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const needed = Object.keys({ ...dependencies, ...devDependencies });
    const modules = join(root, folder, 'node_modules');
    return needed.length === 0 || (existsSync(modules) && readdirSync(modules).length > 0);
  });
}

function runQuietly(command, commandArguments, timeoutMs) {
  const windows = process.platform === 'win32';
  const child = spawn(command, commandArguments, {
    cwd: root,
    // CI: pnpm asks no questions. On Windows npx is a script, which only a shell can start.
    env: { ...process.env, CI: 'true' },
    shell: windows,
    detached: !windows,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = (signal) => {
    try {
      if (windows) spawnSync('taskkill', ['/pid', String(child.pid), '/t', '/f']);
      else process.kill(-child.pid, signal);
    } catch {
      // It has ended by itself.
    }
  };
  const interrupted = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    const listener = () => {
      end(signal);
      process.exit(128 + constants.signals[signal]);
    };
    process.on(signal, listener);
    return () => process.removeListener(signal, listener);
  });
  return new Promise((resolve) => {
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-64 * 1024);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    let failure;
    const timer = setTimeout(() => {
      failure = new Error(`it took longer than ${timeoutMs / 60_000} minutes`);
      end('SIGKILL');
    }, timeoutMs);
    const done = (code) => {
      clearTimeout(timer);
      for (const forget of interrupted) forget();
      resolve({ code, output, failure });
    };
    child.on('error', (error) => {
      failure = error;
      done(null);
    });
    child.on('close', done);
  });
}

function freeDiskBytes() {
  // Node has had statfs since 18.15; without it the installation itself finds out.
  if (typeof fs.statfsSync !== 'function') return undefined;
  const { bavail, bsize } = fs.statfsSync(root);
  return bavail * bsize;
}

function gib(bytes) {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

function isAtLeast(version, [major, minor]) {
  const [haveMajor, haveMinor] = version.split('.').map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}

function stop(sentence) {
  console.error(sentence);
  process.exit(1);
}
