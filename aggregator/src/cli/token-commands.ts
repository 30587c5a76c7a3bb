/** `rollcall enrolment-token` and `rollcall api-token`: what enrols sites, and what lets programs act for an organisation. */
import { Me } from '@rollcall/shared/api/me.ts';
import { ApiToken, EnrolmentToken, NewApiToken, NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, Limit, limitOption, type ProgramIo, theArgument, WholeNumber } from './admin-command.ts';
import type { Column } from './printer.ts';

const enrolmentColumns: readonly Column<EnrolmentToken>[] = [
  ['ID', (row) => row.id],
  ['ACCOUNT', (row) => row.accountId],
  ['SITE', (row) => row.siteId],
  ['USED', (row) => `${row.uses} of ${row.usesMax}`],
  ['EXPIRES', (row) => row.expiresAt],
  ['WITHDRAWN', (row) => row.withdrawnAt],
];

const apiColumns: readonly Column<ApiToken>[] = [
  ['ID', (row) => row.id],
  ['NAME', (row) => row.name],
  ['ORGANISATION', (row) => row.organisationId],
  ['LAST USED', (row) => row.lastUsedAt],
  ['EXPIRES', (row) => row.expiresAt],
  ['REVOKED', (row) => row.revokedAt],
  ['MADE WITH', (row) => row.createdByTokenId],
];

const shownOnce = 'Keep the token: it is shown this once.';

export function addTokenCommands(program: Command, io: ProgramIo): void {
  const enrolment = program.command('enrolment-token').description('what a Site Manager enrols with');
  addAdminCommand(enrolment, io, {
    name: 'create',
    summary: 'make an enrolment token; its text is shown once',
    options: [
      new Option('--site <site>', 'for one use at this site').conflicts('account'),
      new Option('--account <account>', 'for a roll-out that makes sites under this account').conflicts('site'),
      new Option('--uses <number>', 'how many sites a roll-out token makes (default: 1)').conflicts('site'),
      new Option('--valid-hours <hours>', 'how long it may be used (default: 72)'),
    ],
    schema: z
      .object({
        site: z.string().optional(),
        account: z.string().optional(),
        uses: WholeNumber.optional(),
        validHours: WholeNumber.optional(),
      })
      .refine(({ site, account }) => site !== undefined || account !== undefined, {
        path: ['site'],
        message: 'give --site, or --account for a roll-out',
      }),
    fields: { usesMax: '--uses' },
    examples: [
      'enrolment-token create --site site_…',
      'enrolment-token create --account acc_… --uses 25 --valid-hours 168',
    ],
    async run({ client, print, options: { site, account, uses, validHours } }) {
      const made = await client.post(
        '/api/v1/enrolment-tokens',
        { siteId: site, accountId: account, usesMax: uses, validHours },
        NewEnrolmentToken,
      );
      print.one(made, [['TOKEN', () => made.token], ...enrolmentColumns]);
      print.remark(shownOnce);
    },
  });
  addAdminCommand(enrolment, io, {
    name: 'list',
    summary: 'list enrolment tokens',
    options: [new Option('--account <account>', 'only of this account'), limitOption],
    schema: z.object({ account: z.string().optional(), limit: Limit }),
    async run({ client, print, options: { account, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/enrolment-tokens',
        EnrolmentToken,
        { accountId: account },
        limit,
      );
      print.rows(rows, enrolmentColumns, more);
    },
  });
  addAdminCommand(enrolment, io, {
    name: 'withdraw <token>',
    summary: 'withdraw an enrolment token by its identifier',
    schema: z.object({}),
    run: async ({ client, print, args }) =>
      print.one(
        await client.post(
          `/api/v1/enrolment-tokens/${encodeURIComponent(theArgument(args))}/withdraw`,
          {},
          EnrolmentToken,
        ),
        enrolmentColumns,
      ),
  });

  const api = program.command('api-token').description('what programs sign in with');
  addAdminCommand(api, io, {
    name: 'create',
    summary: 'make an API token for your own organisation or one below it; its text is shown once',
    options: [
      new Option('--name <name>', 'what it is for').makeOptionMandatory(),
      new Option('--organisation <organisation>', 'whom it acts for (default: your own)'),
      new Option(
        '--valid-days <days>',
        'how long it may be used, at most as long as your own token (default: that long)',
      ),
    ],
    schema: z.object({ name: z.string(), organisation: z.string().optional(), validDays: WholeNumber.optional() }),
    examples: ['api-token create --name "nightly export" --valid-days 365'],
    async run({ client, print, options: { name, organisation, validDays } }) {
      const organisationId = organisation ?? (await client.get('/api/v1/me', Me)).organisation.id;
      const made = await client.post('/api/v1/api-tokens', { name, organisationId, validDays }, NewApiToken);
      print.one(made, [['TOKEN', () => made.token], ...apiColumns]);
      print.remark(shownOnce);
    },
  });
  addAdminCommand(api, io, {
    name: 'list',
    summary: 'list API tokens',
    options: [limitOption],
    schema: z.object({ limit: Limit }),
    async run({ client, print, options: { limit } }) {
      const { rows, more } = await client.list('/api/v1/api-tokens', ApiToken, {}, limit);
      print.rows(rows, apiColumns, more);
    },
  });
  addAdminCommand(api, io, {
    name: 'revoke <token>',
    summary: 'revoke an API token by its identifier, and all that were made with it',
    schema: z.object({}),
    run: async ({ client, print, args }) =>
      print.one(
        await client.post(`/api/v1/api-tokens/${encodeURIComponent(theArgument(args))}/revoke`, {}, ApiToken),
        apiColumns,
      ),
  });
}
