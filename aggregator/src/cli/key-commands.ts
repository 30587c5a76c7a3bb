/** `rollcall key`: product keys. */
import { NewProductKey, ProductKey } from '@rollcall/shared/api/product-key.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, Limit, limitOption, type ProgramIo, theArgument } from './admin-command.ts';
import type { Column } from './printer.ts';

const columns: readonly Column<ProductKey>[] = [
  ['ID', (row) => row.id],
  ['SITE', (row) => row.siteId],
  ['PRODUCT', (row) => row.product],
  ['ENDS IN', (row) => row.keyHint],
  ['STATE', (row) => row.portalState],
  ['LEASE UNTIL', (row) => row.leaseUntil],
];

export function addKeyCommands(program: Command, io: ProgramIo): void {
  const key = program.command('key').description('product keys');
  addAdminCommand(key, io, {
    name: 'create',
    summary: 'make a product key for a site; its text is shown once',
    options: [
      new Option('--site <site>', 'the site it is for').makeOptionMandatory(),
      new Option('--product <product>', 'what it activates').default('metered-agent'),
    ],
    schema: z.object({ site: z.string(), product: z.string() }),
    async run({ client, print, options: { site, product } }) {
      const made = await client.post('/api/v1/keys', { siteId: site, product }, NewProductKey);
      print.one(made, [['KEY', () => made.keyText], ...columns]);
      print.remark('Keep the text of the key: it is shown this once.');
    },
  });
  addAdminCommand(key, io, {
    name: 'list',
    summary: 'list keys and their states',
    options: [
      new Option('--site <site>', 'only of this site'),
      new Option('--account <account>', 'only of this account'),
      new Option('--msp <organisation>', 'only of this MSP'),
      limitOption,
    ],
    schema: z.object({
      site: z.string().optional(),
      account: z.string().optional(),
      msp: z.string().optional(),
      limit: Limit,
    }),
    async run({ client, print, options: { site, account, msp, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/keys',
        ProductKey,
        { siteId: site, accountId: account, mspId: msp },
        limit,
      );
      print.rows(rows, columns, more);
    },
  });
  for (const [verb, summary] of [
    ['deactivate', 'ask for a key to be deactivated; final at its next call-home'],
    ['reactivate', 'ask for a key to be active again'],
  ] as const) {
    addAdminCommand(key, io, {
      name: `${verb} <key>`,
      summary,
      schema: z.object({}),
      run: async ({ client, print, args }) =>
        print.one(
          await client.post(`/api/v1/keys/${encodeURIComponent(theArgument(args))}/${verb}`, {}, ProductKey),
          columns,
        ),
    });
  }
}
