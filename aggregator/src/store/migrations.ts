/** Brings a database to this program's schema. The versions lie in migrations/, one file each; a version is never edited. */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { type Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { meteredPeak } from './migrations/0001-metered-peak.ts';
import type { Dialect, MigrationSql } from './migrations/dialect.ts';

/** In order; the names stand in every database and never change. */
const versions: Record<string, MigrationSql> = {
  '0001-metered-peak': meteredPeak,
};

const migrationTable = 'schema_versions';
const lockTable = 'schema_versions_lock';

/**
 * Runs what is missing, in one transaction; two programs that start at once take turns.
 * @param db executes on the database, unlike the store's query builder.
 * @param schema where the tables lie, on PostgreSQL.
 * @throws RollcallError `DATABASE_NEWER` when the database has a version that this program does not know.
 */
export async function migrateToLatest<Tables>(
  db: Kysely<Tables>,
  dialect: Dialect,
  schema: string | undefined,
): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrationsFor(dialect) },
    migrationTableName: migrationTable,
    migrationLockTableName: lockTable,
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const unknown = (await versionsIn(db, schema)).find((name) => !Object.hasOwn(versions, name));
  if (unknown !== undefined) {
    throw new RollcallError(
      'DATABASE_NEWER',
      `the database has the schema version ${unknown}, which this program does not know`,
      {
        retryable: false,
        hint: 'a newer version of this program has used the database: run that version, or restore the backup made before it',
      },
    );
  }
  const { error } = await migrator.migrateToLatest();
  if (error instanceof Error) throw error;
  if (error !== undefined) throw new TypeError('the migration failed with what is no error', { cause: error });
}

/** Names of the versions the database has; none where it is new. */
async function versionsIn<Tables>(db: Kysely<Tables>, schema: string | undefined): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === migrationTable && (schema === undefined || table.schema === schema)))
    return [];
  const { rows } = await sql<{ name: string }>`SELECT name FROM ${sql.table(migrationTable)} ORDER BY name`.execute(db);
  return rows.map((row) => row.name);
}

function migrationsFor(dialect: Dialect): Record<string, Migration> {
  return Object.fromEntries(
    Object.entries(versions).map(([name, statements]) => [
      name,
      {
        async up(db) {
          for (const statement of statements(dialect)) await sql.raw(statement).execute(db);
        },
      } satisfies Migration,
    ]),
  );
}
