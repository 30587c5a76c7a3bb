/** Enrolment tokens over HTTP: one-time for a site that exists, or for a roll-out that makes sites under an account. */
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { EnrolmentToken, EnrolmentTokenDraft, NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { AccountId, EnrolmentTokenId, idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { enrolmentTokenTextFrom, tokenRandomBytes } from '../core/token-text.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const tag = 'tokens';
const hourMs = 3_600_000;

export function enrolmentTokenRoutes(api: Api, { store, chance }: RouteDeps): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/enrolment-tokens',
      action: 'enrolment-token.read',
      tag,
      summary: 'Lists enrolment tokens, without their text',
      query: PageQuery.extend({ accountId: AccountId.optional() }),
      answer: pageOf(EnrolmentToken),
    },
    async ({ caller, query: { accountId, ...page } }) => ({
      ok: true,
      answer: await store.tokens.enrolmentTokens(caller.scope, { accountId }, page),
    }),
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/enrolment-tokens',
      action: 'enrolment-token.create',
      tag,
      summary: 'Makes an enrolment token; its text is in this answer and in no other',
      description:
        'Exactly one of `siteId` and `accountId` is given: `siteId` for one use at a site that exists, or `accountId`, with `usesMax`, for a roll-out.',
      body: EnrolmentTokenDraft,
      answer: NewEnrolmentToken,
      status: 201,
      refusals: ['NOT_FOUND', 'SITE_CLOSED'],
    },
    async ({ caller, body, now }) => {
      const place = await placeOf(store, caller.scope, body);
      if (!place.ok) return place;
      const text = enrolmentTokenTextFrom(chance(tokenRandomBytes));
      const token: EnrolmentToken = {
        id: idFrom('enrolmentToken', chance(idRandomBytes)),
        siteId: body.siteId ?? null,
        accountId: place.accountId,
        usesMax: body.usesMax,
        uses: 0,
        createdAt: now,
        expiresAt: instantFromMs(msOfInstant(now) + body.validHours * hourMs),
        withdrawnAt: null,
      };
      await store.tokens.createEnrolmentToken(token, nodeDigest.sha256(text));
      return { ok: true, answer: { ...token, token: text } };
    },
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/enrolment-tokens/{tokenId}/withdraw',
      action: 'enrolment-token.withdraw',
      tag,
      summary: 'Withdraws an enrolment token; sites that it enrolled stay',
      params: z.object({ tokenId: EnrolmentTokenId }),
      answer: EnrolmentToken,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, now }) => {
      const token = await store.tokens.withdrawEnrolmentToken(caller.scope, params.tokenId, now);
      return token === undefined
        ? refuse('NOT_FOUND', 'there is no enrolment token with this identifier')
        : { ok: true, answer: token };
    },
  );
}

/** The account a token enrols under, if the caller may see it. */
async function placeOf(
  store: RouteDeps['store'],
  scope: Scope,
  draft: EnrolmentTokenDraft,
): Promise<Outcome<{ accountId: string }, 'NOT_FOUND' | 'SITE_CLOSED'>> {
  if (draft.siteId !== undefined) {
    const site = await store.sites.site(scope, draft.siteId);
    if (site === undefined) return refuse('NOT_FOUND', 'there is no site with the identifier of siteId');
    return site.closedAt === null
      ? { ok: true, accountId: site.accountId }
      : refuse('SITE_CLOSED', `the site was closed at ${site.closedAt}`);
  }
  const account = draft.accountId === undefined ? undefined : await store.tenancy.account(scope, draft.accountId);
  return account === undefined
    ? refuse('NOT_FOUND', 'there is no account with the identifier of accountId')
    : { ok: true, accountId: account.id };
}
