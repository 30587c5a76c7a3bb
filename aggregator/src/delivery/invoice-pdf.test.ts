import { execFileSync, spawnSync } from 'node:child_process';
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import pdfmake from 'pdfmake';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { planClose } from '../core/billing/close.ts';
import { agreementWith, DocumentBook, factsWith, siteWith } from '../core/billing/testing/edge-facts.ts';
import { invoiceBody } from './invoice-body.ts';
import { invoicePdf } from './invoice-pdf.ts';

const terms = { timeZone: 'Europe/Rome', missingReportPolicy: 'hold' } as const;

async function* inBatches(lines: readonly InvoiceLine[]): AsyncGenerator<InvoiceLine[]> {
  for (let start = 0; start < lines.length; start += 500) yield lines.slice(start, start + 500);
}

const pdfOf = async ({ document, lines }: { document: Invoice; lines: InvoiceLine[] }) =>
  invoicePdf({ invoice: document, ...terms, body: await invoiceBody(inBatches(lines)) });

/** An invoice of so many sites, and the note that follows when their reports turn out one server less. */
function documentsOf(siteCount: number, siteName = (number: number) => `Site ${number}`): DocumentBook {
  const book = new DocumentBook();
  for (const server of [2, 1]) {
    const sites = Array.from({ length: siteCount }, (_, number) =>
      siteWith(number, { siteName: siteName(number), report: { revision: 3 - server, server, workstation: 5 } }),
    );
    const decision = planClose(factsWith({ sites, agreement: agreementWith(), billed: book.billed }));
    if (decision.ok && decision.plan !== null) book.apply(decision.plan);
  }
  return book;
}

/** The words of a PDF as another program reads them. */
function readBack(pdf: Uint8Array): string {
  return execFileSync('pdftotext', ['-layout', '-', '-'], { input: pdf, encoding: 'utf8', timeout: 20_000 });
}

/** Poppler is on most machines that people work on, and need not be on one that has only Node. */
const hasPdftotext = spawnSync('pdftotext', ['-v'], { timeout: 20_000 }).error === undefined;

const pageCount = (pdf: Uint8Array): number =>
  Buffer.from(pdf)
    .toString('latin1')
    .match(/\/Type \/Page\b(?!s)/g)?.length ?? 0;

afterEach(() => vi.restoreAllMocks());

describe('an invoice as PDF', () => {
  it('is the same bytes for the same document, whenever it is printed', async () => {
    const [invoice] = documentsOf(3).documents;
    const first = await pdfOf(invoice!);
    vi.useFakeTimers({ now: new Date('2031-01-01T00:00:00Z'), toFake: ['Date'] });
    const second = await pdfOf(invoice!);
    vi.useRealTimers();
    expect(Buffer.from(first).subarray(0, 5).toString()).toBe('%PDF-');
    expect(Buffer.compare(first, second)).toBe(0);
  });

  it('asks neither the network nor the disk for anything but its fonts', async () => {
    const asked = vi.spyOn(globalThis, 'fetch');
    const [invoice] = documentsOf(1, () => 'http://example.com/a.png').documents;
    await pdfOf(invoice!);
    expect(asked).not.toHaveBeenCalled();
    await expect(pdfmake.createPdf({ content: [{ image: '/etc/hostname' }] }).getBuffer()).rejects.toThrow(
      /denied by resource access policy/,
    );
    await expect(pdfmake.createPdf({ content: [{ image: 'http://127.0.0.1:1/x.png' }] }).getBuffer()).rejects.toThrow(
      /policy/,
    );
    expect(asked).not.toHaveBeenCalled();
  });

  it('has as many pages as its lines take', async () => {
    expect(pageCount(await pdfOf(documentsOf(2).documents[0]!))).toBe(1);
    expect(pageCount(await pdfOf(documentsOf(60).documents[0]!))).toBe(4);
    expect(pageCount(await pdfOf(documentsOf(1001).documents[0]!))).toBe(1);
  });
});

