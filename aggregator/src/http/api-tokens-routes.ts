/** API tokens over HTTP: by which a program acts for the own organisation or one below it. */
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { ApiToken, ApiTokenDraft, NewApiToken } from '@rollcall/shared/api/token.ts';
import { ApiTokenId, idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { z } from 'zod';
import { expiryOf } from '../core/api-token-life.ts';
import { may } from '../core/permission.ts';
import { apiTokenTextFrom, tokenRandomBytes } from '../core/token-text.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const tag = 'tokens';

export function apiTokenRoutes(api: Api, { store, chance }: RouteDeps): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/api-tokens',
      action: 'api-token.read',
      tag,
      summary: 'Lists API tokens of the own organisation and those below, without their text',
      query: PageQuery,
      answer: pageOf(ApiToken),
    },
    async ({ caller, query }) => ({ ok: true, answer: await store.tokens.apiTokens(caller.scope, query) }),
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/api-tokens',
      action: 'api-token.create',
      tag,
      summary: 'Makes an API token; its text is in this answer and in no other',
      description:
        'It lives no longer than the token it is made with: `expiresAt` says how long, and revoking that token revokes this one.',
      body: ApiTokenDraft,
      answer: NewApiToken,
      status: 201,
      refusals: ['NOT_FOUND', 'TOKEN_REVOKED'],
    },
    async ({ caller, body, now }) => {
      const organisation = await store.tenancy.organisation(caller.scope, body.organisationId);
      if (organisation === undefined || !may(caller.scope, 'api-token.create', organisation.path))
        return refuse('NOT_FOUND', 'there is no organisation with the identifier of organisationId');
      const text = apiTokenTextFrom(chance(tokenRandomBytes));
      const token: ApiToken = {
        id: idFrom('apiToken', chance(idRandomBytes)),
        organisationId: organisation.id,
        name: body.name,
        createdByTokenId: caller.token.id,
        createdAt: now,
        expiresAt: expiryOf(body.validDays, now, caller.token),
        lastUsedAt: null,
        revokedAt: null,
      };
      const made = await store.tokens.createApiToken(token, nodeDigest.sha256(text));
      return made.ok ? { ok: true, answer: { ...token, token: text } } : made;
    },
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/api-tokens/{tokenId}/revoke',
      action: 'api-token.revoke',
      tag,
      summary: 'Revokes an API token and all that were made with it, from now on and for good',
      params: z.object({ tokenId: ApiTokenId }),
      answer: ApiToken,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, now }) => {
      const token = await store.tokens.revokeApiToken(caller.scope, params.tokenId, now);
      return token === undefined
        ? refuse('NOT_FOUND', 'there is no API token with this identifier')
        : { ok: true, answer: token };
    },
  );
}
