/** Organisations over HTTP. */
import { z } from 'zod';
import { OrganisationId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Currency } from '../domain/currency.ts';
import { Name } from '../domain/name.ts';
import { OrganisationKind } from '../domain/organisation.ts';

export const Organisation = z.object({
  id: OrganisationId,
  kind: OrganisationKind,
  /** Null for the vendor, the root of the tenant tree. */
  parentId: OrganisationId.nullable(),
  name: Name,
  /** ISO 3166-1 alpha-2. */
  country: z.string().regex(/^[A-Z]{2}$/, 'two capital letters, ISO 3166-1'),
  currency: Currency,
  /** Tax identifier as printed on invoices; null where there is none. */
  taxId: Name.min(2, 'at least 2 characters').max(40, 'at most 40 characters').nullable(),
  /** Postal address as printed on invoices: up to 6 lines. */
  addressLines: z.array(Name).max(6),
  createdAt: Instant,
});
export type Organisation = z.infer<typeof Organisation>;

export const OrganisationDraft = Organisation.pick({
  name: true,
  country: true,
  currency: true,
  taxId: true,
  addressLines: true,
}).extend({
  kind: z.enum(['distributor', 'msp']),
  parentId: OrganisationId,
});
export type OrganisationDraft = z.infer<typeof OrganisationDraft>;
