/**
 * Judges the money of a simulated world: for each edge of the tenant tree and each month, the invoice and its notes must add
 * up to the plain recount times the agreed price, and every document to its lines. Calculates with whole numbers of its own.
 */
import type { Invoice, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { kinds } from './ground-truth.ts';
import type { Recounts } from './recount.ts';
import type { Breach } from './site-record.ts';
import { type Edge, scopeOf } from './tenants.ts';
import type { WorldEnd } from './world.ts';

const rowsPerRead = 500;

type Billed = { quantity: number; netMinor: number };

export async function checkInvoices(world: WorldEnd, recounts: Recounts): Promise<Breach[]> {
  const breaches: Breach[] = [];
  const says = (siteId: string | null, what: string): unknown =>
    breaches.push({ checker: 'invoices-add-up', siteId, what });
  const paths = new Map<string, string>();
  for (const { record } of world.sites)
    paths.set(record.siteId, (await world.store.sites.session(record.siteId))?.path ?? '');
  const numbers = new Map<string, string[]>();
  for (const edge of world.tenants.edges) {
    const documents = await documentsOf(world, edge);
    const billed = new Map<string, Billed>();
    for (const invoice of documents) {
      const lines = await linesOf(world, invoice);
      for (const what of wrongIn(invoice, lines)) says(null, `${nameOf(invoice)}: ${what}`);
      for (const line of lines) add(billed, line);
      const series = `${invoice.sellerId} ${invoice.number?.slice(0, invoice.number.lastIndexOf('-'))}`;
      if (invoice.number !== null) numbers.set(series, [...(numbers.get(series) ?? []), invoice.number]);
    }
    const months = documents.filter(({ kind }) => kind === 'invoice').map(({ month }) => month);
    if (new Set(months).size !== months.length) says(null, `${edge.buyer.name} has two invoices for one month`);
    compare(edge, paths, recounts, billed, says);
  }
  for (const [series, taken] of numbers) {
    const counted = taken.map((number) => Number(number.split('-').at(-1))).sort((a, b) => a - b);
    if (counted.some((number, index) => number !== index + 1))
      says(null, `the numbers of ${series} are not gapless: ${taken.sort().join()}`);
  }
  return breaches;
}

/** What each site and kind was billed for a month against the recount. */
function compare(
  edge: Edge,
  paths: ReadonlyMap<string, string>,
  recounts: Recounts,
  billed: Map<string, Billed>,
  says: (siteId: string, what: string) => unknown,
): void {
  const { agreement, buyer } = edge;
  for (const [siteId, months] of recounts) {
    if (!(paths.get(siteId) ?? '').startsWith(buyer.path)) continue;
    for (const [month, { corrected }] of months) {
      for (const kind of kinds) {
        const price = kind === 'server' ? agreement.serverUnitPriceMinor : agreement.workstationUnitPriceMinor;
        const { peak } = corrected[kind];
        const key = `${siteId} ${month} ${kind}`;
        const { quantity, netMinor } = billed.get(key) ?? { quantity: 0, netMinor: 0 };
        if (quantity !== peak || netMinor !== peak * price)
          says(
            siteId,
            `${buyer.name} was billed ${quantity} ${kind} for ${month}, ${netMinor} minor units; ${peak} at ${price} are ${peak * price}`,
          );
        billed.delete(key);
      }
    }
  }
  for (const [key, { quantity }] of billed)
    says(key.split(' ')[0] ?? '', `${buyer.name} was billed ${quantity} for ${key}, which nobody used`);
}

/** Totals of a document: the lines' sum, and the tax of the sum, halves away from zero. */
function wrongIn(invoice: Invoice, lines: readonly InvoiceLine[]): string[] {
  const wrong: string[] = [];
  const netMinor = lines.reduce((sum, line) => sum + line.netMinor, 0);
  if (invoice.netMinor !== netMinor) wrong.push(`net ${invoice.netMinor} of lines that add up to ${netMinor}`);
  const [whole = '0', fraction = ''] = invoice.taxRatePercent.split('.');
  const scale = 100n * 10n ** BigInt(fraction.length);
  const product = BigInt(Math.abs(netMinor)) * BigInt(whole + fraction);
  const taxMinor = Number((product * 2n + scale) / (scale * 2n)) * Math.sign(netMinor) + 0;
  if (invoice.taxMinor !== taxMinor) wrong.push(`tax ${invoice.taxMinor} and not ${taxMinor}`);
  if (invoice.grossMinor !== netMinor + taxMinor)
    wrong.push(`gross ${invoice.grossMinor} and not ${netMinor + taxMinor}`);
  if (invoice.state !== 'finalised' || invoice.number === null)
    wrong.push(`still a draft, with ${invoice.missingReports} reports missing`);
  for (const line of lines)
    if (line.netMinor !== line.quantity * line.unitPriceMinor)
      wrong.push(`line ${line.number} is ${line.netMinor} for ${line.quantity} at ${line.unitPriceMinor}`);
  if (new Set(lines.map(({ siteId, kind }) => `${siteId} ${kind}`)).size !== lines.length)
    wrong.push('a site and kind stands on it twice');
  return wrong;
}

function add(billed: Map<string, Billed>, { siteId, month, kind, quantity, netMinor }: InvoiceLine): void {
  const key = `${siteId} ${month} ${kind}`;
  const before = billed.get(key) ?? { quantity: 0, netMinor: 0 };
  billed.set(key, { quantity: before.quantity + quantity, netMinor: before.netMinor + netMinor });
}

async function documentsOf({ store }: WorldEnd, { seller, buyer }: Edge): Promise<Invoice[]> {
  const found: Invoice[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await store.billing.invoices(
      scopeOf(seller),
      { sellerId: seller.id, buyerId: buyer.id },
      { limit: rowsPerRead, cursor },
    );
    found.push(...page.rows);
    cursor = page.nextCursor;
  }
  return found;
}

async function linesOf({ store }: WorldEnd, { id }: Invoice): Promise<InvoiceLine[]> {
  const found: InvoiceLine[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await store.billing.lines(id, { limit: rowsPerRead, cursor });
    found.push(...page.rows);
    cursor = page.nextCursor;
  }
  return found;
}

const nameOf = ({ number, kind, month, buyerName }: Invoice): string =>
  `${number ?? kind} of ${month} for ${buyerName}`;
