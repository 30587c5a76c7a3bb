/** `rollcall site`: the locations that run a Site Manager, and what is known of them. */
import { Deployment, Finding, SiteView } from '@rollcall/shared/api/site.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import {
  addAdminCommand,
  type Arguments,
  Limit,
  limitOption,
  type ProgramIo,
  theArgument,
  WholeNumber,
} from './admin-command.ts';
import { UsageError } from './failure.ts';
import type { Column } from './printer.ts';

const columns: readonly Column<SiteView>[] = [
  ['ID', (row) => row.id],
  ['NAME', (row) => row.name],
  ['ACCOUNT', (row) => row.accountId],
  ['STATE', stateOf],
  ['SERVERS', (row) => row.deployed.server],
  ['WORKSTATIONS', (row) => row.deployed.workstation],
  ['LAST CONTACT', (row) => row.lastContactAt],
];

const fields: readonly Column<SiteView>[] = [
  ...columns,
  ['TIME ZONE', (row) => row.timeZone],
  ['MSP', (row) => row.mspId],
  ['SOFTWARE', (row) => row.software],
  ['LEDGER HELD TO', (row) => row.ledger.seq],
  ['STALE AFTER', (row) => (row.settings.staleAfterDays === 0 ? 'never' : `${row.settings.staleAfterDays} days`)],
  ['MADE', (row) => row.createdAt],
  ['ENROLLED', (row) => row.enrolledAt],
  ['CLOSED', (row) => row.closedAt],
  ['NOTE', (row) => row.note],
];

/** The one word an operator looks for first. */
function stateOf(site: SiteView): string {
  if (site.closedAt !== null) return 'closed';
  if (site.flag !== null) return site.flag;
  if (site.enrolledAt === null) return 'not enrolled';
  return site.connected ? 'connected' : 'offline';
}

const SiteFilter = z.object({
  account: z.string().optional(),
  msp: z.string().optional(),
  flagged: z.boolean().optional(),
  limit: Limit,
});

export function addSiteCommands(program: Command, io: ProgramIo): void {
  const site = program.command('site').description('locations that run a Site Manager');
  addAdminCommand(site, io, {
    name: 'create',
    summary: 'make a site',
    options: [
      new Option('--account <account>', 'the account it belongs to').makeOptionMandatory(),
      new Option('--name <name>', 'its name, unique within the MSP; stands on its reports').makeOptionMandatory(),
      new Option(
        '--time-zone <zone>',
        'IANA time zone, such as Europe/Rome; cannot be changed later',
      ).makeOptionMandatory(),
      new Option(
        '--stale-after-days <days>',
        'days without a check-in after which an endpoint no longer counts; 0 = never',
      ),
      new Option('--note <text>', 'a note for yourselves').default(''),
    ],
    schema: z.object({
      account: z.string(),
      name: z.string(),
      timeZone: z.string(),
      staleAfterDays: WholeNumber.optional(),
      note: z.string(),
    }),
    examples: ['site create --account acc_… --name "Head office" --time-zone Europe/Vienna'],
    async run({ client, print, options: { account, staleAfterDays, ...rest } }) {
      const settings = staleAfterDays === undefined ? undefined : { staleAfterDays };
      print.one(await client.post('/api/v1/sites', { ...rest, accountId: account, settings }, SiteView), fields);
    },
  });
  addAdminCommand(site, io, {
    name: 'list',
    summary: 'list sites',
    options: [
      new Option('--account <account>', 'only those of this account'),
      new Option('--msp <organisation>', 'only those of this MSP'),
      new Option('--flagged', 'only those whose Site Manager was refused'),
      limitOption,
    ],
    schema: SiteFilter,
    async run({ client, print, options: { account, msp, flagged, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/sites',
        SiteView,
        { accountId: account, mspId: msp, flagged },
        limit,
      );
      print.rows(rows, columns, more);
    },
  });
  addAdminCommand(site, io, {
    name: 'show <site>',
    summary: 'show a site',
    schema: z.object({}),
    run: async ({ client, print, args }) => print.one(await client.get(pathOf(args), SiteView), fields),
  });
  addAdminCommand(site, io, {
    name: 'change <site>',
    summary: 'change the note or the settings of a site',
    options: [
      new Option(
        '--stale-after-days <days>',
        'days without a check-in after which an endpoint no longer counts; 0 = never',
      ),
      new Option('--note <text>', 'a note for yourselves'),
    ],
    schema: z.object({ staleAfterDays: WholeNumber.optional(), note: z.string().optional() }),
    async run({ client, print, options: { staleAfterDays, note }, args }) {
      if (staleAfterDays === undefined && note === undefined)
        throw new UsageError('nothing to change: give --stale-after-days, --note or both');
      print.one(
        await client.patch(
          pathOf(args),
          { note, settings: staleAfterDays === undefined ? undefined : { staleAfterDays } },
          SiteView,
        ),
        fields,
      );
    },
  });
  addAdminCommand(site, io, {
    name: 'close <site>',
    summary: 'close a site: billed for the running month and no later one; cannot be undone',
    schema: z.object({}),
    run: async ({ client, print, args }) => print.one(await client.post(`${pathOf(args)}/close`, {}, SiteView), fields),
  });
  addAdminCommand(site, io, {
    name: 'clear-flag <site>',
    summary: 'lift the flag of a site whose Site Manager was refused',
    schema: z.object({}),
    run: async ({ client, print, args }) =>
      print.one(await client.post(`${pathOf(args)}/clear-flag`, {}, SiteView), fields),
  });
  addAdminCommand(site, io, {
    name: 'deployments <site>',
    summary: 'list the deployed agents of a site',
    options: [new Option('--all', 'those that were removed too'), limitOption],
    schema: z.object({ all: z.boolean().default(false), limit: Limit }),
    async run({ client, print, options: { all, limit }, args }) {
      const { rows, more } = await client.list(`${pathOf(args)}/deployments`, Deployment, { current: !all }, limit);
      print.rows(
        rows,
        [
          ['ENDPOINT', (row) => row.endpointId],
          ['HOST', (row) => row.hostName],
          ['KIND', (row) => row.kind],
          ['ORIGIN', (row) => row.origin],
          ['VERSION', (row) => row.agentVersion],
          ['DEPLOYED', (row) => row.deployedAt],
          ['REMOVED', (row) => row.removedAt],
          ['REASON', (row) => row.removedReason],
        ],
        more,
      );
    },
  });
  addAdminCommand(site, io, {
    name: 'findings',
    summary: 'list what operators should look at',
    options: [
      new Option('--site <site>', 'only of this site'),
      new Option('--all', 'the resolved ones too'),
      limitOption,
    ],
    schema: z.object({ site: z.string().optional(), all: z.boolean().default(false), limit: Limit }),
    async run({ client, print, options: { site: siteId, all, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/findings',
        Finding,
        { siteId, open: all ? undefined : true },
        limit,
      );
      print.rows(
        rows,
        [
          ['AT', (row) => row.at],
          ['SITE', (row) => row.siteId],
          ['CODE', (row) => row.code],
          ['WHAT', (row) => row.message],
          ['RESOLVED', (row) => row.resolvedAt],
        ],
        more,
      );
    },
  });
}

const pathOf = (args: Arguments): string => `/api/v1/sites/${encodeURIComponent(theArgument(args))}`;
