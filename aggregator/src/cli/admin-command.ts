/** What every administrative command has in common: where the aggregator is, by which token, and how results are printed. */
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { ApiClient } from './api-client.ts';
import { ProblemError, UsageError } from './failure.ts';
import { type FieldOptions, inOptionNames } from './option-names.ts';
import { createPrinter, type Printer } from './printer.ts';

/** The process as the commands see it. */
export type ProgramIo = { environment: Record<string, string | undefined>; out: Writable; err: Writable };

const defaultServer = 'http://127.0.0.1:7400';
const listLimitDefault = 1000;

const ConnectionOptions = z.object({
  server: z.string().optional(),
  tokenFile: z.string().optional(),
  json: z.boolean().default(false),
});

/** The arguments of a command: what was given, and how the usage names them. */
export type Arguments = { given: readonly string[]; names: readonly string[] };

export type AdminCall<Options> = { client: ApiClient; print: Printer; options: Options; args: Arguments };

export type AdminSpec<Shape extends z.ZodObject> = {
  /** As commander writes it: `create`, `show <site>`. */
  name: string;
  summary: string;
  options?: readonly Option[];
  /** Reads the options above; what it refuses is a wrong command line. */
  schema: Shape;
  examples?: readonly string[];
  /** Fields of the API whose option has another name (option-names.ts). */
  fields?: FieldOptions;
  run(call: AdminCall<z.output<Shape>>): Promise<void>;
};

/** Adds a command that speaks the HTTP API. */
export function addAdminCommand<Shape extends z.ZodObject>(
  parent: Command,
  io: ProgramIo,
  spec: AdminSpec<Shape>,
): void {
  const command = parent.command(spec.name).description(spec.summary);
  for (const option of spec.options ?? []) command.addOption(option);
  command
    .addOption(new Option('--server <url>', `the aggregator's address (ROLLCALL_SERVER; ${defaultServer})`))
    .addOption(new Option('--token-file <file>', 'file that holds the API token (else ROLLCALL_TOKEN)'))
    .addOption(new Option('--json', 'print JSON'));
  if (spec.examples !== undefined)
    command.addHelpText(
      'after',
      `\nExamples:\n${spec.examples.map((example) => `  $ rollcall ${example}`).join('\n')}`,
    );
  command.action(async () => {
    const given = command.opts();
    const { server, tokenFile, json } = ConnectionOptions.parse(given);
    const options = spec.schema.safeParse(given);
    if (!options.success)
      throw new UsageError(
        options.error.issues.map((issue) => `--${flagName(String(issue.path[0] ?? ''))}: ${issue.message}`).join('; '),
      );
    const call: AdminCall<z.output<Shape>> = {
      client: new ApiClient(
        serverUrl(server ?? (io.environment['ROLLCALL_SERVER'] || defaultServer)),
        readToken(tokenFile, io.environment['ROLLCALL_TOKEN']),
      ),
      print: createPrinter(io.out, io.err, json),
      options: options.data,
      args: { given: command.args, names: command.registeredArguments.map((argument) => argument.name()) },
    };
    try {
      await spec.run(call);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      throw new ProblemError(inOptionNames(error.problem, command, spec.fields ?? {}));
    }
  });
}

/** `--limit` of every list. */
export const limitOption = new Option('--limit <rows>', 'most rows to list').default(String(listLimitDefault));
export const Limit = z.coerce
  .number('a whole number')
  .int('a whole number')
  .min(1, 'at least 1')
  .max(100_000, 'at most 100000');
/** A whole number as an option writes it; its limits are the server's. */
export const WholeNumber = z
  .string()
  .regex(/^\d{1,9}$/, 'a whole number')
  .transform(Number);

/** An argument of a command. @throws UsageError that names it where it is missing. */
export function theArgument({ given, names }: Arguments, place = 0): string {
  const argument = given[place];
  if (argument === undefined || argument === '') throw new UsageError(`<${names[place] ?? 'argument'}> is missing`);
  return argument;
}

/** An option that may be given several times. */
export const repeatable = (flags: string, description: string): Option =>
  new Option(flags, description).argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);

function serverUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new UsageError(`--server: ${JSON.stringify(text)} is not an address such as ${defaultServer}`);
  return text.replace(/\/+$/, '');
}

function readToken(file: string | undefined, variable: string | undefined): string {
  const token = file === undefined ? variable : readTokenFile(file);
  if (token === undefined || token.trim() === '')
    throw new UsageError(
      'there is no API token',
      'set ROLLCALL_TOKEN, or give --token-file FILE; `rollcall setup` prints the first one',
    );
  // A header cannot carry line breaks, and an error of fetch would print the token.
  if (!/^[\x21-\x7e]{1,200}$/.test(token.trim()))
    throw new UsageError('the API token is not one: it has the form rc_…');
  return token.trim();
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `cannot read the token file ${path}: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'}`,
    );
  }
}

const flagName = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
