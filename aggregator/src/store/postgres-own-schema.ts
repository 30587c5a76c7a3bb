/**
 * What the migrator sees of a PostgreSQL database: the tables of the store's own schema. Left to itself it looks through those of
 * all schemas, which may be thousands, and stumbles over one that is dropped meanwhile.
 */
import { type Dialect, PostgresIntrospector, sql } from 'kysely';

export function ownSchemaOnly(dialect: Dialect): Dialect {
  return {
    createAdapter: () => dialect.createAdapter(),
    createDriver: () => dialect.createDriver(),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createIntrospector: (db) => ({
      getSchemas: () => new PostgresIntrospector(db).getSchemas(),
      async getTables() {
        const tables = await sql<{ name: string; schema: string }>`
          SELECT relname AS name, nspname AS schema FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
          WHERE relkind IN ('r', 'p') AND nspname = current_schema()`.execute(db);
        return tables.rows.map((table) => ({ ...table, isView: false, isForeign: false, columns: [] }));
      },
    }),
  };
}
