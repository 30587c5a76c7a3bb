/** Aggregator → site: everything up to `seq` is held durably. Also tells the aggregator's time, by which a site mends its own. */
import { z } from 'zod';
import { Instant } from '../domain/instant.ts';

export const Ack = z.object({ kind: z.literal('ack'), seq: z.int().nonnegative(), serverTime: Instant });
export type Ack = z.infer<typeof Ack>;
