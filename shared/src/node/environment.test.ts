import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { RollcallError } from '../domain/problem.ts';
import { type ConfigSources, describeConfig, readConfig } from './environment.ts';

const Config = z.object({
  dataFolder: z.string().default('/default'),
  port: z.coerce.number('must be a number').int().max(65_535, 'at most 65535').default(1),
  apiToken: z.string().min(10, 'at least 10 characters').optional(),
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-environment-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const sources = (given: Partial<ConfigSources> = {}): ConfigSources => ({
  flags: {},
  environment: {},
  prefix: 'ROLLCALL_',
  ...given,
});

function toml(text: string): string {
  const path = join(folder, `${Math.random()}.toml`);
  writeFileSync(path, text);
  return path;
}

function problemOf(read: () => unknown): RollcallError {
  try {
    read();
  } catch (error) {
    if (error instanceof RollcallError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the configuration', () => {
  test('takes each setting from flag, then variable, then file, then default', () => {
    const filePath = toml('dataFolder = "/file"\nport = 2\n');
    const environment = { ROLLCALL_DATA_FOLDER: '/variable', ROLLCALL_PORT: '3' };
    expect(readConfig(Config, sources())).toEqual({ dataFolder: '/default', port: 1 });
    expect(readConfig(Config, sources({ filePath }))).toEqual({ dataFolder: '/file', port: 2 });
    expect(readConfig(Config, sources({ filePath, environment }))).toEqual({ dataFolder: '/variable', port: 3 });
    expect(readConfig(Config, sources({ filePath, environment, flags: { port: '4' } }))).toEqual({
      dataFolder: '/variable',
      port: 4,
    });
  });

  test('takes an empty variable for one that is not set', () => {
    expect(readConfig(Config, sources({ environment: { ROLLCALL_DATA_FOLDER: '' } })).dataFolder).toBe('/default');
  });

  test('leaves variables of others alone', () => {
    expect(readConfig(Config, sources({ environment: { DATA_FOLDER: '/x', ROLLCALL_OTHER: 'y' } })).dataFolder).toBe(
      '/default',
    );
  });

  test('lists everything that is wrong at once, with name, value and where to set it', () => {
    const filePath = toml('dataFolder = 7\ncolour = "red"\n');
    const problem = problemOf(() => readConfig(Config, sources({ filePath, flags: { port: '70000' } })));
    expect(problem.code).toBe('CONFIG_INVALID');
    expect(problem.message).toContain('3 problems');
    expect(problem.message).toContain(`colour: not a setting (in ${filePath})`);
    expect(problem.message).toContain('port: at most 65535 (got "70000"; flag --port, variable ROLLCALL_PORT)');
    expect(problem.message).toMatch(/dataFolder: .*got 7; flag --data-folder, variable ROLLCALL_DATA_FOLDER/);
  });

  test('never shows a secret, neither when it is wrong nor when it is right', () => {
    const problem = problemOf(() =>
      readConfig(Config, sources({ environment: { ROLLCALL_API_TOKEN: 'hush' } }), ['apiToken']),
    );
    expect(problem.message).toContain('given, not shown');
    expect(problem.message).not.toContain('hush');
    expect(describeConfig({ port: 1, apiToken: 'hush-hush-hush' }, ['apiToken'])).toBe(
      'port = 1\napiToken = "[secret]"',
    );
  });

  test.each([
    ['https://user:s3cretpw@host/', 'got "https://[secret]@host/"'],
    ['https://s3cretpw@host/', 'got "https://[secret]@host/"'],
    ['https://user:s3cret@pw/s3cret@host/', 'got "https://[secret]@host/"'],
    ['user:s3cretpw@host', 'got "[secret]@host"'],
    ['https://user:s3cret pw"@host', 'got "https://[secret]@host"'],
    [{ url: 'https://user:s3cretpw@host/' }, 'got {"url":"https://[secret]@host/"}'],
    ['C:\\Users\\a@b', String.raw`got "C:\\Users\\a@b"`],
    ['https://host/', 'got "https://host/"'],
  ])('shows no password of an address: %j', (given, told) => {
    const Wrong = z.object({ aggregatorUrl: z.literal('right') });
    const { message } = problemOf(() => readConfig(Wrong, sources({ flags: { aggregatorUrl: given } })));
    expect(message).toContain(told);
    expect(message + describeConfig({ aggregatorUrl: given })).not.toContain('s3cret');
  });

  test('shows no line of a file that is not TOML, only its number', () => {
    const filePath = toml('port = 1\naggregatorUrl = https://user:s3cretpw@host\n');
    const problem = problemOf(() => readConfig(Config, sources({ filePath })));
    expect(problem.message).toContain('(line 2)');
    expect(`${problem.stack} ${String(problem.cause)}`).not.toContain('s3cretpw');
  });

  test('says when a value that is needed was not given', () => {
    const problem = problemOf(() => readConfig(z.object({ server: z.string('needed') }), sources()));
    expect(problem.message).toContain('has a problem');
    expect(problem.message).toContain('server: needed (not given; flag --server, variable ROLLCALL_SERVER)');
  });

  test.each([
    ['is missing', (): string => join(folder, 'nowhere.toml'), 'CONFIG_UNREADABLE'],
    ['is not TOML', (): string => toml('dataFolder = = 1'), 'CONFIG_INVALID'],
  ])('names a file that %s', (_, make, code) => {
    const filePath = make();
    const problem = problemOf(() => readConfig(Config, sources({ filePath })));
    expect(problem.code).toBe(code);
    expect(problem.message).toContain(filePath);
  });
});
