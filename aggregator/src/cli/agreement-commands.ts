/** `rollcall agreement`: prices between the own organisation and the buyers right below it. */
import { Agreement } from '@rollcall/shared/api/agreement.ts';
import { Currency } from '@rollcall/shared/domain/currency.ts';
import { formatMinor } from '@rollcall/shared/domain/money.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, Limit, limitOption, type ProgramIo, WholeNumber } from './admin-command.ts';
import { minorOfPrice } from './price.ts';
import type { Column } from './printer.ts';

const columns: readonly Column<Agreement>[] = [
  ['ID', (row) => row.id],
  ['SELLER', (row) => row.sellerId],
  ['BUYER', (row) => row.buyerId],
  ['FROM', (row) => row.validFrom],
  ['SERVER', (row) => `${formatMinor(row.serverUnitPriceMinor, row.currency)} ${row.currency}`],
  ['WORKSTATION', (row) => `${formatMinor(row.workstationUnitPriceMinor, row.currency)} ${row.currency}`],
  ['TAX', (row) => `${row.taxRatePercent} %`],
  ['MISSING REPORTS', (row) => row.missingReportPolicy],
];

export function addAgreementCommands(program: Command, io: ProgramIo): void {
  const agreement = program.command('agreement').description('prices between a seller and a buyer');
  addAdminCommand(agreement, io, {
    name: 'create',
    summary: 'agree prices with a buyer right below your own organisation',
    options: [
      new Option('--buyer <organisation>', 'who buys').makeOptionMandatory(),
      new Option('--currency <code>', "ISO 4217: the buyer's currency").makeOptionMandatory(),
      new Option('--server-price <price>', 'net, for one server agent and month, such as 4.50').makeOptionMandatory(),
      new Option('--workstation-price <price>', 'net, for one workstation agent and month').makeOptionMandatory(),
      new Option('--tax-rate <percent>', 'such as 22 or 7.7; 0 is written').makeOptionMandatory(),
      new Option('--valid-from <month>', 'first month billed by it, such as 2026-01').makeOptionMandatory(),
      new Option('--time-zone <zone>', 'zone of its billing month, such as Europe/Rome').makeOptionMandatory(),
      new Option('--payment-term-days <days>', 'days until an invoice is due').default('30'),
      new Option('--missing-reports <policy>', 'wait for them, or bill the own count and true it up')
        .choices(['hold', 'estimate'])
        .default('hold'),
      new Option('--programme <programme>', 'how usage becomes money')
        .choices(['metered-peak'])
        .default('metered-peak'),
    ],
    schema: z.object({
      buyer: z.string(),
      currency: Currency,
      serverPrice: z.string(),
      workstationPrice: z.string(),
      taxRate: z.string(),
      validFrom: z.string(),
      timeZone: z.string(),
      paymentTermDays: WholeNumber,
      missingReports: z.string(),
      programme: z.string(),
    }),
    fields: {
      serverUnitPriceMinor: '--server-price',
      workstationUnitPriceMinor: '--workstation-price',
      taxRatePercent: '--tax-rate',
      missingReportPolicy: '--missing-reports',
    },
    examples: [
      'agreement create --buyer org_… --currency EUR --server-price 4.50 --workstation-price 1.20 \\\n      --tax-rate 0 --valid-from 2026-01 --time-zone Europe/Rome --missing-reports estimate',
    ],
    async run({ client, print, options }) {
      const { currency } = options;
      const draft = {
        buyerId: options.buyer,
        programme: options.programme,
        currency,
        serverUnitPriceMinor: minorOfPrice(options.serverPrice, currency),
        workstationUnitPriceMinor: minorOfPrice(options.workstationPrice, currency),
        taxRatePercent: options.taxRate,
        paymentTermDays: options.paymentTermDays,
        timeZone: options.timeZone,
        missingReportPolicy: options.missingReports,
        validFrom: options.validFrom,
      };
      print.one(await client.post('/api/v1/agreements', draft, Agreement), columns);
    },
  });
  addAdminCommand(agreement, io, {
    name: 'list',
    summary: 'list agreements in which your organisation sells or buys',
    options: [
      new Option('--seller <organisation>', 'only of this seller'),
      new Option('--buyer <organisation>', 'only of this buyer'),
      limitOption,
    ],
    schema: z.object({ seller: z.string().optional(), buyer: z.string().optional(), limit: Limit }),
    async run({ client, print, options: { seller, buyer, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/agreements',
        Agreement,
        { sellerId: seller, buyerId: buyer },
        limit,
      );
      print.rows(rows, columns, more);
    },
  });
}
