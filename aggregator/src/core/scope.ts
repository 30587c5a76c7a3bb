/** Who asks: an organisation and its place in the tenant tree. Everything a caller may see hangs under `path`. */
import type { OrganisationKind } from '@rollcall/shared/domain/organisation.ts';

/** Materialised path of identifiers from the vendor down, each followed by a slash: `org_a/org_b/`. */
export type TreePath = string;

export type Scope = { organisationId: string; kind: OrganisationKind; path: TreePath };

/** True when `path` is the scope's own or hangs below it. */
export const isWithin = (scope: Scope, path: TreePath): boolean => path.startsWith(scope.path);
