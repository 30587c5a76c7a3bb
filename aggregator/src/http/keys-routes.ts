/** Product keys over HTTP. What is asked of a key becomes true at its site's next call-home (domain text, section 3). */
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { NewProductKey, ProductKey, ProductKeyDraft } from '@rollcall/shared/api/product-key.ts';
import { AccountId, idFrom, idRandomBytes, OrganisationId, ProductKeyId, SiteId } from '@rollcall/shared/domain/id.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import {
  keyHint,
  type KeyWish,
  productKeyRandomBytes,
  productKeyTextFrom,
} from '@rollcall/shared/domain/product-key.ts';
import type { CommandName, SiteCommand } from '@rollcall/shared/protocol/command.ts';
import { z } from 'zod';
import { keyView, type StoredKey } from '../core/key-state.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const tag = 'keys';
const KeyParams = z.object({ keyId: ProductKeyId });
const noSuchKey = refuse('NOT_FOUND', 'there is no key with this identifier');

const wishes = [
  {
    verb: 'deactivate',
    wish: 'deactivated',
    command: 'deactivate-key',
    summary: 'Asks for a key to be deactivated; final at the next call-home',
  },
  {
    verb: 'reactivate',
    wish: 'active',
    command: 'reactivate-key',
    summary: 'Asks for a key to be active again; true at the next call-home',
  },
] as const satisfies { verb: string; wish: KeyWish; command: CommandName; summary: string }[];

export function keyRoutes(api: Api, { store, gateway, chance }: RouteDeps): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/keys',
      action: 'key.read',
      tag,
      summary: 'Lists keys with the state the portal shows',
      query: PageQuery.extend({
        siteId: SiteId.optional(),
        accountId: AccountId.optional(),
        mspId: OrganisationId.optional(),
      }),
      answer: pageOf(ProductKey),
    },
    async ({ caller, query: { siteId, accountId, mspId, ...page }, now }) => {
      const { rows, nextCursor } = await store.keys.keys(caller.scope, { siteId, accountId, mspId }, page);
      return { ok: true, answer: { rows: rows.map((key) => keyView(key, now)), nextCursor } };
    },
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/keys',
      action: 'key.create',
      tag,
      summary: 'Makes a product key for a site; its text is in this answer and in no other',
      body: ProductKeyDraft,
      answer: NewProductKey,
      status: 201,
      refusals: ['NOT_FOUND', 'SITE_CLOSED', 'SITE_HAS_KEY'],
    },
    async ({ caller, body: { siteId, product }, now }) => {
      const site = await store.sites.site(caller.scope, siteId);
      if (site === undefined) return refuse('NOT_FOUND', 'there is no site with the identifier of siteId');
      if (site.closedAt !== null) return refuse('SITE_CLOSED', `the site was closed at ${site.closedAt}`);
      const keyText = productKeyTextFrom(chance(productKeyRandomBytes));
      const key: StoredKey = {
        id: idFrom('productKey', chance(idRandomBytes)),
        siteId,
        product,
        keyHint: keyHint(keyText),
        wish: 'active',
        siteState: null,
        createdAt: now,
        leaseIssuedAt: null,
        leaseUntil: null,
      };
      const made = await store.keys.createKey(key, keyText);
      if (!made.ok) return made;
      gateway.siteChanged(siteId);
      return { ok: true, answer: { ...keyView(key, now), keyText }, location: `/api/v1/keys/${key.id}` };
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/keys/{keyId}',
      action: 'key.read',
      tag,
      summary: 'Shows a key',
      params: KeyParams,
      answer: ProductKey,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params, now }) => {
      const key = await store.keys.key(caller.scope, params.keyId);
      return key === undefined ? noSuchKey : { ok: true, answer: keyView(key, now) };
    },
  );

  for (const { verb, wish, command, summary } of wishes) {
    api.json(
      {
        method: 'post',
        path: `/api/v1/keys/{keyId}/${verb}`,
        action: 'key.change',
        tag,
        summary,
        description: 'Asked again, it changes nothing and answers the key as it is.',
        params: KeyParams,
        answer: ProductKey,
        refusals: ['NOT_FOUND'],
      },
      async ({ caller, params, now }) => {
        const queued: SiteCommand = {
          id: idFrom('command', chance(idRandomBytes)),
          name: command,
          keyId: params.keyId,
          issuedAt: now,
        };
        const wished = await store.keys.wishKey(caller.scope, params.keyId, wish, queued);
        if (wished.ok) {
          gateway.siteChanged(wished.key.siteId);
          return { ok: true, answer: keyView(wished.key, now) };
        }
        const key = wished.code === 'UNCHANGED' ? await store.keys.key(caller.scope, params.keyId) : undefined;
        return key === undefined ? noSuchKey : { ok: true, answer: keyView(key, now) };
      },
    );
  }
}
