/** Accounts over HTTP: the end customers of an MSP. */
import { Account, AccountDraft } from '@rollcall/shared/api/account.ts';
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { AccountId, idFrom, idRandomBytes, OrganisationId } from '@rollcall/shared/domain/id.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import { may } from '../core/permission.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const tag = 'accounts';

export function accountRoutes(api: Api, { store, chance }: RouteDeps): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/accounts',
      action: 'account.read',
      tag,
      summary: 'Lists accounts',
      query: PageQuery.extend({ mspId: OrganisationId.optional() }),
      answer: pageOf(Account),
    },
    async ({ caller, query: { mspId, ...page } }) => ({
      ok: true,
      answer: await store.tenancy.accounts(caller.scope, { mspId }, page),
    }),
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/accounts',
      action: 'account.create',
      tag,
      summary: 'Makes an account of an MSP',
      body: AccountDraft,
      answer: Account,
      status: 201,
      refusals: ['NOT_FOUND', 'NOT_AN_MSP', 'NAME_TAKEN'],
    },
    async ({ caller, body, now }) => {
      const msp = await store.tenancy.organisation(caller.scope, body.mspId);
      if (msp === undefined || !may(caller.scope, 'account.create', msp.path))
        return refuse('NOT_FOUND', 'there is no organisation with the identifier of mspId');
      if (msp.kind !== 'msp')
        return refuse('NOT_AN_MSP', `accounts belong to an MSP, and this organisation is of the kind ${msp.kind}`);
      const account: Account = { ...body, id: idFrom('account', chance(idRandomBytes)), createdAt: now };
      const made = await store.tenancy.createAccount(account);
      return made.ok ? { ok: true, answer: account, location: `/api/v1/accounts/${account.id}` } : made;
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/accounts/{accountId}',
      action: 'account.read',
      tag,
      summary: 'Shows an account',
      params: z.object({ accountId: AccountId }),
      answer: Account,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params }) => {
      const account = await store.tenancy.account(caller.scope, params.accountId);
      return account === undefined
        ? refuse('NOT_FOUND', 'there is no account with this identifier')
        : { ok: true, answer: account };
    },
  );
}
