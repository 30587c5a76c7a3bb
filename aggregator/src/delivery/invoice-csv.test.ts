import { describe, expect, it } from 'vitest';
import { planClose } from '../core/billing/close.ts';
import { DocumentBook, factsWith, siteWith } from '../core/billing/testing/edge-facts.ts';
import { invoiceCsv, invoiceCsvColumns } from './invoice-csv.ts';

async function* batchesOf<Row>(rows: readonly Row[], size = 2): AsyncGenerator<Row[]> {
  for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size);
}

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

function invoiced(siteName: string) {
  const book = new DocumentBook();
  const close = (server: number): void => {
    const decision = planClose(
      factsWith({
        sites: [siteWith(1, { siteName, report: { revision: book.documents.length + 1, server, workstation: 5 } })],
        billed: book.billed,
      }),
    );
    if (decision.ok && decision.plan !== null) book.apply(decision.plan);
  };
  close(2);
  close(1);
  return book.documents;
}

describe('an invoice as CSV', () => {
  it('is UTF-8 with a byte order mark, a header row and one row a line', async () => {
    const [invoice] = invoiced('Büro');
    const text = await textOf(invoiceCsv(invoice!.document, batchesOf(invoice!.lines, 1)));
    const lines = text.split('\r\n');
    expect(lines[0]).toBe(`\u{feff}${invoiceCsvColumns.join(',')}`);
    expect(lines[1]).toContain(
      'INV-2026-000001,invoice,finalised,,Vendor,Distributor,2026-03,2026-04-02T08:00:00.000Z,2026-05-02,1,',
    );
    expect(lines[1]).toMatch(/,Büro,server,2,9\.50,19\.00,EUR,22,report,1,34\.00,7\.48,41\.48$/);
    expect(lines[2]).toMatch(/,Büro,workstation,5,3\.00,15\.00,EUR,22,report,1,34\.00,7\.48,41\.48$/);
    expect(lines.slice(3)).toEqual(['']);
  });

  it('writes negative amounts of a note as numbers and names the invoice it refers to', async () => {
    const [, note] = invoiced('Büro');
    const text = await textOf(invoiceCsv(note!.document, batchesOf(note!.lines)));
    expect(text).toContain('CRN-2026-000002,credit-note,finalised,INV-2026-000001,');
    expect(text).toMatch(/,Büro,server,-1,9\.50,-9\.50,EUR,22,report,2,-9\.50,-2\.09,-11\.59\r\n$/);
  });

  it.each([
    ['=HYPERLINK("http://evil")', `"'=HYPERLINK(""http://evil"")"`],
    ['+1+1', `'+1+1`],
    ['-2+3', `'-2+3`],
    ['@SUM(A1)', `'@SUM(A1)`],
    ['＝1', `'＝1`],
    ['a,"b"', '"a,""b"""'],
  ])('never lets the name %s become a formula or another cell', async (siteName, cell) => {
    const [invoice] = invoiced(siteName);
    const text = await textOf(invoiceCsv(invoice!.document, batchesOf(invoice!.lines)));
    expect(text.split('\r\n')[1]).toContain(`,${cell},server,`);
  });

  it('has its header row also without lines', async () => {
    const [invoice] = invoiced('x');
    expect(await textOf(invoiceCsv(invoice!.document, batchesOf([])))).toBe(
      `\u{feff}${invoiceCsvColumns.join(',')}\r\n`,
    );
  });
});
