/**
 * Who may do what, in one table and one rule. An organisation acts on its own branch of the tenant tree; what hangs elsewhere
 * does not exist for it (that part the store does, by `Scope`). Signing in is http/auth.ts.
 */
import type { OrganisationKind } from '@rollcall/shared/domain/organisation.ts';
import { isWithin, type Scope, type TreePath } from './scope.ts';

/** `branch`: at the caller's organisation and everything below it. `own`: at the caller's organisation alone. */
type Place = 'branch' | 'own';
type Permission = { kinds: readonly OrganisationKind[]; place: Place };

const everyone = ['vendor', 'distributor', 'msp'] as const;
const sellers = ['vendor', 'distributor'] as const;

/** Every action of the API. The place of an account, a site, a key or a token is that of the organisation it belongs to. */
export const permissions = {
  'self.read': { kinds: everyone, place: 'own' },
  'organisation.read': { kinds: everyone, place: 'branch' },
  'organisation.create': { kinds: sellers, place: 'branch' },
  'account.read': { kinds: everyone, place: 'branch' },
  'account.create': { kinds: everyone, place: 'branch' },
  'site.read': { kinds: everyone, place: 'branch' },
  'site.create': { kinds: everyone, place: 'branch' },
  'site.change': { kinds: everyone, place: 'branch' },
  'site.close': { kinds: everyone, place: 'branch' },
  'site.clear-flag': { kinds: everyone, place: 'branch' },
  'key.read': { kinds: everyone, place: 'branch' },
  'key.create': { kinds: everyone, place: 'branch' },
  'key.change': { kinds: everyone, place: 'branch' },
  'enrolment-token.read': { kinds: everyone, place: 'branch' },
  'enrolment-token.create': { kinds: everyone, place: 'branch' },
  'enrolment-token.withdraw': { kinds: everyone, place: 'branch' },
  'api-token.read': { kinds: everyone, place: 'branch' },
  'api-token.create': { kinds: everyone, place: 'branch' },
  'api-token.revoke': { kinds: everyone, place: 'branch' },
  'report.read': { kinds: everyone, place: 'branch' },
  // Prices are an affair of the seller and the buyer: an organisation above them sees neither, and agrees for neither.
  'agreement.read': { kinds: everyone, place: 'own' },
  'agreement.create': { kinds: sellers, place: 'own' },
  'invoice.read': { kinds: everyone, place: 'own' },
  'month.close': { kinds: sellers, place: 'own' },
} as const satisfies Record<string, Permission>;

export type Action = keyof typeof permissions;

/** True when organisations of this kind may ever do it, wherever: asked before anything is looked up. */
export const mayEver = (kind: OrganisationKind, action: Action): boolean =>
  (permissions[action] satisfies Permission as Permission).kinds.includes(kind);

/** True when the caller may do it at `target`, the place of the organisation concerned. */
export const may = (scope: Scope, action: Action, target: TreePath): boolean =>
  mayEver(scope.kind, action) &&
  (permissions[action].place === 'own' ? target === scope.path : isWithin(scope, target));
