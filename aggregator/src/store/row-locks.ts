/**
 * The order in which writers that run side by side lock rows, so that two never wait for each other crosswise: sites by their
 * identifiers first, whatever else an operation writes of them after that. SQLite has one writer and needs no order.
 */
import { sql } from 'kysely';
import type { Engine, Step } from './engine.ts';

/** Locks the sites that are there. What a guard reads after it, it reads as the writer before has left it. */
export function lockSites({ db, dialect }: Pick<Engine, 'db' | 'dialect'>, siteIds: readonly string[]): Step[] {
  if (dialect === 'sqlite') return [];
  const ids = JSON.stringify(siteIds);
  return [
    {
      run: sql`SELECT id FROM sites WHERE id IN (SELECT json_array_elements_text(${ids}::json))
        ORDER BY id FOR NO KEY UPDATE`.compile(db),
    },
  ];
}
