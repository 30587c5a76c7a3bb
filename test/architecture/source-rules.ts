// What may stand in a source file, and why: rules that no import shows. Owns the rules; the files come from tree.ts,
// and source-rules.test.ts shows for each rule that it can fail.
import ts from 'typescript';
import { isTestCode } from './tree.ts';

/** One file as the rules see it. `path` is relative to the repository's root. */
export type SourceFile = { path: string; text: string; tree: ts.SourceFile };

/** A rule and what it finds in a file: one sentence per offence. `planted` is the least offence against it. */
export type SourceRule = {
  name: string;
  why: string;
  offences(file: SourceFile): string[];
  planted: { path: string; text: string };
};

const product = /^(shared|agent|aggregator)\//;
const pure = /^(shared\/src\/(domain|metering|ledger|protocol|api)|(agent|aggregator)\/src\/core)\//;
const readsEnvironment = /(^|\/)(main|config)(\.test)?\.ts$|\/config\//;
const holdsClockOrChance = /^shared\/src\/node\/(clock|chance)\.ts$|^aggregator\/dashboard\/src\/clock\.ts$/;
const nameless = /^(utils?|helpers?|common|misc|stuff|managers?\d*|.*-(utils?|helpers?|managers?\d*))$/;

export const sourceRules: readonly SourceRule[] = [
  {
    name: 'time-from-the-clock',
    why: 'Time is an argument; a program that asks the machine for it cannot be wound forward by the simulation.',
    offences: ({ path, tree }) =>
      !product.test(path) || isTestCode(path) || holdsClockOrChance.test(path)
        ? []
        : found(tree, (node) => clockReading(node) ?? timer(node)),
    planted: { path: 'agent/src/uplink/offence.ts', text: 'export const at = Date.now();\n' },
  },
  {
    name: 'chance-from-outside',
    why: 'Chance is an argument, so that a failing run can be repeated from its seed.',
    offences: ({ path, tree }) =>
      !product.test(path) || isTestCode(path) || holdsClockOrChance.test(path)
        ? []
        : found(tree, (node) => (isMember(node, 'Math', 'random') ? 'Math.random' : undefined)),
    planted: { path: 'agent/src/uplink/offence.ts', text: 'export const jitter = Math.random();\n' },
  },
  {
    name: 'core-without-globals',
    why: 'Core decides from its arguments alone; a global brings in the machine it runs on.',
    offences: ({ path, tree }) =>
      !pure.test(path) || isTestCode(path)
        ? []
        : found(tree, (node) => {
            const globals = ['process', 'crypto', 'fetch', 'console', 'performance', 'globalThis'];
            return ts.isIdentifier(node) && globals.includes(node.text) && isFreeName(node, tree)
              ? node.text
              : undefined;
          }),
    planted: { path: 'aggregator/src/core/offence.ts', text: 'export const id = crypto.randomUUID();\n' },
  },
  {
    name: 'environment-at-the-edge',
    why: 'A setting that is read deep inside is in no --print-config and cannot be checked at the start.',
    offences: ({ path, tree }) =>
      !product.test(path) || isTestCode(path) || readsEnvironment.test(path)
        ? []
        : found(tree, (node) => (isMember(node, 'process', 'env') && !isWritten(node) ? 'process.env' : undefined)),
    planted: { path: 'agent/src/uplink/offence.ts', text: 'export const proxy = process.env["HTTPS_PROXY"];\n' },
  },
  {
    name: 'no-barrels',
    why: 'A file that only passes on other files hides where things live and drags all of them in at each import.',
    offences: ({ path, tree }) => {
      const passedOn = tree.statements.filter((each) => ts.isExportDeclaration(each) && each.moduleSpecifier);
      const everything = passedOn.length > 0 && passedOn.length === tree.statements.length;
      const stars = passedOn.some((each) => ts.isExportDeclaration(each) && !each.exportClause);
      return [
        ...(everything ? ['it holds nothing but re-exports'] : []),
        ...(stars ? ['it re-exports everything of another file'] : []),
        ...(/(^|\/)index\.tsx?$/.test(path) ? ['it is named index'] : []),
      ];
    },
    planted: { path: 'shared/src/domain/offence.ts', text: "export { siteId } from './id.ts';\n" },
  },
  {
    name: 'named-for-a-noun',
    why: 'A helper lives with its noun; in a drawer named utils nobody finds it and everybody adds to it.',
    offences: ({ path }) =>
      path
        .split('/')
        .map((part) => part.replace(/(\.test|\.d)?\.tsx?$/, ''))
        .filter((part) => nameless.test(part) && part !== 'site-manager')
        .map((part) => `'${part}' names no thing`),
    planted: { path: 'shared/src/domain/date-utils.ts', text: 'export const day = 1;\n' },
  },
  {
    name: 'header-first',
    why: 'The first line says what the file owns and what it leaves to whom, before anybody has to read on.',
    // A test says what it is about in its first describe.
    offences: ({ path, text }) =>
      /\.test\.tsx?$/.test(path) || /^(#!.*\n)?\s*(\/\/|\/\*)/.test(text) ? [] : ['it does not begin with a comment'],
    planted: { path: 'shared/src/domain/offence.ts', text: 'export const day = 1;\n' },
  },
  {
    name: 'no-cast-past-a-parse',
    why: 'A value cast by way of unknown was never looked at; what comes from outside is parsed where it comes in.',
    offences: ({ path, tree }) =>
      !product.test(path) || isTestCode(path)
        ? []
        : found(tree, (node) =>
            ts.isAsExpression(node) &&
            ts.isAsExpression(node.expression) &&
            node.expression.type.kind === ts.SyntaxKind.UnknownKeyword
              ? 'as unknown as'
              : undefined,
          ),
    planted: {
      path: 'agent/src/uplink/offence.ts',
      text: 'export const entry = "{}" as unknown as { seq: number };\n',
    },
  },
  {
    name: 'nothing-left-for-later',
    why: 'What is left for later stands in an issue, where somebody sees it.',
    offences: ({ text }) => {
      const marks = text.match(
        new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`, 'g'),
      );
      return marks ?? [];
    },
    planted: {
      path: 'shared/src/domain/offence.ts',
      text: `// ${'TO' + 'DO'}: leap years\nexport const days = 365;\n`,
    },
  },
];

/** Reads a file's text for the rules. */
export function parseSource(path: string, text: string): SourceFile {
  const kind = path.endsWith('.tsx') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, kind) };
}

