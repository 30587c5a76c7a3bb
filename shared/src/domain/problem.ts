/** How things go wrong: expected outcomes as values, operational failures as one error type (architecture, decision 10). */

/** A refusal with a stable UPPER_SNAKE code, what was wrong, and what to do about it. */
export type Refusal<Code extends string = string> = { ok: false; code: Code; message: string; hint?: string };

export type Outcome<Value, Code extends string = string> = ({ ok: true } & Value) | Refusal<Code>;

/** Builds a refusal; keeps call sites one line long. */
export function refuse<Code extends string>(code: Code, message: string, hint?: string): Refusal<Code> {
  return hint === undefined ? { ok: false, code, message } : { ok: false, code, message, hint };
}

/** An operational failure: thrown, logged once at the edge that handles it. Its text must never hold a secret. */
export class RollcallError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: { retryable: boolean; hint?: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RollcallError';
    this.code = code;
    this.retryable = options.retryable;
    this.hint = options.hint;
  }
}
