/** Site → aggregator: the next entries of the ledger, in order. */
import { z } from 'zod';
import { LedgerEntry } from '../ledger/entry.ts';
import { appendEntriesMax } from './limits.ts';

export const Append = z.object({
  kind: z.literal('append'),
  entries: z.array(LedgerEntry).min(1).max(appendEntriesMax),
});
export type Append = z.infer<typeof Append>;
