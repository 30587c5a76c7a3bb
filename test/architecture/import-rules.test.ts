// Holds the repository against the import rules, and each rule against an offence planted for it.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkImports, type ImportRule, importRules } from './import-rules.ts';
import { codeFoldersOf, repositoryRoot, sourceFilesOf } from './tree.ts';

describe('the repository', () => {
  it('imports one way only, and every file of it was read', { timeout: 60_000 }, async () => {
    const files = sourceFilesOf(repositoryRoot);
    const { modules, violations } = await checkImports(repositoryRoot, codeFoldersOf(repositoryRoot));
    // dependency-cruiser without a TypeScript it can use reads no module and reports no violation.
    expect(files.length).toBeGreaterThan(0);
    const read = new Set(modules);
    expect(files.filter((file) => !read.has(file))).toEqual([]);
    expect(violations).toEqual([]);
  });
});

describe('a planted offence is seen', () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  it.each(importRules.map((rule) => [rule.name, rule] as const))('%s', async (_name, rule) => {
    const root = plant(rule);
    folders.push(root);
    const { modules, violations } = await checkImports(root, codeFoldersOf(root));
    expect(modules).toContain(rule.planted.file);
    expect(
      violations.filter((violation) => violation.from === rule.planted.file).map(({ rule: name }) => name),
    ).toContain(rule.name);
  });

  it.each([
    ['shared/src/metering/lawful.ts', '../domain/target.ts'],
    ['shared/src/node/lawful.ts', 'node:crypto'],
    ['shared/src/node/clock.ts', 'node:timers/promises'],
    ['agent/src/core/lawful.ts', '@rollcall/shared/domain/target.ts'],
    ['agent/src/core/lawful.test.ts', '@rollcall/shared/testing/target.ts'],
    ['agent/src/schedule.ts', 'node-cron'],
    ['agent/src/main.ts', './site-manager.ts'],
    ['aggregator/src/http/lawful.ts', '../core/target.ts'],
    ['aggregator/src/jobs/lawful.ts', 'node-cron'],
    ['aggregator/dashboard/src/lawful.tsx', '@rollcall/shared/domain/target.ts'],
    ['test/e2e/lawful.ts', '@rollcall/shared/testing/target.ts'],
  ])('and %s may import %s', async (file, imports) => {
    const root = plant({ file, imports });
    folders.push(root);
    const { modules, violations } = await checkImports(root, codeFoldersOf(root));
    expect(modules).toContain(file);
    expect(violations).toEqual([]);
  });
});

/** A small repository in a temporary folder, laid out like this one, with one import in it. */
function plant(offence: ImportRule | ImportRule['planted']): string {
  const { file, imports } = 'planted' in offence ? offence.planted : offence;
  const root = mkdtempSync(join(tmpdir(), 'rollcall-architecture-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const name of ['shared', 'agent', 'aggregator', 'aggregator/dashboard', 'test']) {
    const dependencies =
      name === 'shared'
        ? { pino: '1.0.0' }
        : { pino: '1.0.0', 'node-cron': '1.0.0', '@rollcall/shared': 'workspace:*' };
    write(
      `${name}/package.json`,
      JSON.stringify({
        name: `@rollcall/${name.split('/').at(-1)}`,
        type: 'module',
        exports: { './*': './src/*' },
        dependencies,
        devDependencies: { 'for-tests': '1.0.0' },
      }),
    );
    for (const dependency of ['pino', 'node-cron', 'for-tests', 'undeclared']) {
      write(`${name}/node_modules/${dependency}/package.json`, JSON.stringify({ name: dependency, main: 'index.js' }));
      write(`${name}/node_modules/${dependency}/index.js`, 'module.exports = {};\n');
    }
    if (name !== 'shared') {
      mkdirSync(join(root, name, 'node_modules/@rollcall'), { recursive: true });
      symlinkSync(join(root, 'shared'), join(root, name, 'node_modules/@rollcall/shared'), 'junction');
    }
  }
  for (const target of [
    'shared/src/domain/target.ts',
    'shared/src/protocol/target.ts',
    'shared/src/node/target.ts',
    'shared/src/testing/target.ts',
    'agent/src/core/target.ts',
    'agent/src/site-manager.ts',
    'aggregator/src/core/target.ts',
    'aggregator/src/store/target.ts',
    'aggregator/src/cli/target.ts',
    'aggregator/dashboard/src/target.ts',
  ])
    write(target, 'export const target = 1;\n');
  write(file, `import * as imported from '${imports}';\nexport const used = imported;\n`);
  return root;
}
