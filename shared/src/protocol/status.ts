/** Site → aggregator: the latest picture only; may be lost, the next one replaces it. */
import { z } from 'zod';
import { Instant } from '../domain/instant.ts';

const Count = z.int().nonnegative();

export const Status = z.object({
  kind: z.literal('status'),
  at: Instant,
  /** Deployed now, and heard from within the last 24 h, by kind. */
  deployed: z.object({ server: Count, workstation: Count }),
  active: z.object({ server: Count, workstation: Count }),
  lastCheckInAt: Instant.nullable(),
});
export type Status = z.infer<typeof Status>;
