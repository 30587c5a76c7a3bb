/**
 * `npm start`: the whole job on this machine. The first time it makes tenants and two months of life (first-run/), then it
 * starts the aggregator and two Site Managers as real processes, checks this machine in, closes last month, says where to
 * look, and runs until Ctrl-C. Again it keeps its data; `--fresh` starts over; `--port N` and `--data-folder PATH` move it.
 */
import { existsSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { joinCode } from '@rollcall/agent/identity.ts';
import { CloseResult } from '@rollcall/shared/api/invoice.ts';
import { SiteStatus } from '@rollcall/shared/api/local.ts';
import { Month, monthOf, previousMonth } from '@rollcall/shared/domain/month.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { z } from 'zod';
import { buildDashboard } from '../test/support/dashboard-build.ts';
import { type Program, runProgram, startProgram, until } from '../test/support/program.ts';
import { defaultDataFolder, defaultPort, type Place, placeFor } from './first-run/place.ts';
import { sites as stories } from './first-run/story.ts';
import { fetchDocuments, printSummary, signedIn } from './first-run/summary.ts';
import { checkInThisMachine } from './first-run/this-machine.ts';
import { liveTwoMonths } from './first-run/two-months.ts';

const freeDiskBytesMin = 200 * 1024 ** 2;
const startTimeoutMs = 30_000;
const contactTimeoutMs = 60_000;
const root = fileURLToPath(new URL('../', import.meta.url));

const MadeFile = z.object({ months: z.tuple([Month, Month]) });

const programs: Program[] = [];
let stopping = false;
// A terminal's Ctrl-C reaches every process of the group, and perhaps twice: the second is the first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

try {
  await main();
} catch (error) {
  // The sentence is for people; what lies under it is in the logs.
  if (!stopping) console.error(`\n${sentenceOf(error)}`);
  await stop(1);
}

async function main(): Promise<void> {
  const options = readOptions();
  const place = placeFor(options.dataFolder, options.port, stories.length);
  await portsAreFree(place);
  enoughDisk();
  if (options.fresh || !existsSync(place.madeFile)) rmSync(place.folder, { recursive: true, force: true });
  console.log('building the dashboard');
  buildDashboard();
  if (!existsSync(place.madeFile)) await make(place);
  const made = MadeFile.parse(JSON.parse(readFileSync(place.madeFile, 'utf8')));
  console.log(`starting the aggregator and ${stories.length} Site Managers`);
  await startPrograms(place);
  const thisMachine = await checkIn(place);
  const lastMonth = previousMonth(monthOf(systemClock.now(), 'Europe/Rome'));
  console.log(`closing ${lastMonth}`);
  for (const seller of ['vendor', 'distributor'] as const)
    await signedIn(place, seller).post('/closes', { month: lastMonth }, CloseResult);
  // A machine that was off for long has months without usage since; the two that were lived through are never empty.
  const shown = lastMonth > made.months[1] ? lastMonth : made.months[1];
  await printSummary(place, shown, await fetchDocuments(place, shown), thisMachine);
  const ended = await Promise.race(programs.map(async (program) => ({ program, end: await program.ended })));
  if (!stopping)
    throw new RollcallError(
      'PROGRAM_ENDED',
      `a program ended by itself (${JSON.stringify(ended.end)}); its log is in ${place.folder}`,
      { retryable: false },
    );
}

function readOptions(): { fresh: boolean; port: number; dataFolder: string } {
  try {
    const { values } = parseArgs({
      options: {
        fresh: { type: 'boolean', default: false },
        port: { type: 'string', default: String(defaultPort) },
        'data-folder': { type: 'string', default: defaultDataFolder },
      },
    });
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 1024 || port > 65_000)
      throw new TypeError(`--port takes a port from 1024 to 65000, not "${values.port}"`);
    return { fresh: values.fresh, port, dataFolder: values['data-folder'] };
  } catch (error) {
    throw new RollcallError(
      'OPTIONS_WRONG',
      `${error instanceof Error ? error.message : String(error)}. npm start takes --fresh, --port N and --data-folder PATH.`,
      { retryable: false },
    );
  }
}

/** Lives the two months before this one, up to a moment ago: the programs that start then find no gap. */
async function make(place: Place): Promise<void> {
  const last = previousMonth(monthOf(systemClock.now(), 'Europe/Rome'));
  const began = performance.now();
  const made = await liveTwoMonths(place, [previousMonth(last), last], systemClock.now(), (line) => console.log(line));
  writeFileSync(place.madeFile, `${JSON.stringify(made)}\n`);
  console.log(`two months and ${Math.round((performance.now() - began) / 1000)} s later …`);
}

async function startPrograms(place: Place): Promise<void> {
  const aggregator = startProgram({
    program: 'rollcall',
    arguments: ['serve', '--database', place.database, '--port', String(place.aggregatorPort)],
    logFile: place.aggregatorLogFile,
  });
  programs.push(aggregator);
  await until(
    'the aggregator did not start',
    async () => ((await answers(`${place.aggregatorUrl}/health`)) ? true : undefined),
    { timeoutMs: startTimeoutMs, programs },
  );
  for (const { dataFolder, localApiPort, logFile } of place.sites)
    programs.push(
      startProgram({
        program: 'rollcall-site',
        arguments: [
          'run',
          '--data-folder',
          dataFolder,
          '--local-api-port',
          String(localApiPort),
          '--aggregator-url',
          place.aggregatorUrl,
        ],
        logFile,
      }),
    );
  for (const site of place.sites)
    await until(`${site.dataFolder} found no contact`, () => inContact(site.dataFolder), {
      timeoutMs: contactTimeoutMs,
      programs,
    });
}

/** What the operator of the site would ask: `rollcall-site status`. */
async function inContact(dataFolder: string): Promise<true | undefined> {
  const { code, output } = await runProgram({
    program: 'rollcall-site',
    arguments: ['status', '--json', '--data-folder', dataFolder],
  });
  if (code !== 0) return undefined;
  const answer = SiteStatus.partial().safeParse(JSON.parse(output));
  return answer.success && answer.data.connected === true ? true : undefined;
}

async function checkIn(place: Place): Promise<string> {
  const [site] = place.sites;
  if (site === undefined) throw new Error('there is no site');
  const { agent, answer } = await checkInThisMachine(site.localApiUrl, joinCode(site.dataFolder), place.credentialFile);
  return `This machine (${agent.hostName}, ${agent.kind}) checked in at "${stories[0]?.name}" at ${answer.at}; its key is ${answer.keyState}.`;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

async function portsAreFree(place: Place): Promise<void> {
  for (const port of [place.aggregatorPort, ...place.sites.map(({ localApiPort }) => localApiPort)]) {
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (!free)
      throw new RollcallError(
        'PORT_TAKEN',
        `Port ${port} is taken by another program (perhaps another npm start): stop it, or use npm start -- --port N.`,
        { retryable: false },
      );
  }
}

function enoughDisk(): void {
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < freeDiskBytesMin)
    throw new RollcallError(
      'DISK_FULL',
      `Rollcall needs ${freeDiskBytesMin / 1024 ** 2} MiB of free disk for its data; ${dirname(root)} has ${Math.floor((bavail * bsize) / 1024 ** 2)} MiB.`,
      { retryable: false },
    );
}

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  if (programs.length > 0) console.log('\nstopping');
  // Sites first: they say goodbye to an aggregator that still hears them.
  for (const program of [...programs].reverse()) await program.stop();
  process.exit(code);
}

function sentenceOf(error: unknown): string {
  if (error instanceof RollcallError)
    return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
