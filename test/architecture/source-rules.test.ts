// Holds every source file against the source rules, and each rule against an offence planted for it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { offencesIn, parseSource, sourceRules } from './source-rules.ts';
import { repositoryRoot, sourceFilesOf } from './tree.ts';

describe('the repository', () => {
  it('keeps the source rules in every file', { timeout: 60_000 }, () => {
    const files = sourceFilesOf(repositoryRoot);
    expect(files).toContain('test/architecture/source-rules.ts');
    expect(
      files.flatMap((path) => offencesIn(parseSource(path, readFileSync(join(repositoryRoot, path), 'utf8')))),
    ).toEqual([]);
  });
});

describe('a planted offence is seen', () => {
  it.each(sourceRules.map((rule) => [rule.name, rule] as const))('%s', (_name, rule) => {
    expect(rule.offences(parseSource(rule.planted.path, rule.planted.text))).not.toEqual([]);
  });

  it.each([
    ['agent/src/uplink/a.ts', 'setTimeout(run, 5);', 'time-from-the-clock'],
    ['agent/src/uplink/a.ts', 'const wait = globalThis.setTimeout;', 'time-from-the-clock'],
    ['shared/src/ledger/a.ts', 'const at = new Date().toISOString();', 'time-from-the-clock'],
    ['shared/src/ledger/a.ts', 'const at = new Date;', 'time-from-the-clock'],
    ['shared/src/domain/a.ts', 'const now = Temporal.Now.instant();', 'time-from-the-clock'],
    ['aggregator/src/store/a.ts', "const draw = Math['random']();", 'chance-from-outside'],
    ['agent/src/core/a.ts', 'const reply = fetch(url);', 'core-without-globals'],
    ['aggregator/src/http/a.ts', 'const { PORT } = process.env;', 'environment-at-the-edge'],
    ['shared/src/domain/a.ts', "// Header\nexport * from './id.ts';\nexport const a = 1;", 'no-barrels'],
    ['shared/src/domain/index.ts', 'export const a = 1;', 'no-barrels'],
    ['agent/src/helpers/a.ts', 'export const a = 1;', 'named-for-a-noun'],
    ['agent/src/lease-manager2.ts', 'export const a = 1;', 'named-for-a-noun'],
  ])('in %s: %s', (path, text, name) => {
    const rule = sourceRules.find((each) => each.name === name);
    expect(rule?.offences(parseSource(path, text))).toHaveLength(1);
  });
});

describe('what is lawful', () => {
  it.each([
    ['shared/src/node/clock.ts', 'const now = Date.now(); setTimeout(run, 5);'],
    [
      'shared/src/domain/a.ts',
      'const at = new Date(epochMs); const parsed = Date.parse(text); const utc = Date.UTC(2030);',
    ],
    ['shared/src/ledger/a.ts', 'function hash(crypto: Crypto) { return crypto.sha256(bytes); }'],
    ['agent/src/uplink/a.ts', 'clock.setTimeout(run, 5); const timers = { setTimeout: 1 };'],
    ['agent/src/main.ts', 'const config = load(process.env);'],
    ['agent/src/time-zone.ts', "process.env['TZ'] = 'UTC';"],
    ['agent/src/site-manager.ts', 'export const a = 1;'],
    ['shared/src/domain/a.ts', "export { siteId } from './id.ts';\nexport const a = 1;"],
    ['test/e2e/a.ts', 'setTimeout(run, Math.random());'],
  ])('stands in %s: %s', (path, text) => {
    expect(offencesIn(parseSource(path, `// Header\n${text}\n`))).toEqual([]);
  });
});
