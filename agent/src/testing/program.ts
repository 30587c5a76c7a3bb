/** Runs rollcall-site as a process of its own, the way its users do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

export type Ended = { exitCode: number | null; stdout: string; stderr: string };

/** The environment a command gets: nothing of the test's own but what finds programs. */
const bareEnvironment = (): Record<string, string> => {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
};

export function startProgram(
  args: readonly string[],
  environment: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...bareEnvironment(), ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream]?.setEncoding('utf8').on('data', (text: string) => (output[stream] += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, ...output }));
  });
  return { child, ended };
}

/** Runs a command to its end. */
export function runProgram(
  args: readonly string[],
  options: { environment?: Record<string, string>; stdin?: string | Buffer } = {},
): Promise<Ended> {
  const { child, ended } = startProgram(args, options.environment);
  // A command that ends without reading its input closes the pipe; that is its right.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.stdin ?? '');
  return ended;
}

/** Waits until standard error has said something, such as that the service runs. */
export function untilSays(child: ChildProcess, pattern: RegExp, timeoutMs = 15_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`it did not say ${pattern}: ${text}`)), timeoutMs);
    child.stderr?.on('data', (chunk: string) => {
      text += chunk;
      if (!pattern.test(text)) return;
      clearTimeout(timer);
      resolve(text);
    });
    child.on('close', () => {
      clearTimeout(timer);
      reject(new Error(`it ended: ${text}`));
    });
  });
}
