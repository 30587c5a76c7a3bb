/**
 * Owns the cursors of lists: opaque text that names the last row of a page. It holds identifiers and instants only, never
 * a name, so that it stays short; what a name sorts after is looked up within the caller's scope.
 */
import type { Page } from '@rollcall/shared/api/page.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { z } from 'zod';

export const encodeCursor = (position: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(position)).toString('base64url');

/** Reads a cursor by its shape. @throws RollcallError `CURSOR_INVALID` for text that no list of this shape gave out. */
export function decodeCursor<Position>(shape: z.ZodType<Position>, cursor: string): Position {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw badCursor();
  }
  const position = shape.safeParse(value);
  if (!position.success) throw badCursor();
  return position.data;
}

export const badCursor = (): RollcallError =>
  new RollcallError('CURSOR_INVALID', 'the cursor is not one that this list gave out', {
    retryable: false,
    hint: 'give back nextCursor as it was, to the list it came from, or leave it out to begin anew',
  });

/** A page of rows that were read with one more than its limit. */
export function pageOfRows<Row, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  position: (row: Row) => readonly (string | number)[],
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    rows: shown.map(item),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(position(last)) : null,
  };
}
