/** Reads configuration from flags, environment and a TOML file, and says everything that is wrong with it at once. */
import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { RollcallError } from '../domain/problem.ts';

/** One setting's sources, in order of precedence: flag, environment variable, file, default of the schema. */
export type ConfigSources = {
  flags: Record<string, unknown>;
  environment: Record<string, string | undefined>;
  /** Prefix of variables: `ROLLCALL_` turns `dataFolder` into `ROLLCALL_DATA_FOLDER`. */
  prefix: string;
  filePath?: string | undefined;
};

/**
 * Reads a flat configuration by its schema.
 * @throws RollcallError `CONFIG_INVALID` that lists every problem: name, value (secrets left out), and what would be right.
 */
export function readConfig<Schema extends z.ZodObject>(
  schema: Schema,
  sources: ConfigSources,
  secretNames: readonly string[] = [],
): z.infer<Schema> {
  const values: Record<string, unknown> = {};
  const file = sources.filePath === undefined ? {} : readTomlFile(sources.filePath);
  const unknown = Object.keys(file).filter((name) => !Object.hasOwn(schema.shape, name));
  for (const name of Object.keys(schema.shape)) {
    const variable = sources.environment[variableName(sources.prefix, name)];
    const value = sources.flags[name] ?? (variable === '' ? undefined : variable) ?? file[name];
    if (value !== undefined) values[name] = value;
  }
  const read = schema.safeParse(values);
  if (read.success && unknown.length === 0) return read.data;
  const problems = unknown.map((name) => `${name}: not a setting (in ${sources.filePath})`);
  for (const issue of read.success ? [] : read.error.issues) {
    const name = String(issue.path[0] ?? '');
    const given = !Object.hasOwn(values, name)
      ? 'not given'
      : secretNames.includes(name)
        ? 'given, not shown'
        : `got ${shown(values[name])}`;
    problems.push(
      `${name}: ${issue.message} (${given}; flag --${flagName(name)}, variable ${variableName(sources.prefix, name)})`,
    );
  }
  throw new RollcallError(
    'CONFIG_INVALID',
    `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n  ${problems.join('\n  ')}`,
    {
      retryable: false,
    },
  );
}

/** The configuration as text, one `name = value` a line, secrets replaced. */
export function describeConfig(config: Record<string, unknown>, secretNames: readonly string[] = []): string {
  return Object.entries(config)
    .map(
      ([name, value]) => `${name} = ${secretNames.includes(name) && value !== undefined ? '"[secret]"' : shown(value)}`,
    )
    .join('\n');
}

/** A value as it may be shown: what stands before the @ of an address may be a password. */
const shown = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'string' ? withoutUserInfo(part) : part));

/** Up to the last @, since a password that was not encoded may hold one, or a slash; also where the scheme was left out. */
const withoutUserInfo = (text: string): string =>
  text.includes('://') ? text.replace(/:\/\/.*@/s, '://[secret]@') : text.replace(/^[^/@]*:(?!\\).*@/s, '[secret]@');

const variableName = (prefix: string, name: string): string =>
  prefix + name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
const flagName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function readTomlFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RollcallError('CONFIG_UNREADABLE', `cannot read the configuration file ${path}`, {
      retryable: false,
      cause,
    });
  }
  try {
    return parse(text);
  } catch (cause) {
    // The reader's message goes on with the lines around the mistake, which may hold a secret; so does the error itself.
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : '';
    const line = cause instanceof TomlError ? ` (line ${cause.line})` : '';
    throw new RollcallError('CONFIG_INVALID', `${path} is not TOML: ${why}${line}`, { retryable: false });
  }
}
