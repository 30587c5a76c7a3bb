/** Lists come in pages: at most `limit` rows, and a cursor for the next page while there is one. A page may be short all the same. */
import { z } from 'zod';

export const pageLimitMax = 500;
export const pageLimitDefault = 100;

/** Query of every list. The cursor is opaque: give back what `nextCursor` said. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(pageLimitMax).default(pageLimitDefault),
  cursor: z.string().min(1).max(500).optional(),
});
export type PageQuery = z.infer<typeof PageQuery>;

export const pageOf = <Row extends z.ZodType>(row: Row) =>
  z.object({ rows: z.array(row), nextCursor: z.string().nullable() });
export type Page<Row> = { rows: Row[]; nextCursor: string | null };
