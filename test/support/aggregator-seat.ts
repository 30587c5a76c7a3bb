/** The place of an aggregator in a test: a database, a port, a clock; the process on it comes and goes. */
import { freePort } from './ports.ts';
import { type Program, runProgram, startProgram, until } from './program.ts';
import type { WallClock } from './wall-clock.ts';

/** Ample: a test's own requests are no attack. */
const requestsPerTokenPerMinute = '1000000';
const startTimeoutMs = 30_000;
const healthTimeoutMs = 1_000;

export type AggregatorOptions = { database: string; clock: WallClock; leaseHours?: number | undefined };

export class AggregatorSeat {
  readonly port: number;
  readonly url: string;
  readonly clock: WallClock;
  readonly #database: string;
  readonly #leaseHours: number | undefined;
  readonly #programs: Program[] = [];

  static async open(options: AggregatorOptions): Promise<AggregatorSeat> {
    return new AggregatorSeat(await freePort(), options);
  }

  private constructor(port: number, { database, clock, leaseHours }: AggregatorOptions) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.clock = clock;
    this.#database = database;
    this.#leaseHours = leaseHours;
  }

  /** Starts the process and does not wait for it. */
  spawn(): Program {
    const program = startProgram({
      program: 'rollcall',
      arguments: ['serve', '--port', String(this.port), '--log-level', 'warn', ...this.#settings()],
      environment: { ROLLCALL_DATABASE: this.#database },
      wallClock: this.clock,
    });
    this.#programs.push(program);
    return program;
  }

  #settings(): string[] {
    const lease = this.#leaseHours === undefined ? [] : ['--lease-hours', String(this.#leaseHours)];
    return ['--requests-per-token-per-minute', requestsPerTokenPerMinute, ...lease];
  }

  /** Starts the process; resolves when it listens. */
  async start(): Promise<Program> {
    const program = this.spawn();
    await until('the aggregator did not start', async () => ((await this.listens()) ? true : undefined), {
      timeoutMs: startTimeoutMs,
      programs: [program],
    });
    return program;
  }

  async listens(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(healthTimeoutMs) })).ok;
    } catch {
      return false;
    }
  }

  get isRunning(): boolean {
    return this.#programs.at(-1)?.endedAs() === null;
  }

  async stop(): Promise<void> {
    await this.#programs.at(-1)?.stop();
  }

  async kill(): Promise<void> {
    const program = this.#programs.at(-1);
    program?.kill('SIGKILL');
    await program?.ended;
  }

  /** An administrator's command, by the clock of the aggregator's machine. @throws Error with all output when it fails. */
  async cli(token: string, ...command: string[]): Promise<string> {
    const ended = await runProgram({
      program: 'rollcall',
      arguments: command,
      environment: { ROLLCALL_SERVER: this.url, ROLLCALL_TOKEN: token, ROLLCALL_DATABASE: this.#database },
      wallClock: this.clock,
    });
    if (ended.code !== 0) throw new Error(`rollcall ${command.join(' ')} ended with ${ended.code}:\n${ended.output}`);
    return ended.standardOutput;
  }

  /** What the last processes printed, for whoever reads a failure. */
  output(): string {
    return this.#programs
      .slice(-3)
      .map((program) => program.output())
      .join('── next process\n');
  }

  async end(): Promise<void> {
    for (const program of this.#programs) program.kill('SIGKILL');
    await Promise.all(this.#programs.map((program) => program.ended));
  }
}
