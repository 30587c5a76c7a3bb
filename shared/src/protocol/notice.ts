/** Aggregator → site: something the site's operator should see; shown by `rollcall-site status`. Nothing is to be done by the program. */
import { z } from 'zod';

export const Notice = z.object({
  kind: z.literal('notice'),
  code: z.string().regex(/^[A-Z_]{2,60}$/),
  message: z.string().max(500),
});
export type Notice = z.infer<typeof Notice>;
