/** The invoice on paper: A4, made by pdfmake from `invoice-body.ts`. The same document always makes the same bytes. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Invoice, PartyDetails } from '@rollcall/shared/api/invoice.ts';
import { agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { displayMinor } from '@rollcall/shared/domain/money.ts';
import pdfmake from 'pdfmake';
import type { Column, Content, CustomTableLayout, TableCell, TDocumentDefinitions } from 'pdfmake/interfaces.js';
import type { AccountGroup, InvoiceBody, LineSum, MspGroup } from './invoice-body.ts';
import { amountText, documentDay, documentTitle, type InvoiceDocument } from './invoice-document.ts';
import { notesOf } from './invoice-notes.ts';
import { isPrintable, readable } from './printable.ts';

const fontFolder = join(dirname(createRequire(import.meta.url).resolve('pdfmake/package.json')), 'fonts', 'Roboto');
const fonts = {
  Roboto: {
    normal: join(fontFolder, 'Roboto-Regular.ttf'),
    bold: join(fontFolder, 'Roboto-Medium.ttf'),
    italics: join(fontFolder, 'Roboto-Italic.ttf'),
    bolditalics: join(fontFolder, 'Roboto-MediumItalic.ttf'),
  },
};
const fontFiles = new Set(Object.values(fonts.Roboto));
pdfmake.setFonts(fonts);
// A document opens its own fonts and nothing else, on the disk or on the network.
pdfmake.setLocalAccessPolicy((path) => fontFiles.has(path));
pdfmake.setUrlAccessPolicy(() => false);

const ink = '#1f2933';
const quiet = '#5f6b7a';
const rule = '#c8d0d9';
const band = '#eef2f6';

/** Bytes of the PDF. */
export async function invoicePdf(source: InvoiceDocument): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await pdfmake.createPdf(definition(source)).getBuffer();
  return Uint8Array.from(bytes);
}

function definition(source: InvoiceDocument): TDocumentDefinitions {
  const { invoice, body } = source;
  const title =
    invoice.state === 'draft' ? `Draft ${documentTitle[invoice.kind].toLowerCase()}` : documentTitle[invoice.kind];
  const name = invoice.number === null ? `${title} ${invoice.month}` : `${title} ${invoice.number}`;
  return {
    pageSize: 'A4',
    pageMargins: [48, 48, 48, 56],
    version: '1.7',
    language: 'en',
    displayTitle: true,
    // Without a date of its own the document would bear the time of printing, and differ each time.
    info: {
      title: name,
      author: invoice.sellerName,
      creator: 'Rollcall',
      producer: 'Rollcall',
      creationDate: new Date(invoice.finalisedAt ?? invoice.createdAt),
    },
    defaultStyle: { font: 'Roboto', fontSize: 9, color: ink, lineHeight: 1.15 },
    ...(invoice.state === 'draft' ? { watermark: { text: 'DRAFT', color: quiet, opacity: 0.12, bold: true } } : {}),
    footer: (page, pages) => ({
      margin: [48, 16, 48, 0],
      fontSize: 8,
      color: quiet,
      columns: [
        {
          text: `${readable(invoice.sellerName, invoice.sellerId)} · ${name}`,
          width: '*',
          wordBreak: 'break-all',
          noWrap: false,
        },
        { text: `Page ${page} of ${pages}`, width: 80, alignment: 'right' },
      ],
    }),
    content: [
      head(source, title),
      parties(invoice),
      remark(invoice),
      table(invoice, body),
      totals(invoice),
      notes(source),
    ],
  };
}

function head({ invoice, timeZone }: InvoiceDocument, title: string): Content {
  const facts: [string, string][] = [
    ['Number', invoice.number ?? 'not yet numbered'],
    ['Date', documentDay(invoice, timeZone)],
    ['Billing month', invoice.month],
    ...(invoice.refersToNumber === null ? [] : ([['Refers to invoice', invoice.refersToNumber]] as [string, string][])),
    ...(invoice.dueOn === null ? [] : ([['Due on', invoice.dueOn]] as [string, string][])),
    ['Currency', invoice.currency],
  ];
  return {
    columns: [
      { width: '*', text: title, fontSize: 22, bold: true },
      {
        width: 230,
        layout: 'noBorders',
        table: {
          widths: [90, '*'],
          body: facts.map(([label, text]) => [
            { text: label, color: quiet },
            { text, bold: true, alignment: 'right' },
          ]),
        },
      },
    ],
    margin: [0, 0, 0, 20],
  };
}

