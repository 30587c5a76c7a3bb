/** Price agreements over HTTP: made by their seller, seen by seller and buyer. */
import { Agreement, AgreementDraft } from '@rollcall/shared/api/agreement.ts';
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { AgreementId, idFrom, idRandomBytes, OrganisationId } from '@rollcall/shared/domain/id.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';
import { pagesOf } from './whole-list.ts';

const tag = 'agreements';

export function agreementRoutes(api: Api, { store, chance }: Pick<RouteDeps, 'store' | 'chance'>): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/agreements',
      action: 'agreement.read',
      tag,
      summary: 'Lists the price agreements in which the own organisation sells or buys',
      query: PageQuery.extend({ sellerId: OrganisationId.optional(), buyerId: OrganisationId.optional() }),
      answer: pageOf(Agreement),
    },
    async ({ caller, query: { sellerId, buyerId, ...page } }) => ({
      ok: true,
      answer: await store.billing.agreements(caller.scope, { sellerId, buyerId }, page),
    }),
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/agreements',
      action: 'agreement.create',
      tag,
      summary: 'Agrees prices with a buyer right below the own organisation',
      description:
        'The own organisation is the seller. Of several agreements with one buyer, the one with the latest `validFrom` that has begun is in force. Months that are invoiced keep the terms they were invoiced under, so a new agreement cannot begin in one.',
      body: AgreementDraft,
      answer: Agreement,
      status: 201,
      refusals: ['NOT_FOUND', 'NOT_ALLOWED', 'CURRENCY_DIFFERS', 'MONTH_INVOICED', 'AGREEMENT_EXISTS'],
    },
    async ({ caller, body, now }) => {
      const buyer = await store.tenancy.organisation(caller.scope, body.buyerId);
      if (buyer === undefined) return refuse('NOT_FOUND', 'there is no organisation with the identifier of buyerId');
      const seller = caller.organisation;
      if (buyer.parentId !== seller.id)
        return refuse(
          'NOT_ALLOWED',
          `${buyer.name} does not stand right below ${seller.name}`,
          'an agreement is made by the organisation right above its buyer',
        );
      if (buyer.currency !== body.currency)
        return refuse('CURRENCY_DIFFERS', `${buyer.name} is billed in ${buyer.currency}, not in ${body.currency}`);
      const invoiced = await invoicedMonth(caller.scope, buyer.id, body.validFrom);
      if (invoiced !== undefined)
        return refuse(
          'MONTH_INVOICED',
          `${invoiced} was invoiced to ${buyer.name} already`,
          'let the new agreement begin in a later month',
        );
      const agreement: Agreement = {
        ...body,
        id: idFrom('agreement', chance(idRandomBytes)),
        sellerId: seller.id,
        createdAt: now,
      };
      const made = await store.billing.createAgreement(agreement);
      return made.ok ? { ok: true, answer: agreement, location: `/api/v1/agreements/${agreement.id}` } : made;
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/agreements/{agreementId}',
      action: 'agreement.read',
      tag,
      summary: 'Shows a price agreement',
      params: z.object({ agreementId: AgreementId }),
      answer: Agreement,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params }) => {
      const agreement = await store.billing.agreement(caller.scope, params.agreementId);
      return agreement === undefined
        ? refuse('NOT_FOUND', 'there is no agreement with this identifier')
        : { ok: true, answer: agreement };
    },
  );

  /** A month from `from` on that was invoiced to the buyer. */
  async function invoicedMonth(seller: Scope, buyerId: string, from: Month): Promise<Month | undefined> {
    const invoices = pagesOf((page) =>
      store.billing.invoices(seller, { sellerId: seller.organisationId, buyerId }, page),
    );
    for await (const page of invoices) {
      const found = page.find(({ state, month }) => state === 'finalised' && month >= from);
      if (found !== undefined) return found.month;
    }
    return undefined;
  }
}
