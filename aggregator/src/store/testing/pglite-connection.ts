/** For tests where no PostgreSQL is: PGlite, the same server compiled to run in this process, behind the store's connection. */
import { PGlite } from '@electric-sql/pglite';
import { PGliteDialect } from 'kysely';
import { type PostgresConnection, type RunQuery, safeInteger } from '../postgres-connection.ts';

type Queryable = Pick<PGlite, 'query'>;

export async function openPglite(): Promise<PostgresConnection> {
  const pglite = await PGlite.create();
  const on =
    (queryable: Queryable): RunQuery =>
    async (text, values) => {
      const result = await queryable.query(text, [...values], { parsers: { 20: safeInteger } });
      return { rows: result.rows, changed: result.affectedRows ?? 0 };
    };
  return {
    query: on(pglite),
    transaction: (work) => pglite.transaction((transaction) => work(on(transaction))),
    executingDialect: () => new PGliteDialect({ pglite }),
    close: () => pglite.close(),
  };
}