function parties({ sellerId, sellerName, seller, buyerId, buyerName, buyer }: Invoice): Content {
  return {
    columns: [
      party('From', { id: sellerId, name: sellerName, ...seller }),
      party('To', { id: buyerId, name: buyerName, ...buyer }),
    ],
    columnGap: 24,
    margin: [0, 0, 0, 20],
  };
}

const countryNames = new Intl.DisplayNames('en', { type: 'region' });

/** Where the font has no letters for a party's name or address, its identifier tells who it is. */
function party(label: string, who: PartyDetails & { id: string; name: string }): Column {
  const { id, name, addressLines, country, taxId } = who;
  const countryName = countryNames.of(country) ?? country;
  const lastLine = addressLines.at(-1);
  const prints = [name, ...addressLines, taxId ?? ''].every(isPrintable);
  const small = (text: string) => ({ text, margin: [0, 4, 0, 0] as [number, number, number, number] });
  return {
    width: '*',
    stack: [
      { text: label, color: quiet, fontSize: 8, margin: [0, 0, 0, 2] },
      { text: name, bold: true, fontSize: 11, wordBreak: longWord(name) },
      ...addressLines.map((text) => ({ text, wordBreak: longWord(text) })),
      ...(lastLine?.toLowerCase() === countryName.toLowerCase() ? [] : [{ text: countryName }]),
      ...(taxId === null ? [] : [small(`Tax ID ${taxId}`)]),
      ...(prints ? [] : [small(`Identifier ${id}`)]),
    ],
  };
}

/** What a note is about, in a sentence. */
function remark(invoice: Invoice): Content {
  if (invoice.kind === 'invoice') return [];
  const text = `This note corrects invoice ${invoice.refersToNumber} for ${invoice.month}. Quantities and amounts are the changes against what was billed before.`;
  return { text, margin: [0, 0, 0, 12] };
}

/** A cell takes the room it has: a name of 120 letters without a space is broken anywhere, other text between its words. */
const longWord = (text: string): 'break-all' | 'normal' => (/\S{28}/.test(text) ? 'break-all' : 'normal');

const nameCell = (text: string, indent: number, extra: object = {}): TableCell => ({
  text,
  margin: [indent, 0, 0, 0],
  wordBreak: longWord(text),
  ...extra,
});
const numberCell = (text: string, extra: object = {}): TableCell => ({
  text,
  alignment: 'right',
  noWrap: true,
  ...extra,
});
const headCell = (text: string, alignment: 'left' | 'right' = 'right'): TableCell => ({
  text,
  alignment,
  bold: true,
  fontSize: 8,
  color: quiet,
});

/** A mark beside a figure that rests on an estimate. */
const marked = (text: string, estimated: boolean): string => (estimated ? `est. ${text}` : text);

function table(invoice: Invoice, body: InvoiceBody): Content {
  if (body.lineCount === 0) return { text: 'No lines.', color: quiet, margin: [0, 0, 0, 12] };
  return body.level === 'lines' ? lineTable(invoice, body) : sumTable(invoice, body);
}

/** Bands of shade behind the rows of `banded`, a rule above all others. */
const layoutWith = (banded: ReadonlySet<number>): CustomTableLayout => ({
  hLineWidth: (index, node) => (index === 0 ? 0 : index === 1 || index === node.table.body.length ? 0.8 : 0.4),
  hLineColor: () => rule,
  vLineWidth: () => 0,
  fillColor: (row) => (banded.has(row) ? band : null),
  paddingTop: () => 3,
  paddingBottom: () => 2,
});

function lineTable(invoice: Invoice, { msps }: InvoiceBody): Content {
  const { currency } = invoice;
  const rows: TableCell[][] = [
    [
      headCell('MSP, account, site', 'left'),
      headCell('Agents', 'left'),
      headCell('Quantity'),
      headCell(`Unit price (${currency})`),
      headCell(`Net (${currency})`),
    ],
  ];
  const banded = new Set<number>();
  for (const msp of msps) {
    if (showsMsp(invoice, msps)) {
      banded.add(rows.length);
      rows.push(groupRow(msp, amountText(msp.netMinor, currency), 5));
    }
    for (const account of msp.accounts) {
      rows.push([nameCell(readable(account.name, account.id), 6, { colSpan: 5, bold: true }), {}, {}, {}, {}]);
      rows.push(...accountRows(invoice, account));
    }
  }
  return {
    layout: layoutWith(banded),
    table: { headerRows: 1, keepWithHeaderRows: 1, dontBreakRows: true, widths: ['*', 64, 58, 76, 76], body: rows },
    margin: [0, 0, 0, 12],
  };
}

