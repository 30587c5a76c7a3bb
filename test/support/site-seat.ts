/** The place of a Site Manager in a test: a data folder, a port, a clock; the process on it comes and goes. */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { localPaths, SiteStatus } from '@rollcall/shared/api/local.ts';
import { type KnownEntry, LedgerEntry, readEntry } from '@rollcall/shared/ledger/entry.ts';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { freePort } from './ports.ts';
import { type Ended, type Program, runProgram, startProgram, until } from './program.ts';
import type { WallClock } from './wall-clock.ts';

const startTimeoutMs = 30_000;
const callTimeoutMs = 5_000;

/** What the running service says of itself, for its operator's commands. */
const LocalApiPlace = z.object({ operatorToken: z.string() });

/** An entry as it lies in a database, either side's: its number, its hash, its text. */
export type HeldText = { seq: number; hash: string; text: string };

export class SiteSeat {
  readonly dataFolder: string;
  readonly clock: WallClock;
  readonly port: number;
  readonly url: string;
  readonly #programs: Program[] = [];

  static async open(dataFolder: string, clock: WallClock): Promise<SiteSeat> {
    return new SiteSeat(dataFolder, clock, await freePort());
  }

  private constructor(dataFolder: string, clock: WallClock, port: number) {
    this.dataFolder = dataFolder;
    this.clock = clock;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Another machine with a copy of this one's disk as it is now; running ones must be stopped first. */
  async copyTo(dataFolder: string): Promise<SiteSeat> {
    cpSync(this.dataFolder, dataFolder, { recursive: true });
    return SiteSeat.open(dataFolder, this.clock);
  }

  get joinCode(): string {
    return readFileSync(join(this.dataFolder, 'join-code'), 'utf8').trim();
  }

  /** Starts the process and does not wait for it. */
  spawn(): Program {
    const program = startProgram({
      program: 'rollcall-site',
      arguments: ['run', '--data-folder', this.dataFolder, '--local-api-port', String(this.port)],
      wallClock: this.clock,
    });
    this.#programs.push(program);
    return program;
  }

  /** Starts the process; resolves when its local API listens. */
  async start(): Promise<Program> {
    const program = this.spawn();
    await until('the Site Manager did not start', async () => ((await this.listens()) ? true : undefined), {
      timeoutMs: startTimeoutMs,
      programs: [program],
    });
    return program;
  }

  /** Starts the process; resolves when it is connected and everything it wrote is acknowledged. */
  async startInContact(): Promise<void> {
    await this.start();
    await this.untilSynchronised();
  }

  async listens(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}${localPaths.health}`, { signal: AbortSignal.timeout(callTimeoutMs) })).ok;
    } catch {
      return false;
    }
  }

  async stop(): Promise<void> {
    await this.#programs.at(-1)?.stop();
  }

  async kill(): Promise<void> {
    const program = this.#programs.at(-1);
    program?.kill('SIGKILL');
    await program?.ended;
  }

  /** A command of the site's operator. */
  cli(...command: string[]): Promise<Ended & { output: string; standardOutput: string }> {
    return runProgram({
      program: 'rollcall-site',
      arguments: [...command, '--data-folder', this.dataFolder],
      wallClock: this.clock,
    });
  }

  /** @throws Error with all output when the command fails. */
  async mustCli(...command: string[]): Promise<string> {
    const ended = await this.cli(...command);
    if (ended.code !== 0)
      throw new Error(`rollcall-site ${command.join(' ')} ended with ${ended.code}:\n${ended.output}`);
    return ended.standardOutput;
  }

  /** Enrols this data folder by a token. */
  enrol(server: string, token: string, ...options: string[]): Promise<Ended & { output: string }> {
    return runProgram({
      program: 'rollcall-site',
      arguments: ['enrol', '--server', server, '--data-folder', this.dataFolder, ...options],
      environment: { ROLLCALL_ENROLMENT_TOKEN: token },
      wallClock: this.clock,
    });
  }

  /** What `rollcall-site status` asks the running service for. */
  async status(): Promise<SiteStatus> {
    const response = await fetch(`${this.url}${localPaths.status}`, {
      headers: { Authorization: `Bearer ${this.#operatorToken()}` },
      signal: AbortSignal.timeout(callTimeoutMs),
    });
    if (!response.ok) throw new Error(`the status answered ${response.status}: ${await response.text()}`);
    return SiteStatus.parse(await response.json());
  }

  operatorHeaders(): Record<string, string> {
    return { Authorization: `Bearer ${this.#operatorToken()}` };
  }

  /** Waits until the status shows something. */
  async untilStatus(what: string, is: (status: SiteStatus) => boolean, timeoutMs = 20_000): Promise<SiteStatus> {
    let last: SiteStatus | undefined;
    const programs = this.#programs.slice(-1);
    try {
      return await until(
        what,
        async () => {
          last = await this.status();
          return is(last) ? last : undefined;
        },
        { timeoutMs, programs },
      );
    } catch (cause) {
      throw new Error(`${what}; the status was ${JSON.stringify(last)}`, { cause });
    }
  }

  async untilSynchronised(): Promise<void> {
    await this.untilStatus(
      'everything is acknowledged',
      ({ connected, ledger }) => connected && ledger.acknowledgedSeq === ledger.seq,
    );
  }

  /** The ledger as it lies on the disk. */
  ledgerTexts(): HeldText[] {
    const path = join(this.dataFolder, 'ledger.db');
    if (!existsSync(path)) return [];
    const database = new Database(path, { readonly: true });
    try {
      return database.prepare<[], HeldText>('SELECT seq, hash, text FROM entries ORDER BY seq').all();
    } finally {
      database.close();
    }
  }

  ledger(): KnownEntry[] {
    return this.ledgerTexts().map(({ text }) => {
      const read = readEntry(LedgerEntry.parse(JSON.parse(text)));
      if (!read.ok) throw new Error(read.message);
      return read.entry;
    });
  }

  /** Entries of one kind. */
  entriesOf<Kind extends KnownEntry['kind']>(kind: Kind): Extract<KnownEntry, { kind: Kind }>[] {
    return this.ledger().filter((entry): entry is Extract<KnownEntry, { kind: Kind }> => entry.kind === kind);
  }

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

  #operatorToken(): string {
    const place: unknown = JSON.parse(readFileSync(join(this.dataFolder, 'local-api.json'), 'utf8'));
    return LocalApiPlace.parse(place).operatorToken;
  }
}
