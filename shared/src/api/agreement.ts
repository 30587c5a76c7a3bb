/** Price agreements over HTTP. */
import type { z } from 'zod';
import { AgreementId, OrganisationId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { AgreementTerms } from '../domain/price-agreement.ts';

/** One edge of the tenant tree may carry several agreements, told apart by `validFrom`; the latest begun one is in force. */
export const Agreement = AgreementTerms.extend({
  id: AgreementId,
  sellerId: OrganisationId,
  buyerId: OrganisationId,
  createdAt: Instant,
});
export type Agreement = z.infer<typeof Agreement>;

/** The seller is the buyer's parent; the currency is the buyer's. */
export const AgreementDraft = AgreementTerms.extend({ buyerId: OrganisationId });
export type AgreementDraft = z.infer<typeof AgreementDraft>;
