/** A program of ours as a real process: started, watched for what it prints, stopped or killed. Used by `npm start` and the end-to-end tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { removeClockTraces, type WallClock } from './wall-clock.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Where each program begins. */
const programFiles = {
  rollcall: 'aggregator/src/main.ts',
  'rollcall-site': 'agent/src/main.ts',
  'npm start': 'scripts/start.ts',
} as const;

/** Most output kept in memory for error messages, in characters. */
const outputKeptMax = 200_000;
const pollEveryMs = 25;

export type ProgramOptions = {
  program: keyof typeof programFiles;
  arguments: readonly string[];
  environment?: Record<string, string>;
  /** Text for the program's standard input, which is closed otherwise. */
  input?: string;
  /** A file that takes all output; without it the output is kept in memory. */
  logFile?: string;
  /** Wall clock of the process where it is not this machine's; the steady clock is left alone. */
  wallClock?: WallClock | undefined;
};

export type Ended = { code: number | null; signal: NodeJS.Signals | null };

export type Program = {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Null while it runs. */
  endedAs(): Ended | null;
  output(): string;
  /** Standard output alone: what a command prints for machines. */
  standardOutput(): string;
  /** Sends a signal to the process; harmless when it has ended. */
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after the time; resolves when it has ended. */
  stop(timeoutMs?: number): Promise<Ended>;
};

export function startProgram(options: ProgramOptions): Program {
  const command = [process.execPath, `${root}${programFiles[options.program]}`, ...options.arguments];
  const environment = { ...process.env, ...options.environment, ...options.wallClock?.environment() };
  const log = options.logFile === undefined ? 'pipe' : openSync(options.logFile, 'a', 0o600);
  const child = spawn(command[0] as string, command.slice(1), {
    cwd: root,
    env: environment,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', log, log],
  });
  if (typeof log === 'number') closeSync(log);
  if (options.input !== undefined) child.stdin?.end(options.input);
  return watch(child);
}

/** Runs a program to its end. */
export async function runProgram(
  options: ProgramOptions,
  timeoutMs = 60_000,
): Promise<Ended & { output: string; standardOutput: string }> {
  const program = startProgram(options);
  const timer = setTimeout(() => program.kill('SIGKILL'), timeoutMs);
  const ended = await program.ended;
  clearTimeout(timer);
  return { ...ended, output: program.output(), standardOutput: program.standardOutput() };
}

/** Waits until `ask` gives something; fails with `what` and the programs' output when it does not in time, or one of them ends. */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined> | Answer | undefined,
  options: { timeoutMs?: number; everyMs?: number; programs?: readonly Program[] } = {},
): Promise<Answer> {
  const deadline = performance.now() + (options.timeoutMs ?? 20_000);
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    const ended = options.programs?.find((program) => program.endedAs() !== null);
    if (ended !== undefined)
      throw new Error(`${what}: the program ended: ${JSON.stringify(ended.endedAs())}\n${ended.output()}`);
    if (performance.now() > deadline)
      throw new Error(
        `${what}: not within ${options.timeoutMs ?? 20_000} ms\n${(options.programs ?? []).map((program) => program.output()).join('\n')}`,
      );
    await pause(options.everyMs ?? pollEveryMs);
  }
}

/** What still runs when this process ends (a test that failed, Ctrl-C) ends with it. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function watch(child: ChildProcess): Program {
  running.add(child);
  let output = '';
  let standardOutput = '';
  let endedAs: Ended | null = null;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-outputKeptMax);
  };
  child.stdout?.on('data', (chunk: Buffer) => {
    standardOutput = (standardOutput + chunk.toString('utf8')).slice(-outputKeptMax);
    keep(chunk);
  });
  child.stderr?.on('data', keep);
  const ended = new Promise<Ended>((resolve) => {
    child.on('error', (error) => {
      output += String(error);
      running.delete(child);
      endedAs = { code: 127, signal: null };
      resolve(endedAs);
    });
    // 'close' comes after the last output, 'exit' before it.
    child.on('close', (code, signal) => {
      running.delete(child);
      if (child.pid !== undefined) removeClockTraces(child.pid);
      endedAs = { code, signal };
      resolve(endedAs);
    });
  });
  return {
    pid: child.pid ?? -1,
    ended,
    endedAs: () => endedAs,
    output: () => output,
    standardOutput: () => standardOutput,
    kill: (signal) => {
      if (endedAs === null) child.kill(signal);
    },
    stop: async (timeoutMs = 10_000) => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      const end = await ended;
      clearTimeout(timer);
      return end;
    },
  };
}
