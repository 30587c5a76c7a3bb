/** Accounts over HTTP: the end customers of an MSP. */
import { z } from 'zod';
import { AccountId, OrganisationId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Name, Note } from '../domain/name.ts';

export const Account = z.object({
  id: AccountId,
  mspId: OrganisationId,
  /** Unique within its MSP. */
  name: Name,
  addressLines: z.array(Name).max(6),
  note: Note,
  createdAt: Instant,
});
export type Account = z.infer<typeof Account>;

export const AccountDraft = Account.pick({ mspId: true, name: true, addressLines: true, note: true });
export type AccountDraft = z.infer<typeof AccountDraft>;
