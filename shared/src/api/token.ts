/** Tokens over HTTP: those that enrol sites, and those by which a program acts for an organisation. Shown once, stored hashed. */
import { z } from 'zod';
import { AccountId, ApiTokenId, EnrolmentTokenId, OrganisationId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Name } from '../domain/name.ts';

/** Longest life of an enrolment token, in hours, and most sites one roll-out token makes. */
export const enrolmentTokenHoursMax = 24 * 90;
export const enrolmentTokenUsesMax = 1000;

export const EnrolmentToken = z.object({
  id: EnrolmentTokenId,
  /** One of the two: a one-time token for a site that exists, or a roll-out token that makes sites under an account. */
  siteId: SiteId.nullable(),
  accountId: AccountId,
  usesMax: z.int().positive(),
  uses: z.int().nonnegative(),
  createdAt: Instant,
  expiresAt: Instant,
  withdrawnAt: Instant.nullable(),
});
export type EnrolmentToken = z.infer<typeof EnrolmentToken>;

export const EnrolmentTokenDraft = z
  .object({
    siteId: SiteId.optional(),
    accountId: AccountId.optional(),
    usesMax: z.int().min(1).max(enrolmentTokenUsesMax).default(1),
    validHours: z.int().min(1).max(enrolmentTokenHoursMax).default(72),
  })
  .refine(
    (draft) => (draft.siteId === undefined) !== (draft.accountId === undefined),
    'give either siteId or accountId',
  )
  .refine((draft) => draft.siteId === undefined || draft.usesMax === 1, 'a token for one site has one use');
export type EnrolmentTokenDraft = z.infer<typeof EnrolmentTokenDraft>;

export const NewEnrolmentToken = EnrolmentToken.extend({ token: z.string() });
export type NewEnrolmentToken = z.infer<typeof NewEnrolmentToken>;

export const ApiToken = z.object({
  id: ApiTokenId,
  organisationId: OrganisationId,
  name: Name,
  /** The token it was made with, which it does not outlive; null where it was made on the database itself. */
  createdByTokenId: ApiTokenId.nullable(),
  createdAt: Instant,
  expiresAt: Instant.nullable(),
  lastUsedAt: Instant.nullable(),
  revokedAt: Instant.nullable(),
});
export type ApiToken = z.infer<typeof ApiToken>;

export const ApiTokenDraft = z.object({
  organisationId: OrganisationId,
  name: Name,
  validDays: z.int().min(1).max(3650).optional(),
});
export type ApiTokenDraft = z.infer<typeof ApiTokenDraft>;

export const NewApiToken = ApiToken.extend({ token: z.string() });
export type NewApiToken = z.infer<typeof NewApiToken>;
