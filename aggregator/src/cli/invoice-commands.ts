/** `rollcall close` and `rollcall invoice`: from a month's reports to what the buyers owe, and why. */
import {
  ClosePreview,
  CloseResult,
  DueClose,
  Invoice,
  InvoiceLine,
  LineEvidence,
} from '@rollcall/shared/api/invoice.ts';
import { formatMinor } from '@rollcall/shared/domain/money.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { addAdminCommand, type Arguments, Limit, limitOption, type ProgramIo, theArgument } from './admin-command.ts';
import { UsageError } from './failure.ts';
import { outOption, writeOut } from './file-output.ts';
import { printEvidence } from './line-evidence-text.ts';
import type { Column } from './printer.ts';

type ClosedEdge = CloseResult['edges'][number];

const closeColumns: readonly Column<ClosedEdge>[] = [
  ['BUYER', (row) => row.buyerName],
  ['OUTCOME', (row) => row.outcome],
  ['NUMBER', (row) => row.number],
  ['MISSING REPORTS', (row) => row.missingCount],
  ['DIFFERING', (row) => row.differingCount],
  ['INVOICE', (row) => row.invoiceId],
];
const previewColumns: readonly Column<ClosePreview['edges'][number]>[] = [
  ...closeColumns.slice(0, 2),
  ['NET', (row) => (row.netMinor === null ? null : `${formatMinor(row.netMinor, row.currency)} ${row.currency}`)],
  ['MISSING REPORTS', (row) => row.missingCount],
  ['DIFFERING', (row) => row.differingCount],
];
/** What closing would do now, month by month. */
const dueColumns: readonly Column<DueClose>[] = [
  ['MONTH', (row) => row.month],
  ...previewColumns,
  ['WHY NOT', (row) => row.failure && `${row.failure.code}: ${row.failure.message}`],
];

const columns: readonly Column<Invoice>[] = [
  ['ID', (row) => row.id],
  ['NUMBER', (row) => row.number],
  ['KIND', (row) => row.kind],
  ['STATE', (row) => row.state],
  ['MONTH', (row) => row.month],
  ['SELLER', (row) => row.sellerName],
  ['BUYER', (row) => row.buyerName],
  ['GROSS', (row) => `${formatMinor(row.grossMinor, row.currency)} ${row.currency}`],
  ['DUE', (row) => row.dueOn],
];
const fields: readonly Column<Invoice>[] = [
  ...columns.slice(0, 7),
  ['NET', (row) => `${formatMinor(row.netMinor, row.currency)} ${row.currency}`],
  ['TAX', (row) => `${formatMinor(row.taxMinor, row.currency)} ${row.currency} (${row.taxRatePercent} %)`],
  ...columns.slice(7),
  ['REFERS TO', (row) => row.refersToNumber],
  ['FINALISED', (row) => row.finalisedAt],
  ['MISSING REPORTS', (row) => row.missingReports],
];

