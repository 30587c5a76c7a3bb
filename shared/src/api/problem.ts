/** Problems as HTTP says them (RFC 9457). `code` is stable; `title` and `detail` are for people. */
import { z } from 'zod';

export const problemMediaType = 'application/problem+json';

export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int().min(400).max(599),
  code: z.string().regex(/^[A-Z_]{2,60}$/),
  detail: z.string().optional(),
  /** What to do about it. */
  hint: z.string().optional(),
  /** Where in the request the fault lies, one row a field. */
  errors: z
    .array(z.object({ field: z.string(), message: z.string() }))
    .max(100)
    .optional(),
});
export type Problem = z.infer<typeof Problem>;
