/** `rollcall organisation`: distributors and MSPs below the own organisation. */
import { Me } from '@rollcall/shared/api/me.ts';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, Limit, limitOption, type ProgramIo, repeatable } from './admin-command.ts';
import type { Column } from './printer.ts';

const columns: readonly Column<Organisation>[] = [
  ['ID', (row) => row.id],
  ['KIND', (row) => row.kind],
  ['NAME', (row) => row.name],
  ['COUNTRY', (row) => row.country],
  ['CURRENCY', (row) => row.currency],
  ['PARENT', (row) => row.parentId],
];

export function addOrganisationCommands(program: Command, io: ProgramIo): void {
  const organisation = program.command('organisation').description('distributors and MSPs');
  addAdminCommand(organisation, io, {
    name: 'create',
    summary: 'make a distributor or an MSP',
    options: [
      new Option('--kind <kind>', 'distributor or msp').choices(['distributor', 'msp']).makeOptionMandatory(),
      new Option('--name <name>', 'its name, unique below its parent').makeOptionMandatory(),
      new Option('--country <code>', 'ISO 3166-1, such as IT').makeOptionMandatory(),
      new Option('--currency <code>', 'ISO 4217, such as EUR: what it is billed in').makeOptionMandatory(),
      new Option('--parent <organisation>', 'the organisation above it (default: your own)'),
      new Option('--tax-id <id>', 'as printed on invoices'),
      repeatable('--address <line>', 'a line of its postal address; may be repeated'),
    ],
    schema: z.object({
      kind: z.string(),
      name: z.string(),
      country: z.string(),
      currency: z.string(),
      parent: z.string().optional(),
      taxId: z.string().optional(),
      address: z.array(z.string()).default([]),
    }),
    fields: { addressLines: '--address' },
    examples: [
      'organisation create --kind distributor --name "Nord GmbH" --country DE --currency EUR',
      'organisation create --kind msp --name "Alpi IT" --country IT --currency EUR --parent org_…',
    ],
    async run({ client, print, options: { parent, taxId, address, ...rest } }) {
      const parentId = parent ?? (await client.get('/api/v1/me', Me)).organisation.id;
      print.one(
        await client.post(
          '/api/v1/organisations',
          { ...rest, parentId, taxId: taxId ?? null, addressLines: address },
          Organisation,
        ),
        columns,
      );
    },
  });
  addAdminCommand(organisation, io, {
    name: 'list',
    summary: 'list your own organisation and those below it',
    options: [
      new Option('--parent <organisation>', 'only those right below it'),
      new Option('--kind <kind>', 'only of this kind').choices(['vendor', 'distributor', 'msp']),
      limitOption,
    ],
    schema: z.object({ parent: z.string().optional(), kind: z.string().optional(), limit: Limit }),
    async run({ client, print, options: { parent, kind, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/organisations',
        Organisation,
        { parentId: parent, kind },
        limit,
      );
      print.rows(rows, columns, more);
    },
  });
}