export function addInvoiceCommands(program: Command, io: ProgramIo): void {
  addAdminCommand(program, io, {
    name: 'close [month]',
    summary: 'close a month: make the invoices, or the notes that correct them; again changes nothing',
    options: [
      new Option('--without-missing', 'do not wait for missing reports; a debit note bills them when they come'),
      new Option('--preview', 'only tell what it would do'),
      new Option('--due', 'list the months and buyers that wait for it, and why').conflicts([
        'withoutMissing',
        'preview',
      ]),
      limitOption,
    ],
    schema: z.object({
      withoutMissing: z.boolean().default(false),
      preview: z.boolean().default(false),
      due: z.boolean().default(false),
      limit: Limit,
    }),
    examples: ['close --due', 'close 2026-02 --preview', 'close 2026-02'],
    async run({ client, print, options: { withoutMissing, preview, due, limit }, args }) {
      if (due) {
        if (args.given.length > 0) throw new UsageError('--due lists every month: leave <month> out');
        const { rows, more } = await client.list('/api/v1/closes/due', DueClose, {}, limit);
        print.rows(rows, dueColumns, more);
        return;
      }
      const request = { month: theArgument(args), withoutMissing };
      if (preview) {
        const { edges } = await client.get('/api/v1/closes', ClosePreview, request);
        print.rows(edges, previewColumns);
        refuseFailed(edges, 'mend the cause, then look again');
        return;
      }
      const { edges } = await client.post('/api/v1/closes', request, CloseResult);
      print.rows(edges, closeColumns);
      refuseFailed(edges, 'the others are closed; mend the cause, then close again');
    },
  });

  const invoice = program.command('invoice').description('invoices, credit notes and debit notes');
  addAdminCommand(invoice, io, {
    name: 'list',
    summary: 'list the documents in which your organisation sells or buys',
    options: [
      new Option('--month <month>', 'only of this month'),
      new Option('--seller <organisation>', 'only of this seller'),
      new Option('--buyer <organisation>', 'only of this buyer'),
      limitOption,
    ],
    schema: z.object({
      month: z.string().optional(),
      seller: z.string().optional(),
      buyer: z.string().optional(),
      limit: Limit,
    }),
    async run({ client, print, options: { month, seller, buyer, limit } }) {
      const { rows, more } = await client.list(
        '/api/v1/invoices',
        Invoice,
        { month, sellerId: seller, buyerId: buyer },
        limit,
      );
      print.rows(rows, columns, more);
    },
  });
  addAdminCommand(invoice, io, {
    name: 'show <invoice>',
    summary: 'show a document and its lines',
    options: [limitOption],
    schema: z.object({ limit: Limit }),
    async run({ client, print, options: { limit }, args }) {
      const shown = await client.get(pathOf(args), Invoice);
      const { rows, more } = await client.list(`${pathOf(args)}/lines`, InvoiceLine, {}, limit);
      if (print.json) {
        print.one({ ...shown, lines: rows }, []);
        return;
      }
      const money = (minor: number): string => formatMinor(minor, shown.currency);
      print.one(shown, fields);
      print.rows(
        rows,
        [
          ['LINE', (row) => row.number],
          ['MSP', (row) => row.mspName],
          ['ACCOUNT', (row) => row.accountName],
          ['SITE', (row) => row.siteName],
          ['KIND', (row) => row.kind],
          ['QUANTITY', (row) => row.quantity],
          ['PRICE', (row) => money(row.unitPriceMinor)],
          ['NET', (row) => money(row.netMinor)],
          ['BASIS', (row) => (row.revision === null ? row.basis : `${row.basis}, revision ${row.revision}`)],
        ],
        more,
      );
    },
  });
  for (const [format, what] of [
    ['pdf', 'a document as PDF, into a file of its own name unless --out says otherwise'],
    ['csv', 'the lines of a document as CSV'],
  ] as const) {
    addAdminCommand(invoice, io, {
      name: `${format} <invoice>`,
      summary: what,
      options: [outOption],
      schema: z.object({ out: z.string().optional() }),
      async run({ client, print, options: { out }, args }) {
        const { name, content } = await client.download(`${pathOf(args)}/${format}`);
        // Nobody wants a PDF in the terminal.
        await writeOut(print, out ?? (format === 'pdf' ? name : undefined), content);
      },
    });
  }
  addAdminCommand(invoice, io, {
    name: 'evidence <invoice> <line>',
    summary: 'why a line says what it says: who stood deployed at the peak, since when, and what was billed before',
    schema: z.object({}),
    async run({ client, print, args }) {
      const evidence = await client.get(
        `${pathOf(args)}/lines/${encodeURIComponent(theArgument(args, 1))}/evidence`,
        LineEvidence,
      );
      printEvidence(print, evidence);
    },
  });
}

/** @throws RollcallError for a script that looks at the exit code alone; what was closed has been printed. */
function refuseFailed(edges: readonly ClosedEdge[], hint: string): void {
  const failures = edges.flatMap(({ buyerName, failure }) => (failure === null ? [] : [{ buyerName, ...failure }]));
  if (failures.length === 0) return;
  const reasons = failures.map(({ buyerName, code, message }) => `\n  ${buyerName}: ${code}: ${message}`).join('');
  throw new RollcallError(
    'EDGES_FAILED',
    `${failures.length} of ${edges.length} buyers could not be closed${reasons}`,
    {
      retryable: true,
      hint,
    },
  );
}

const pathOf = (args: Arguments): string => `/api/v1/invoices/${encodeURIComponent(theArgument(args))}`;