describe.skipIf(!hasPdftotext)('an invoice as PDF, read back', () => {
  it('shows who bills whom for what, when it is due and what it comes to', async () => {
    const [invoice] = documentsOf(2).documents;
    const text = readBack(await pdfOf(invoice!));
    for (const words of [
      'Invoice',
      'INV-2026-000001',
      '2026-04-02',
      '2026-03',
      '2026-05-02',
      'Vendor',
      'Via Roma 12',
      'Italy',
      'Tax ID IT01234567890',
      'Distributor',
      'Germany',
    ])
      expect(text).toContain(words);
    expect(text).toMatch(/Site 1 +server +2 +9\.50 +19\.00/);
    expect(text).toMatch(/Site 1 +workstation +5 +3\.00 +15\.00/);
    expect(text).toMatch(/Net +EUR.68\.00/);
    expect(text).toMatch(/Tax 22 % +EUR.14\.96/);
    expect(text).toMatch(/Total +EUR.82\.96/);
    expect(text).toMatch(/Page 1 of 1/);
  });

  it('shows what a credit note refers to and gives back', async () => {
    const [, note] = documentsOf(2).documents;
    const text = readBack(await pdfOf(note!));
    expect(text).toContain('Credit note');
    expect(text).toMatch(/Refers to invoice +INV-2026-000001/);
    expect(text).toMatch(/Site 0 +server +−1 +9\.50 +−9\.50/);
    expect(text).toMatch(/EUR.23\.18 are credited to you/);
    expect(text).not.toContain('Due on');
  });

  it('repeats the heading of the lines on every page', async () => {
    const [invoice] = documentsOf(60).documents;
    const pdf = await pdfOf(invoice!);
    expect(readBack(pdf).match(/MSP, account, site/g)).toHaveLength(pageCount(pdf));
  });

  it('sums up a long invoice and says where each line is', async () => {
    const [invoice] = documentsOf(1001).documents;
    const pdf = await pdfOf(invoice!);
    const text = readBack(pdf);
    expect(text).toContain('This document sums up 2,002 lines; the CSV of the same document holds every one.');
    expect(text).toMatch(/Account +2,002 +5,005 +34,034\.00/);
  });

  it('takes names of 120 characters in any script', async () => {
    const names = ['x'.repeat(120), '東京支店 😀', 'שלום', 'a\u0301'.repeat(60)];
    const [invoice] = documentsOf(4, (number) => names[number] ?? '').documents;
    const text = readBack(await pdfOf(invoice!));
    // What the font has no letters for is told apart by its identifier.
    expect(text).toContain(`(${siteWith(1).siteId.slice(0, 5)}`);
  });

  it('tells a party by its identifier where the font has no letters for its name or address', async () => {
    const parties = [
      ['株式会社バックアップ', { addressLines: ['Tokyo'], country: 'JP', taxId: null }],
      ['Backup Co', { addressLines: ['Marunouchi 1', '東京都千代田区'], country: 'JP', taxId: 'T1234567890123' }],
      ['Nachrichten', { addressLines: ['شارع'], country: 'EG', taxId: null }],
      ['Söhne', { addressLines: ['Straße 1'], country: 'DE', taxId: 'DE 1' }],
    ] as const;
    const [invoice] = documentsOf(1).documents;
    for (const [buyerName, buyer] of parties) {
      const document = { ...invoice!.document, buyerName, buyer: { ...buyer, addressLines: [...buyer.addressLines] } };
      const text = readBack(await pdfOf({ document, lines: invoice!.lines }));
      expect([buyerName, text.includes(`Identifier ${document.buyerId}`)]).toEqual([buyerName, buyerName !== 'Söhne']);
    }
    const sold = { ...invoice!.document, sellerName: 'Резерв ООО 東', seller: invoice!.document.buyer };
    const text = readBack(await pdfOf({ document: sold, lines: invoice!.lines }));
    // Under its name, and at the foot of the page.
    expect(text.match(new RegExp(sold.sellerId, 'g'))).toHaveLength(2);
  });

  it('marks a draft', async () => {
    const decision = planClose(factsWith({ sites: [siteWith(1), siteWith(2, { report: null })] }));
    if (!decision.ok || decision.plan === null) throw new Error('no draft');
    const text = readBack(await pdfOf(decision.plan));
    expect(text).toContain('Draft invoice');
    expect(text).toContain('This draft waits for the report of 1 site');
    expect(text).not.toContain('Please pay');
  });
});
