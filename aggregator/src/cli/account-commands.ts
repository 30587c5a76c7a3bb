/** `rollcall account`: the end customers of an MSP. */
import { Account } from '@rollcall/shared/api/account.ts';
import { Me } from '@rollcall/shared/api/me.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, Limit, limitOption, type ProgramIo, repeatable } from './admin-command.ts';
import type { Column } from './printer.ts';

const columns: readonly Column<Account>[] = [
  ['ID', (row) => row.id],
  ['NAME', (row) => row.name],
  ['MSP', (row) => row.mspId],
  ['ADDRESS', (row) => row.addressLines.join(', ')],
];

export function addAccountCommands(program: Command, io: ProgramIo): void {
  const account = program.command('account').description('end customers of an MSP');
  addAdminCommand(account, io, {
    name: 'create',
    summary: 'make an account',
    options: [
      new Option('--name <name>', 'its name, unique within the MSP').makeOptionMandatory(),
      new Option('--msp <organisation>', 'the MSP it belongs to (default: your own organisation)'),
      repeatable('--address <line>', 'a line of its postal address; may be repeated'),
      new Option('--note <text>', 'a note for yourselves').default(''),
    ],
    schema: z.object({
      name: z.string(),
      msp: z.string().optional(),
      address: z.array(z.string()).default([]),
      note: z.string(),
    }),
    fields: { addressLines: '--address' },
    examples: ['account create --name "Bäckerei Huber" --msp org_…'],
    async run({ client, print, options: { name, msp, address, note } }) {
      const mspId = msp ?? (await client.get('/api/v1/me', Me)).organisation.id;
      print.one(await client.post('/api/v1/accounts', { mspId, name, addressLines: address, note }, Account), columns);
    },
  });
  addAdminCommand(account, io, {
    name: 'list',
    summary: 'list accounts',
    options: [new Option('--msp <organisation>', 'only those of this MSP'), limitOption],
    schema: z.object({ msp: z.string().optional(), limit: Limit }),
    async run({ client, print, options: { msp, limit } }) {
      const { rows, more } = await client.list('/api/v1/accounts', Account, { mspId: msp }, limit);
      print.rows(rows, columns, more);
    },
  });
}
