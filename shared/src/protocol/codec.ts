/** The only place that parses and writes frames. */
import { z } from 'zod';
import type { Outcome } from '../domain/problem.ts';
import { refuse } from '../domain/problem.ts';
import { fitsUtf8 } from '../domain/utf8.ts';
import { frameBytesMax } from './limits.ts';
import { ToAggregator, ToSite } from './messages.ts';

/**
 * `FRAME_TOO_LARGE`, `NOT_JSON`, `NOT_A_MESSAGE` (no `kind`, or a field is wrong), `UNKNOWN_KIND` (a newer peer's: log and skip).
 */
export type DecodeCode = 'FRAME_TOO_LARGE' | 'NOT_JSON' | 'NOT_A_MESSAGE' | 'UNKNOWN_KIND';
export type Decoded<Message> = Outcome<{ message: Message }, DecodeCode>;

const kindsOf = (union: typeof ToAggregator | typeof ToSite): ReadonlySet<string> =>
  new Set(union.options.map((option) => option.shape.kind.value));

const Envelope = z.object({ kind: z.string().max(60) });

function decodeBy<Message>(text: string, schema: z.ZodType<Message>, kinds: ReadonlySet<string>): Decoded<Message> {
  if (!fitsUtf8(text, frameBytesMax)) return refuse('FRAME_TOO_LARGE', `a frame has at most ${frameBytesMax} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('NOT_JSON', 'the frame is not JSON');
  }
  const envelope = Envelope.safeParse(value);
  if (!envelope.success) return refuse('NOT_A_MESSAGE', 'the frame is not an object with a kind');
  if (!kinds.has(envelope.data.kind)) return refuse('UNKNOWN_KIND', 'the kind of the message is not known here');
  const read = schema.safeParse(value);
  if (!read.success) {
    const issue = read.error.issues[0];
    return refuse(
      'NOT_A_MESSAGE',
      `${envelope.data.kind}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`.slice(0, 500),
    );
  }
  return { ok: true, message: read.data };
}

const toAggregatorKinds = kindsOf(ToAggregator);
const toSiteKinds = kindsOf(ToSite);

/** Reads a frame that a site sent. Never throws. */
export const decodeToAggregator = (text: string): Decoded<ToAggregator> =>
  decodeBy(text, ToAggregator, toAggregatorKinds);

/** Reads a frame that the aggregator sent. Never throws. */
export const decodeToSite = (text: string): Decoded<ToSite> => decodeBy(text, ToSite, toSiteKinds);

/** Writes a frame. */
export const encode = (message: ToAggregator | ToSite): string => JSON.stringify(message);
