/** Organisations over HTTP: the caller's own and those below it. */
import { Organisation, OrganisationDraft } from '@rollcall/shared/api/organisation.ts';
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { idFrom, idRandomBytes, OrganisationId } from '@rollcall/shared/domain/id.ts';
import { mayHaveChild, OrganisationKind, treeDepthMax } from '@rollcall/shared/domain/organisation.ts';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import { may } from '../core/permission.ts';
import type { RouteDeps } from './context.ts';
import type { Api } from './operation.ts';

const tag = 'organisations';

export function organisationRoutes(api: Api, { store, chance }: RouteDeps): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/organisations',
      action: 'organisation.read',
      tag,
      summary: 'Lists the own organisation and all below it, by name',
      query: PageQuery.extend({ parentId: OrganisationId.optional(), kind: OrganisationKind.optional() }),
      answer: pageOf(Organisation),
    },
    async ({ caller, query: { parentId, kind, ...page } }) => ({
      ok: true,
      answer: await store.tenancy.organisations(caller.scope, { parentId, kind }, page),
    }),
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/organisations',
      action: 'organisation.create',
      tag,
      summary: 'Makes a distributor or an MSP below the own organisation',
      body: OrganisationDraft,
      answer: Organisation,
      status: 201,
      refusals: ['NOT_FOUND', 'CHILD_KIND_WRONG', 'TREE_TOO_DEEP', 'NAME_TAKEN'],
    },
    async ({ caller, body, now }) => {
      const parent = await store.tenancy.organisation(caller.scope, body.parentId);
      if (parent === undefined || !may(caller.scope, 'organisation.create', parent.path))
        return refuse('NOT_FOUND', 'there is no organisation with the identifier of parentId');
      if (!mayHaveChild(parent.kind, body.kind))
        return refuse(
          'CHILD_KIND_WRONG',
          `an organisation of the kind ${body.kind} cannot stand below one of the kind ${parent.kind}`,
        );
      const depth = parent.path.split('/').length - 1;
      if (depth >= treeDepthMax)
        return refuse('TREE_TOO_DEEP', `the tenant tree goes ${treeDepthMax} organisations deep at most`);
      const organisation: Organisation = { ...body, id: idFrom('organisation', chance(idRandomBytes)), createdAt: now };
      const made = await store.tenancy.createOrganisation(organisation, parent);
      return made.ok ? { ok: true, answer: organisation, location: `/api/v1/organisations/${organisation.id}` } : made;
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/organisations/{organisationId}',
      action: 'organisation.read',
      tag,
      summary: 'Shows an organisation',
      params: z.object({ organisationId: OrganisationId }),
      answer: Organisation,
      refusals: ['NOT_FOUND'],
    },
    async ({ caller, params }) => {
      const organisation = await store.tenancy.organisation(caller.scope, params.organisationId);
      return organisation === undefined
        ? refuse('NOT_FOUND', 'there is no organisation with this identifier')
        : { ok: true, answer: organisation };
    },
  );
}
