/** Aggregator → site: an `append` was refused whole and nothing of it was kept. */
import { z } from 'zod';
import { WireHead } from './hello.ts';

/**
 * `GAP`: go on from `expected`. `FORK`: this ledger's past is not the one held (architecture, decision 5).
 * `TIME_BACKWARDS`, `BAD_ENTRY`, `ENTRY_TOO_LONG`: the entry after `expected` breaks a rule of the ledger.
 * `BACKLOG_FULL`: the aggregator is busy; send again after the hint of the `bye` that follows.
 */
export const RejectCode = z.enum(['GAP', 'FORK', 'TIME_BACKWARDS', 'BAD_ENTRY', 'ENTRY_TOO_LONG', 'BACKLOG_FULL']);
export type RejectCode = z.infer<typeof RejectCode>;

export const Reject = z.object({
  kind: z.literal('reject'),
  code: RejectCode,
  expected: WireHead,
  message: z.string().max(500),
});
export type Reject = z.infer<typeof Reject>;
