/**
 * The order in which writers that run side by side lock rows, so that two never wait for each other crosswise: sites by their
 * identifiers first, whatever else an operation writes of them after that. SQLite has one writer and needs no order.
 */
import { sql } from 'kysely';
import type { Engine, Step } from './engine.ts';

/** Locks the sites that are there. What a guard reads after it, it reads as the writer before has left it. */
export function lockSites({ db, dialect }: Building, siteIds: readonly string[]): Step[] {
  if (dialect === 'sqlite') return [];
  return [{ run: sql`SELECT id FROM sites WHERE id IN ${listed(siteIds)} ORDER BY id FOR NO KEY UPDATE`.compile(db) }];
}

/** Locks the sites of keys, and with them the keys: who writes a key of a site has the site. */
export function lockSitesOfKeys({ db, dialect }: Building, keyIds: readonly string[]): Step[] {
  if (dialect === 'sqlite') return [];
  return [
    {
      run: sql`SELECT id FROM sites WHERE id IN (SELECT site_id FROM product_keys WHERE id IN ${listed(keyIds)})
        ORDER BY id FOR NO KEY UPDATE`.compile(db),
    },
  ];
}

type Building = Pick<Engine, 'db' | 'dialect'>;

/** Any number of identifiers as one parameter. */
const listed = (ids: readonly string[]) => sql`(SELECT json_array_elements_text(${JSON.stringify(ids)}::json))`;
