// Who may import whom, and why. Owns the rules and their run by dependency-cruiser; how a rule is shown to be able to
// fail is in import-rules.test.ts. Paths are relative to the repository's root.
import { cruise, type ICruiseOptions, type IRegularForbiddenRuleType } from 'dependency-cruiser';

/** A forbidden import. `planted` is the least offence against it: `file` imports `imports`. */
export type ImportRule = {
  name: string;
  why: string;
  from: IRegularForbiddenRuleType['from'];
  to: IRegularForbiddenRuleType['to'];
  planted: { file: string; imports: string };
};

const tests = ['[.]test[.]tsx?$', '(^|/)testing/'];
const pureShared = '^shared/src/(domain|metering|ledger|protocol|api)/';
/** npm packages without input, output, clock or chance of their own. */
const purePackages = '/node_modules/(zod|temporal-polyfill|temporal-spec|temporal-utils|big[.]js|@types/big[.]js)/';

export const importRules: readonly ImportRule[] = [
  {
    name: 'shared-without-node',
    why: 'The browser and the simulation run shared code as it is; what needs Node lives under shared/src/node.',
    from: { path: '^shared/src/', pathNot: ['^shared/src/node/', ...tests] },
    to: { dependencyTypes: ['core'] },
    planted: { file: 'shared/src/ledger/offence.ts', imports: 'node:crypto' },
  },
  {
    name: 'shared-pure-without-adapters',
    why: 'A rule that reaches for an adapter can no longer be run on a manual clock or in a browser.',
    from: { path: pureShared, pathNot: tests },
    to: { path: '^shared/src/(node|testing)/' },
    planted: { file: 'shared/src/metering/offence.ts', imports: '../node/target.ts' },
  },
  {
    name: 'shared-pure-packages',
    why: 'Pure code stays pure only while every package under it is: zod, Temporal and big.js are, the rest is not.',
    from: { path: pureShared, pathNot: tests },
    to: { path: '/node_modules/', pathNot: purePackages },
    planted: { file: 'shared/src/domain/offence.ts', imports: 'pino' },
  },
  {
    name: 'domain-at-the-bottom',
    why: 'Every other module speaks in the terms of the domain, so the domain can know none of them.',
    from: { path: '^shared/src/domain/', pathNot: tests },
    to: { path: '^shared/src/', pathNot: '^shared/src/domain/' },
    planted: { file: 'shared/src/domain/offence.ts', imports: '../protocol/target.ts' },
  },
  {
    name: 'shared-stands-alone',
    why: 'Both sides build on shared; if it knew one of them, the other would carry that one along.',
    from: { path: '^shared/' },
    to: { path: '^(agent|aggregator|installer|test|scripts)/' },
    planted: { file: 'shared/src/node/offence.ts', imports: '../../../agent/src/core/target.ts' },
  },
  {
    name: 'core-without-node',
    why: 'Core decides and the shell acts: with no Node under it a year of months runs in milliseconds, the same each time.',
    from: { path: '^(agent|aggregator)/src/core/', pathNot: tests },
    to: { dependencyTypes: ['core'] },
    planted: { file: 'agent/src/core/offence.ts', imports: 'node:fs' },
  },
  {
    name: 'core-knows-core-only',
    why: 'A decision that calls the shell cannot be replayed, simulated or explained.',
    from: { path: '^(agent|aggregator)/src/core/', pathNot: tests },
    to: { path: '^(shared|agent|aggregator|test|scripts)/', pathNot: [pureShared, '^$1/src/core/'] },
    planted: { file: 'aggregator/src/core/offence.ts', imports: '../store/target.ts' },
  },
  {
    name: 'core-pure-packages',
    why: 'A package with a clock, a socket or a random source inside makes core depend on them unseen.',
    from: { path: '^(agent|aggregator)/src/core/', pathNot: tests },
    to: { path: '/node_modules/', pathNot: purePackages },
    planted: { file: 'aggregator/src/core/offence.ts', imports: 'pino' },
  },
  {
    name: 'shell-below-its-root',
    why: 'The composition root hands each part what it needs; a part that imports the root takes the whole program along.',
    from: {
      path: '^(agent|aggregator)/src/',
      pathNot: ['^[a-z]+/src/(main|site-manager|aggregator)[.]ts$', '^[a-z]+/src/cli/', ...tests],
    },
    to: { path: '^(agent|aggregator)/src/((main|site-manager|aggregator)[.]ts$|cli/)' },
    planted: { file: 'agent/src/uplink/offence.ts', imports: '../site-manager.ts' },
  },
  {
    name: 'root-below-the-process-edge',
    why: 'Tests and the simulation build the program without arguments, signals and exit codes.',
    from: { path: '^(agent/src/site-manager|aggregator/src/aggregator)[.]ts$' },
    to: { path: '^(agent|aggregator)/src/(main[.]ts$|cli/)' },
    planted: { file: 'aggregator/src/aggregator.ts', imports: './cli/target.ts' },
  },
  {
    name: 'agent-without-aggregator',
    why: 'They run on different machines in different versions; all they share is the protocol.',
    from: { path: '^agent/' },
    to: { path: '^aggregator/' },
    planted: { file: 'agent/src/uplink/offence.ts', imports: '../../../aggregator/src/core/target.ts' },
  },
  {
    name: 'aggregator-without-agent',
    why: 'They run on different machines in different versions; all they share is the protocol.',
    from: { path: '^aggregator/' },
    to: { path: '^agent/' },
    planted: { file: 'aggregator/src/gateway/offence.ts', imports: '../../../agent/src/core/target.ts' },
  },
  {
    name: 'dashboard-by-the-api',
    why: 'The dashboard is one more client of the API: it knows the terms and the HTTP schemas and nothing behind them.',
    from: { path: '^aggregator/dashboard/' },
    to: {
      path: '^(shared|agent|aggregator|test|scripts)/',
      pathNot: ['^aggregator/dashboard/', '^shared/src/(domain|api)/'],
    },
    planted: { file: 'aggregator/dashboard/src/offence.ts', imports: '@rollcall/shared/protocol/target.ts' },
  },
  {
    name: 'dashboard-without-node',
    why: 'It runs in a browser, where there is no Node.',
    from: { path: '^aggregator/dashboard/src/', pathNot: tests },
    to: { dependencyTypes: ['core'] },
    planted: { file: 'aggregator/dashboard/src/offence.ts', imports: 'node:path' },
  },
  {
    name: 'server-without-dashboard',
    why: 'The server serves the built pages as files; importing their source would pull React into the daemon.',
    from: { path: '^aggregator/src/' },
    to: { path: '^aggregator/dashboard/' },
    planted: { file: 'aggregator/src/http/offence.ts', imports: '../../dashboard/src/target.ts' },
  },
  {
    name: 'product-without-test-code',
    why: 'A hook for tests in the product is a door that only tests were meant to open.',
    from: { path: '^(shared|agent|aggregator)/', pathNot: tests },
    to: { path: '^(test|scripts)/|^[a-z]+/src/testing/' },
    planted: { file: 'agent/src/sources/offence.ts', imports: '@rollcall/shared/testing/target.ts' },
  },
  {
    name: 'cron-in-one-place',
    why: 'What wakes a program up is found in one file or folder, and each wake-up only asks what is due.',
    from: {
      path: '^(shared|agent|aggregator)/',
      pathNot: ['^agent/src/schedule([.]test)?[.]ts$', '^aggregator/src/jobs/'],
    },
    to: { path: '/node_modules/node-cron/' },
    planted: { file: 'aggregator/src/delivery/offence.ts', imports: 'node-cron' },
  },
  {
    name: 'timers-in-the-clock',
    why: 'A wait that does not come from the clock cannot be wound forward by the simulation.',
    from: { path: '^(shared|agent|aggregator)/', pathNot: ['^shared/src/node/clock[.]ts$', ...tests] },
    to: { path: '^(node:)?(timers|timers/promises|perf_hooks)$' },
    planted: { file: 'agent/src/uplink/offence.ts', imports: 'node:timers/promises' },
  },
  {
    name: 'packages-by-name',
    why: 'Another package is imported by its name, so that its exports and its declared dependencies are what holds.',
    from: { path: '^(shared|agent|aggregator/dashboard|aggregator|test)/' },
    to: {
      path: '^(shared|agent|aggregator/dashboard|aggregator|test)/',
      pathNot: '^$1/',
      dependencyTypes: ['local'],
    },
    planted: { file: 'test/e2e/offence.ts', imports: '../../agent/src/core/target.ts' },
  },
  {
    name: 'dependencies-declared',
    why: 'What is imported stands in the package.json beside it, or a clean install breaks somewhere else.',
    from: { path: '^(shared|agent|aggregator|test)/' },
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    planted: { file: 'agent/src/sources/offence.ts', imports: 'undeclared' },
  },
  {
    name: 'product-without-dev-dependencies',
    why: 'A packaged program has no development dependencies and would fail at its first start.',
    from: { path: '^(shared|agent|aggregator)/src/', pathNot: tests },
    to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: '/node_modules/@types/' },
    planted: { file: 'agent/src/sources/offence.ts', imports: 'for-tests' },
  },
  {
    name: 'one-way',
    why: 'Two modules that import each other are one module in two files.',
    from: {},
    to: { circular: true },
    planted: { file: 'shared/src/metering/offence.ts', imports: './offence.ts' },
  },
  {
    name: 'resolvable',
    why: 'An import that leads nowhere is not checked by any other rule.',
    from: {},
    to: { couldNotResolve: true },
    planted: { file: 'shared/src/metering/offence.ts', imports: './nowhere.ts' },
  },
];

