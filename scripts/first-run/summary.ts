/** What `npm start` prints at the end: the report, the invoices, where the documents lie, and how to sign in. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Invoice, Invoice as InvoiceSchema } from '@rollcall/shared/api/invoice.ts';
import { Me } from '@rollcall/shared/api/me.ts';
import { pageOf } from '@rollcall/shared/api/page.ts';
import { type ReportRow, ReportRow as ReportRowSchema } from '@rollcall/shared/api/report.ts';
import { displayMinor } from '@rollcall/shared/domain/money.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import { Api } from '../../test/support/api.ts';
import type { Place } from './place.ts';

const locale = 'en-GB';

export type Documents = { invoice: Invoice; pdf: string; csv: string };

/** Closes the month for everyone who sells, and brings the documents to disk. Closing again changes nothing. */
export async function fetchDocuments(place: Place, month: Month): Promise<Documents[]> {
  mkdirSync(place.documents, { recursive: true, mode: 0o700 });
  const documents: Documents[] = [];
  for (const seller of ['vendor', 'distributor'] as const) {
    const api = signedIn(place, seller);
    const { organisation } = await api.get('/me', Me);
    const { rows } = await api.get(`/invoices?month=${month}&sellerId=${organisation.id}`, pageOf(InvoiceSchema));
    for (const invoice of rows) {
      const name = invoice.number ?? `draft-${invoice.month}`;
      const [pdf, csv] = ['pdf', 'csv'].map((ending) => join(place.documents, `${seller}-${name}.${ending}`)) as [
        string,
        string,
      ];
      writeFileSync(pdf, (await api.download(`/invoices/${invoice.id}/pdf`)).content);
      writeFileSync(csv, (await api.download(`/invoices/${invoice.id}/csv`)).content);
      documents.push({ invoice, pdf, csv });
    }
  }
  return documents;
}

export async function printSummary(
  place: Place,
  month: Month,
  documents: readonly Documents[],
  thisMachine: string,
): Promise<void> {
  const { rows } = await signedIn(place, 'msp').get(`/reports?month=${month}`, pageOf(ReportRowSchema));
  const lines = [
    '',
    `Deployed Agents Report, ${month}`,
    ...table([['site', 'account', 'servers', 'workstations', 'counted here', 'revision'], ...rows.map(reportCells)]),
    '',
    'Invoices',
    ...table([
      ['number', 'from', 'to', 'net', 'tax', 'total'],
      ...documents.map(({ invoice }) => [
        invoice.number ?? 'draft',
        invoice.sellerName,
        invoice.buyerName,
        ...[invoice.netMinor, invoice.taxMinor, invoice.grossMinor].map((amount) =>
          displayMinor(amount, invoice.currency, locale),
        ),
      ]),
    ]),
    '',
    ...documents.flatMap(({ pdf, csv }) => [`  PDF  ${here(pdf)}`, `  CSV  ${here(csv)}`]),
    '',
    thisMachine,
    '',
    `Dashboard   ${place.aggregatorUrl}/`,
    'Sign in     with the API token of whom you want to be:',
    ...(['vendor', 'distributor', 'msp'] as const).map(
      (who) => `            ${who.padEnd(12)} ${readFileSync(place.tokenFile(who), 'utf8').trim()}`,
    ),
    `Data        ${here(place.folder)} (npm start keeps it, npm start -- --fresh starts over)`,
    '',
    'Running. Ctrl-C stops the aggregator and both Site Managers.',
  ];
  console.log(lines.join('\n'));
}

function reportCells({ siteName, accountName, reported, counted, status, revision }: ReportRow): string[] {
  return [
    siteName,
    accountName,
    reported === null ? '–' : String(reported.server),
    reported === null ? '–' : String(reported.workstation),
    `${counted.server} + ${counted.workstation} (${status})`,
    revision === null ? '–' : String(revision),
  ];
}

/** Columns as wide as their widest cell, figures to the right. */
function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      /^[\d–€]/.test(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    );
    return `  ${cells.join('   ')}`.trimEnd();
  });
}

export const signedIn = (place: Place, who: 'vendor' | 'distributor' | 'msp'): Api =>
  new Api(place.aggregatorUrl, readFileSync(place.tokenFile(who), 'utf8').trim());

const here = (path: string): string => relative(process.cwd(), path) || '.';
