/** Builders of billing facts for tests, and a book that keeps documents the way a store does. */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { type IdNoun, idFrom } from '@rollcall/shared/domain/id.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import type { BillableSite, BilledFigure, ClosePlan } from '../close-plan.ts';
import type { EdgeFacts } from '../close.ts';
import { addBilled } from '../lines.ts';

/** The same identifier for the same number, for every noun. */
export const idOf = (noun: IdNoun, number: number): string => idFrom(noun, new SeededRandom(number).bytes(20));

/** Server 9.50, workstation 3.00, 22 % tax, 30 days, Rome. */
export const agreementWith = (change: Partial<Agreement> = {}): Agreement => ({
  id: idOf('agreement', 1),
  sellerId: idOf('organisation', 1),
  buyerId: idOf('organisation', 2),
  programme: 'metered-peak',
  currency: 'EUR',
  serverUnitPriceMinor: 950,
  workstationUnitPriceMinor: 300,
  taxRatePercent: '22',
  paymentTermDays: 30,
  timeZone: 'Europe/Rome',
  missingReportPolicy: 'hold',
  validFrom: '2026-01',
  createdAt: '2026-01-01T00:00:00.000Z',
  ...change,
});

export const siteWith = (number: number, change: Partial<BillableSite> = {}): BillableSite => ({
  siteId: idOf('site', number),
  siteName: `Site ${number}`,
  accountId: idOf('account', 1),
  accountName: 'Account',
  mspId: idOf('organisation', 3),
  mspName: 'MSP',
  timeZone: 'Europe/Rome',
  report: { revision: 1, server: 2, workstation: 5 },
  differing: false,
  counted: { server: 2, workstation: 5 },
  countedUpTo: 9,
  ...change,
});

export const factsWith = (change: Partial<EdgeFacts> = {}): EdgeFacts => ({
  agreement: agreementWith(),
  seller: {
    id: idOf('organisation', 1),
    name: 'Vendor',
    addressLines: ['Via Roma 12', '20121 Milano'],
    country: 'IT',
    taxId: 'IT01234567890',
  },
  buyer: {
    id: idOf('organisation', 2),
    name: 'Distributor',
    addressLines: ['Hauptstrasse 5'],
    country: 'DE',
    taxId: null,
  },
  month: '2026-03',
  sites: [siteWith(1)],
  billed: { invoice: undefined, draftId: undefined, figures: [], documents: 0 },
  now: '2026-04-02T08:00:00.000Z',
  withoutMissing: false,
  newDocumentId: idOf('invoice', 1),
  ...change,
});

/** The documents of one edge and month. */
export class DocumentBook {
  readonly documents: { document: Invoice; lines: InvoiceLine[] }[] = [];
  #draftId: string | undefined;

  apply(plan: ClosePlan): Invoice {
    if (plan.documentsBefore !== this.documents.length) throw new RangeError('another close came first');
    if (plan.series === null) {
      this.#draftId = plan.document.id;
      return plan.document;
    }
    this.#draftId = undefined;
    const document = {
      ...plan.document,
      number: `${plan.series.name}-${plan.series.year}-${String(this.documents.length + 1).padStart(6, '0')}`,
    };
    this.documents.push({ document, lines: plan.lines });
    return document;
  }

  get billed(): EdgeFacts['billed'] {
    const figures = new Map<string, BilledFigure>();
    for (const { lines } of this.documents) addBilled(figures, lines);
    return {
      invoice: this.documents[0]?.document,
      draftId: this.#draftId,
      figures: [...figures.values()],
      documents: this.documents.length,
    };
  }
}
