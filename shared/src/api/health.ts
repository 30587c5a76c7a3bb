/** That a node of the aggregator lives and can work. One that cannot answers 503 with a problem. */
import { z } from 'zod';

export const Health = z.object({ status: z.literal('ok'), version: z.string() });
export type Health = z.infer<typeof Health>;
