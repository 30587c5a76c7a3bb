import { describe, expect, it } from 'vitest';
import { documentFileName } from './document-file-name.ts';

describe('the name of a downloaded document', () => {
  it('is the number of the invoice', () => {
    const invoice = { number: 'INV-2026-000001', month: '2026-10', buyerName: 'Bergwerk IT' };
    expect(documentFileName(invoice, 'pdf')).toBe('INV-2026-000001.pdf');
  });

  it('of a draft says whose and for when', () => {
    const draft = { number: null, month: '2026-10', buyerName: 'Bergwerk IT' };
    expect(documentFileName(draft, 'csv')).toBe('draft 2026-10 Bergwerk IT.csv');
  });

  it('holds nothing that leads to another folder or that Windows refuses', () => {
    const draft = { number: null, month: '2026-10', buyerName: '..\\..//A:B*?"<>|' };
    expect(documentFileName(draft, 'csv')).not.toMatch(/[\\/:*?"<>|]/);
  });
});
