/** Turns what the aggregator says of fields into what was typed: it refuses `usesMax`, the command line has `--uses`. */
import type { Problem } from '@rollcall/shared/api/problem.ts';
import type { Command } from 'commander';

/** The API's names of what a command's options become, where they are not the option's own or that with `Id`. */
export type FieldOptions = Readonly<Record<string, string>>;

/** The same problem, told by the options and arguments of the command. */
export function inOptionNames(problem: Problem, command: Command, fields: FieldOptions): Problem {
  const typed = typedNames(command, fields);
  const errors = problem.errors?.map(({ field, message }) => ({ field: typed.get(baseOf(field)) ?? field, message }));
  const [only] = errors ?? [];
  const inWords = (text: string): string =>
    // A word such as `name` is a word; `siteId` can only be the field.
    text.replaceAll(/\b[a-z]+[A-Z]\w*\b/g, (word) => typed.get(word) ?? word);
  if (only === undefined)
    return {
      ...problem,
      ...(problem.detail === undefined ? {} : { detail: inWords(problem.detail) }),
      ...(problem.hint === undefined ? {} : { hint: inWords(problem.hint) }),
    };
  // What is wrong with the body as a whole has no option of its own.
  const place = only.field === '(whole)' ? '' : `${only.field}: `;
  return {
    ...problem,
    detail:
      errors?.length === 1 ? `${place}${inWords(only.message)}` : `${errors?.length} of the options are not valid`,
    errors: errors?.map(({ field, message }) => ({ field, message: inWords(message) })),
  };
}

function typedNames(command: Command, fields: FieldOptions): Map<string, string> {
  const typed = new Map<string, string>();
  for (const argument of command.registeredArguments) typed.set(argument.name(), `<${argument.name()}>`);
  for (const option of command.options) {
    const name = option.attributeName();
    const flag = option.long ?? option.flags;
    typed.set(name, flag);
    typed.set(`${name}Id`, flag);
  }
  for (const [field, flag] of Object.entries(fields)) typed.set(field, flag);
  return typed;
}

/** `addressLines.2` is a line of `addressLines`; `settings.staleAfterDays` is itself. */
const baseOf = (field: string): string => field.replace(/(\.\d+)+$/, '').replace(/^settings\./, '');
