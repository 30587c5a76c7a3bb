/** Reads the parts of a request by their schemas; everything wrong with a part is said at once, field by field. */
import { type Refusal, refuse } from '@rollcall/shared/domain/problem.ts';
import type { z } from 'zod';
import type { AppContext } from './context.ts';
import type { FieldError, ProblemCode } from './problem.ts';

type Read<Value> = { ok: true; value: Value } | (Refusal<ProblemCode> & { errors?: FieldError[] });

/** What the parameters of a path name. */
const nouns: Record<string, string> = {
  organisationId: 'organisation',
  accountId: 'account',
  siteId: 'site',
  keyId: 'key',
  tokenId: 'token',
  agreementId: 'agreement',
  invoiceId: 'invoice',
};

/** An identifier of the wrong form names nothing, like one that does not exist. */
export function readParams<Schema extends z.ZodObject>(context: AppContext, schema: Schema): Read<z.output<Schema>> {
  const read = schema.safeParse(context.req.param());
  if (read.success) return { ok: true, value: read.data };
  const issue = read.error.issues[0];
  const noun = nouns[String(issue?.path[0])];
  return noun === undefined
    ? refuse('NOT_FOUND', 'there is nothing at this address', issue?.message)
    : refuse('NOT_FOUND', `there is no ${noun} with this identifier`, `what was given is ${issue?.message}`);
}

/** An unknown parameter is refused: a filter that is misspelt must not answer with everything. */
export function readQuery<Schema extends z.ZodObject>(context: AppContext, schema: Schema): Read<z.output<Schema>> {
  const given = context.req.queries();
  const errors: FieldError[] = [];
  for (const [name, values] of Object.entries(given)) {
    if (!Object.hasOwn(schema.shape, name))
      errors.push({ field: shown(name), message: 'is not a parameter of this operation' });
    else if (values.length > 1) errors.push({ field: name, message: 'is given more than once' });
  }
  const read = schema.safeParse(context.req.query());
  if (read.success && errors.length === 0) return { ok: true, value: read.data };
  return invalid('the query', [...errors, ...(read.success ? [] : fieldErrors(read.error))]);
}

/** The body as JSON; `needed` is false for operations that take none. */
export async function readBody<Schema extends z.ZodType>(
  context: AppContext,
  schema: Schema,
  needed: boolean,
): Promise<Read<z.output<Schema>>> {
  if (!needed) return { ok: true, value: schema.parse({}) };
  const mediaType = context.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json')
    return {
      ok: false,
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message: 'the body must be JSON',
      hint: 'send Content-Type: application/json',
    };
  const text = await context.req.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, code: 'BAD_JSON', message: text === '' ? 'the body is empty' : 'the body is not JSON' };
  }
  const read = schema.safeParse(json);
  return read.success ? { ok: true, value: read.data } : invalid('the body', fieldErrors(read.error));
}

function invalid(part: string, errors: FieldError[]): Refusal<ProblemCode> & { errors: FieldError[] } {
  const first = errors[0];
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return {
    ok: false,
    code: 'INVALID_INPUT',
    message: `${part} is not valid: ${first === undefined ? '' : `${first.field} ${first.message}`}${more}`,
    errors,
  };
}

const fieldErrors = (error: z.ZodError): FieldError[] =>
  error.issues.map(({ path, message }) => ({
    field: path.length === 0 ? '(whole)' : path.map((step) => shown(String(step))).join('.'),
    message: message.endsWith('received undefined') ? 'is missing' : message,
  }));

/** Names come from the sender: cut to a length that a log and a screen can take. */
const shown = (name: string): string => (name.length > 60 ? `${name.slice(0, 60)}…` : name);