const accountRows = ({ currency }: Invoice, { lines }: AccountGroup): TableCell[][] =>
  lines.map((line) => [
    nameCell(readable(line.siteName, line.siteId), 14),
    { text: line.kind },
    numberCell(marked(quantityText(line.quantity), line.basis === 'estimate')),
    numberCell(amountText(line.unitPriceMinor, currency)),
    numberCell(amountText(line.netMinor, currency)),
  ]);

function sumTable(invoice: Invoice, { level, msps, lineCount }: InvoiceBody): Content {
  const { currency } = invoice;
  const rows: TableCell[][] = [
    [
      headCell(level === 'accounts' ? 'MSP, account' : 'MSP', 'left'),
      headCell('Servers'),
      headCell('Workstations'),
      headCell(`Net (${currency})`),
    ],
  ];
  const banded = new Set<number>();
  for (const msp of msps) {
    if (level === 'accounts' && showsMsp(invoice, msps)) {
      banded.add(rows.length);
      rows.push(groupRow(msp, amountText(msp.netMinor, currency), 4));
    }
    for (const sum of level === 'accounts' ? msp.accounts : [msp]) rows.push(sumRow(invoice, sum));
  }
  if (level === 'total')
    rows.push([nameCell(`All ${lineCount} lines`, 0), {}, {}, numberCell(amountText(invoice.netMinor, currency))]);
  return {
    layout: layoutWith(banded),
    table: { headerRows: 1, keepWithHeaderRows: 1, dontBreakRows: true, widths: ['*', 76, 76, 90], body: rows },
    margin: [0, 0, 0, 12],
  };
}

const sumRow = ({ currency }: Invoice, sum: LineSum): TableCell[] => [
  nameCell(readable(sum.name, sum.id), 6),
  ...agentKinds.map((kind) => numberCell(marked(quantityText(sum.quantity[kind]), sum.estimated))),
  numberCell(amountText(sum.netMinor, currency)),
];

/** A row that heads a group: its name over all columns but the last, its net in the last. */
const groupRow = (msp: MspGroup, net: string, columns: number): TableCell[] => [
  nameCell(readable(msp.name, msp.id), 0, { colSpan: columns - 1, bold: true }),
  ...Array.from({ length: columns - 2 }, () => ({})),
  numberCell(net, { bold: true }),
];

/** An MSP's own invoice need not say on each page whose it is. */
const showsMsp = ({ buyerId }: Invoice, msps: readonly MspGroup[]): boolean =>
  msps.length > 1 || msps[0]?.id !== buyerId;

const quantityText = (quantity: number): string => new Intl.NumberFormat('en').format(quantity).replace('-', '−');

function totals(invoice: Invoice): Content {
  const { currency, kind, state } = invoice;
  const money = (amountMinor: number): string => displayMinor(amountMinor, currency, 'en').replace('-', '−');
  const total = kind === 'credit-note' ? 'Total credited' : 'Total';
  return {
    unbreakable: true,
    columns: [
      { width: '*', text: '' },
      {
        width: 260,
        layout: { ...layoutWith(new Set()), hLineWidth: (index) => (index === 2 ? 0.8 : 0) },
        table: {
          widths: ['*', 130],
          body: [
            [{ text: 'Net' }, numberCell(money(invoice.netMinor))],
            [{ text: `Tax ${invoice.taxRatePercent} %` }, numberCell(money(invoice.taxMinor))],
            [
              { text: state === 'draft' ? `${total}, draft` : total, bold: true, fontSize: 11 },
              numberCell(money(invoice.grossMinor), { bold: true, fontSize: 11 }),
            ],
          ],
        },
      },
    ],
    margin: [0, 0, 0, 16],
  };
}

function notes(source: InvoiceDocument): Content {
  return { stack: notesOf(source).map((text) => ({ text, color: quiet, fontSize: 8, margin: [0, 0, 0, 3] })) };
}