/** All offences in one file, each as `path: rule: what (why)`. */
export function offencesIn(file: SourceFile): string[] {
  return sourceRules.flatMap((rule) =>
    rule.offences(file).map((offence) => `${file.path}: ${rule.name}: ${offence}. ${rule.why}`),
  );
}

function found(tree: ts.SourceFile, match: (node: ts.Node) => string | undefined): string[] {
  const offences: string[] = [];
  const visit = (node: ts.Node): void => {
    const offence = match(node);
    if (offence !== undefined) {
      const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
      offences.push(`${offence} in line ${line + 1}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return offences;
}

/** `object.member` or `object['member']`, also below globalThis. */
function isMember(node: ts.Node, object: string, member: string): boolean {
  const named = (owner: ts.Expression): boolean =>
    (ts.isIdentifier(owner) && owner.text === object) ||
    (ts.isPropertyAccessExpression(owner) && owner.name.text === object && owner.expression.getText() === 'globalThis');
  if (ts.isPropertyAccessExpression(node)) return node.name.text === member && named(node.expression);
  if (!ts.isElementAccessExpression(node)) return false;
  const { argumentExpression: key } = node;
  return ts.isStringLiteralLike(key) && key.text === member && named(node.expression);
}

function clockReading(node: ts.Node): string | undefined {
  for (const [object, member] of [
    ['Date', 'now'],
    ['performance', 'now'],
    ['process', 'hrtime'],
    ['process', 'uptime'],
    ['Temporal', 'Now'],
  ] as const)
    if (isMember(node, object, member)) return `${object}.${member}`;
  if (!ts.isIdentifier(node) || node.text !== 'Date') return undefined;
  const { parent } = node;
  if (ts.isNewExpression(parent) && parent.expression === node && (parent.arguments?.length ?? 0) === 0)
    return 'new Date()';
  return ts.isCallExpression(parent) && parent.expression === node ? 'Date()' : undefined;
}

const timers = ['setTimeout', 'setInterval', 'setImmediate'];

function timer(node: ts.Node): string | undefined {
  if (ts.isIdentifier(node) && timers.includes(node.text) && isFreeName(node, node.getSourceFile())) return node.text;
  const below = timers.find((name) => isMember(node, 'globalThis', name));
  return below && `globalThis.${below}`;
}

/** True for a name that stands for a global: not a member, a key, a type, nor declared in the file itself. */
function isFreeName(name: ts.Identifier, tree: ts.SourceFile): boolean {
  const { parent } = name;
  if (ts.isPropertyAccessExpression(parent) && parent.name === name) return false;
  if (ts.isPropertyAssignment(parent) && parent.name === name) return false;
  if (ts.isTypeNode(parent) || ts.isTypeElement(parent) || ts.isClassElement(parent)) return false;
  if (ts.isImportSpecifier(parent) || ts.isQualifiedName(parent)) return false;
  return !isDeclared(name.text, tree);
}

function isDeclared(name: string, tree: ts.SourceFile): boolean {
  let declared = false;
  const visit = (node: ts.Node): void => {
    declared ||=
      (ts.isVariableDeclaration(node) ||
        ts.isParameter(node) ||
        ts.isBindingElement(node) ||
        ts.isFunctionDeclaration(node) ||
        ts.isImportSpecifier(node)) &&
      node.name !== undefined &&
      ts.isIdentifier(node.name) &&
      node.name.text === name;
    if (!declared) ts.forEachChild(node, visit);
  };
  visit(tree);
  return declared;
}

/** `process.env.TZ = 'UTC'` tells the environment, it does not ask it. */
function isWritten(environment: ts.Node): boolean {
  const variable = environment.parent;
  const assignment = variable.parent;
  return (
    (ts.isPropertyAccessExpression(variable) || ts.isElementAccessExpression(variable)) &&
    ts.isBinaryExpression(assignment) &&
    assignment.left === variable &&
    assignment.operatorToken.kind === ts.SyntaxKind.EqualsToken
  );
}
