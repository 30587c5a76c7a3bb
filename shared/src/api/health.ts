/** Whether a node of the aggregator lives and can work. */
import { z } from 'zod';

/** `unavailable`: the program runs but its store does not answer, or it is stopping. */
export const Health = z.object({ status: z.enum(['ok', 'unavailable']), version: z.string() });
export type Health = z.infer<typeof Health>;
