/** How a command ends that does not end well: what is said on the error stream, and the exit code. */
import type { Problem } from '@rollcall/shared/api/problem.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { CommanderError } from 'commander';

export const exitCodes = { done: 0, refused: 1, usage: 2 } as const;

/** The command line itself is wrong. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

/** The aggregator said no. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

export type Ended = { code: number; text: string };

/** Code, what, and what to do: no stack for what is expected to happen. Anything else is a defect and is thrown on. */
export function endOf(error: unknown): Ended {
  if (error instanceof CommanderError)
    return { code: error.exitCode === 0 ? exitCodes.done : exitCodes.usage, text: '' };
  if (error instanceof UsageError) return { code: exitCodes.usage, text: said('error', error.message, error.hint) };
  if (error instanceof ProblemError) {
    const { code, hint, errors } = error.problem;
    const fields =
      (errors ?? []).length > 1 ? (errors ?? []).map(({ field, message }) => `\n  ${field}: ${message}`).join('') : '';
    return { code: exitCodes.refused, text: said(code, error.message + fields, hint) };
  }
  if (error instanceof RollcallError)
    return {
      code: error.code === 'CONFIG_INVALID' ? exitCodes.usage : exitCodes.refused,
      text: said(error.code, error.message, error.hint),
    };
  throw error;
}

const said = (code: string, message: string, hint: string | undefined): string =>
  `rollcall: ${code}: ${message}\n${hint === undefined ? '' : `  hint: ${hint}\n`}`;
