/** What migrations need of the two dialects: how a table ends, how a column is typed, how rows are made immutable. */
export type Dialect = 'sqlite' | 'postgres';

/** SQL of one migration, in order; each runs within the migration's transaction. */
export type MigrationSql = (dialect: Dialect) => string[];

export type ColumnTypes = {
  /** Text that is compared and ordered by code point: instants, months, paths, name keys, identifiers. */
  text: string;
  /** An integer that fits a JavaScript number. */
  integer: string;
  /** What follows the closing parenthesis of a table. */
  tableEnd: string;
  /** The same, for small rows that are only reached by their primary key. */
  keyedTableEnd: string;
};

export const columnTypes: Record<Dialect, ColumnTypes> = {
  sqlite: { text: 'TEXT', integer: 'INTEGER', tableEnd: 'STRICT', keyedTableEnd: 'STRICT, WITHOUT ROWID' },
  postgres: { text: 'text COLLATE "C"', integer: 'bigint', tableEnd: '', keyedTableEnd: '' },
};

/** A rule that raises `IMMUTABLE: …` where a statement would touch rows it may not. */
export type RowGuard = {
  name: string;
  table: string;
  event: 'INSERT' | 'UPDATE' | 'DELETE';
  /** SQL condition over OLD or NEW under which it raises; null = always. Must mean the same in both dialects. */
  when: string | null;
  says: string;
};

/** SQL of a guard. On PostgreSQL the condition is in the function, where it may query other tables. */
export function rowGuardSql(dialect: Dialect, guard: RowGuard): string[] {
  const { name, table, event, when, says } = guard;
  if (dialect === 'sqlite') {
    const condition = when === null ? '' : `WHEN ${when} `;
    return [
      `CREATE TRIGGER ${name} BEFORE ${event} ON ${table} ${condition}BEGIN SELECT RAISE(ABORT, 'IMMUTABLE: ${says}'); END`,
    ];
  }
  const result = event === 'DELETE' ? 'OLD' : 'NEW';
  return [
    `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF ${when ?? 'true'} THEN RAISE EXCEPTION 'IMMUTABLE: ${says}' USING ERRCODE = 'integrity_constraint_violation'; END IF;
       RETURN ${result};
     END $$`,
    `CREATE TRIGGER ${name} BEFORE ${event} ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}()`,
  ];
}

/** Rows of a table that no other row may take the place of. */
export type ReplaceGuard = {
  name: string;
  table: string;
  /** SQL condition under which a row of the table stands in the way of NEW. */
  same: string;
  says: string;
};

/**
 * SQLite's INSERT OR REPLACE removes the rows in its way without a DELETE that a guard would see; this closes that door.
 * PostgreSQL has no such statement.
 */
export function replaceGuardSql(dialect: Dialect, { name, table, same, says }: ReplaceGuard): string[] {
  return dialect === 'postgres'
    ? []
    : rowGuardSql(dialect, {
        name,
        table,
        event: 'INSERT',
        when: `EXISTS (SELECT 1 FROM ${table} WHERE ${same})`,
        says,
      });
}

/** PostgreSQL can empty a table without touching a row; this closes that door. Nothing to do on SQLite. */
export function truncateGuardSql(dialect: Dialect, tables: readonly string[]): string[] {
  if (dialect === 'sqlite') return [];
  return [
    `CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       RAISE EXCEPTION 'IMMUTABLE: % is never emptied', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
     END $$`,
    ...tables.map(
      (table) =>
        `CREATE TRIGGER ${table}_refuse_truncate BEFORE TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()`,
    ),
  ];
}