/** What a run read and what it found. `modules` are the files of ours that were read, relative to the root. */
export type ImportCheck = {
  modules: string[];
  violations: { rule: string; from: string; to: string; why: string }[];
};

/** Reads every import below `root/folders` and holds it against the rules. */
export async function checkImports(root: string, folders: string[]): Promise<ImportCheck> {
  const options: ICruiseOptions = {
    baseDir: root,
    validate: true,
    ruleSet: {
      forbidden: importRules.map(({ name, why, from, to }) => ({ name, comment: why, severity: 'error', from, to })),
    },
    doNotFollow: { path: '(^|/)node_modules/' },
    exclude: { path: '(^|/)(dist|coverage|data)/' },
    // Types count: a type imported from the wrong side couples as firmly as a value.
    tsPreCompilationDeps: true,
  };
  const { output } = await cruise(folders, options, {
    conditionNames: ['import', 'node', 'default', 'types'],
    exportsFields: ['exports'],
    extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
  });
  if (typeof output === 'string') throw new TypeError('dependency-cruiser answered with text where a result was due');
  const why = new Map(importRules.map((rule) => [rule.name, rule.why]));
  return {
    modules: output.modules.map((module) => module.source).filter((source) => !source.includes('node_modules/')),
    violations: output.summary.violations.map((violation) => ({
      rule: violation.rule.name,
      from: violation.from,
      to: violation.to,
      why: why.get(violation.rule.name) ?? '',
    })),
  };
}
