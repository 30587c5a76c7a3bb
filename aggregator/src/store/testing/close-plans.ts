/** Plans of a close for tests of the store: documents and lines that add up. */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { ClosePlan } from '../../core/billing/close-plan.ts';
import type { OrganisationRecord } from '../store.ts';
import { newId } from './tenants.ts';

export const closedAt = '2026-02-01T06:00:00.000Z';

type Edge = { seller: OrganisationRecord; buyer: OrganisationRecord; agreement: Agreement };

/** Quantities by site, as server lines at 5.00 each. */
export function closePlan(
  edge: Edge,
  quantities: Record<string, number>,
  changes: Partial<ClosePlan> & { document?: Invoice } = {},
): ClosePlan {
  const { seller, buyer, agreement } = edge;
  const month = changes.month ?? '2026-01';
  const lines = Object.entries(quantities).map(([siteId, quantity], index) => line(siteId, month, index + 1, quantity));
  const netMinor = lines.reduce((sum, { netMinor: net }) => sum + net, 0);
  const document: Invoice = {
    id: newId('invoice'),
    kind: 'invoice',
    state: 'draft',
    number: null,
    sellerId: seller.id,
    buyerId: buyer.id,
    sellerName: seller.name,
    buyerName: buyer.name,
    seller: { addressLines: ['Straße 1', '8001 Zürich 🦊'], country: 'CH', taxId: 'CHE-123' },
    buyer: { addressLines: [], country: 'DE', taxId: null },
    agreementId: agreement.id,
    month,
    currency: 'EUR',
    netMinor,
    taxRatePercent: '19',
    taxMinor: Math.round(netMinor * 0.19),
    grossMinor: netMinor + Math.round(netMinor * 0.19),
    refersToId: null,
    refersToNumber: null,
    createdAt: closedAt,
    finalisedAt: null,
    dueOn: '2026-03-03',
    missingReports: 0,
    missingUnbilled: 0,
  };
  return {
    sellerId: seller.id,
    buyerId: buyer.id,
    month,
    documentsBefore: 0,
    draftId: null,
    document,
    lines,
    series: { name: 'INV', year: Number((changes.at ?? closedAt).slice(0, 4)) },
    at: closedAt,
    ...changes,
  };
}

/** A note that refers to an invoice; quantities are changes. */
export function notePlan(
  edge: Edge,
  invoice: Invoice,
  quantities: Record<string, number>,
  documentsBefore: number,
): ClosePlan {
  const plan = closePlan(edge, quantities, { documentsBefore });
  const credit = plan.document.netMinor < 0;
  const document: Invoice = {
    ...plan.document,
    kind: credit ? 'credit-note' : 'debit-note',
    refersToId: invoice.id,
    refersToNumber: invoice.number,
  };
  return {
    ...plan,
    document,
    series: { name: credit ? 'CRN' : 'DBN', year: 2026 },
    lines: plan.lines.map((each) => ({ ...each, revision: 2 })),
  };
}

const line = (siteId: string, month: string, number: number, quantity: number): InvoiceLine => ({
  number,
  mspId: 'org_of-the-line',
  mspName: 'MSP 🦊',
  accountId: 'acc_of-the-line',
  accountName: 'account',
  siteId,
  siteName: `site ${number}`,
  month,
  kind: 'server',
  quantity,
  unitPriceMinor: 500,
  netMinor: quantity * 500,
  basis: 'report',
  revision: 1,
  countedUpTo: null,
});
