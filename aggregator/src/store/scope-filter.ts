/**
 * The scope of a caller as a condition over `organisations.path`, written once so that no list can get it wrong: paths from
 * the scope's own up to, but not with, the first text after all that begin with it. No LIKE, so no wildcards.
 */
import { type Expression, type ExpressionWrapper, expressionBuilder, type SqlBool } from 'kysely';
import type { TreePath } from '../core/scope.ts';
import type { Tables } from './schema.ts';

type OrganisationTables = Pick<Tables, 'organisations'>;

/** True for rows whose joined organisation is the one at `path` or hangs below it. */
export function withinPath(path: TreePath): ExpressionWrapper<OrganisationTables, 'organisations', SqlBool> {
  const eb = expressionBuilder<OrganisationTables, 'organisations'>();
  return eb.and([eb('organisations.path', '>=', path), eb('organisations.path', '<', endOf(path))]);
}

/** For `UPDATE`: identifiers of the organisations at and below `path`. */
export function organisationsWithin(path: TreePath): Expression<string> {
  return expressionBuilder<OrganisationTables>()
    .selectFrom('organisations')
    .select('organisations.id')
    .where(withinPath(path))
    .$asScalar();
}

/** A path ends with a slash, and `0` is the character after it. */
const endOf = (path: TreePath): string => `${path.slice(0, -1)}0`;
