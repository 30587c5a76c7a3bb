/**
 * Owns what a month should cost, site by site and kind by kind, and how that differs from what was billed: the lines of a
 * first invoice and those of a later note (domain.md, section 7). What becomes of the lines belongs to `close.ts`.
 */
import type { Agreement } from '@rollcall/shared/api/agreement.ts';
import type { InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { type AgentKind, agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { type MoneyMinor, multiplyMinor, sumMinor } from '@rollcall/shared/domain/money.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import type { BillableSite, BilledFigure } from './close-plan.ts';

type Terms = Pick<Agreement, 'serverUnitPriceMinor' | 'workstationUnitPriceMinor'>;

/** What names a site on a line. */
type SiteNames = Pick<InvoiceLine, 'mspId' | 'mspName' | 'accountId' | 'accountName' | 'siteId' | 'siteName'>;

/** A site with the figures it is to be billed for. */
export type RatedSite = {
  site: SiteNames;
  counts: Record<AgentKind, number>;
} & Pick<InvoiceLine, 'basis' | 'revision' | 'countedUpTo'>;

/**
 * How the sites of an edge stand. `rated`: they have figures, from their report or, under `estimate`, from the
 * aggregator's own count. `missing`: no report came, whether they are estimated or waited for.
 */
export type RatedMonth = { rated: RatedSite[]; missing: BillableSite[] };

/**
 * Gives every site its figures. A site without a report is estimated where `estimates` says so, and left out otherwise;
 * one that was estimated before stays as it was billed until its report arrives, whatever is counted meanwhile.
 */
export function rateSites(
  sites: readonly BillableSite[],
  estimates: boolean,
  wasBilled: (siteId: string) => boolean,
): RatedMonth {
  const rated: RatedSite[] = [];
  const missing: BillableSite[] = [];
  for (const site of sites) {
    const { report } = site;
    if (report !== null) {
      rated.push({
        site,
        counts: { server: report.server, workstation: report.workstation },
        basis: 'report',
        revision: report.revision,
        countedUpTo: null,
      });
      continue;
    }
    missing.push(site);
    if (estimates && !wasBilled(site.siteId))
      rated.push({
        site,
        counts: site.counted,
        basis: 'estimate',
        revision: null,
        countedUpTo: site.countedUpTo,
      });
  }
  return { rated, missing };
}

/** The lines of a first invoice: two a site, zeros included, since zero is a valid report. */
export function invoiceLines(rated: readonly RatedSite[], terms: Terms, month: Month): InvoiceLine[] {
  const lines = rated.flatMap((site) => agentKinds.map((kind) => lineOf(site, kind, terms, month)));
  return numbered(lines);
}

/**
 * What was billed to sites that do not belong to the month any more: nothing is due for them. They are named as they were
 * when they were billed last.
 */
export function withdrawnSites(
  billed: readonly BilledFigure[],
  livesInMonth: (siteId: string) => boolean,
): RatedSite[] {
  const gone = new Map<string, RatedSite>();
  for (const { siteId, siteName, accountId, accountName, mspId, mspName } of billed) {
    if (livesInMonth(siteId)) continue;
    gone.set(siteId, {
      site: { siteId, siteName, accountId, accountName, mspId, mspName },
      counts: { server: 0, workstation: 0 },
      basis: 'withdrawn',
      revision: null,
      countedUpTo: null,
    });
  }
  return [...gone.values()];
}

/**
 * The lines of a note: the change of every figure that is no longer what was billed. A figure that was never billed
 * changes from zero.
 */
export function noteLines(
  rated: readonly RatedSite[],
  billed: readonly BilledFigure[],
  terms: Terms,
  month: Month,
): InvoiceLine[] {
  const figures = new Map(billed.map((figure) => [figureKey(figure.siteId, figure.kind), figure]));
  const changes: UnnumberedLine[] = [];
  for (const site of rated) {
    for (const kind of agentKinds) {
      const line = lineOf(site, kind, terms, month);
      const before = figures.get(figureKey(line.siteId, kind)) ?? { quantity: 0, netMinor: 0 };
      const quantity = line.quantity - before.quantity;
      const netMinor = sumMinor([line.netMinor, -before.netMinor]);
      if (quantity !== 0 || netMinor !== 0) changes.push({ ...line, quantity, netMinor });
    }
  }
  return numbered(changes);
}

/** Adds the lines of one more document to what its edge and month were billed; documents come in their order. */
export function addBilled(figures: Map<string, BilledFigure>, lines: readonly InvoiceLine[]): void {
  for (const { number: _number, month: _month, unitPriceMinor: _price, ...line } of lines) {
    const key = figureKey(line.siteId, line.kind);
    const before = figures.get(key) ?? { quantity: 0, netMinor: 0 };
    figures.set(key, {
      ...line,
      quantity: before.quantity + line.quantity,
      netMinor: sumMinor([before.netMinor, line.netMinor]),
    });
  }
}

/** One key for a site and kind. */
const figureKey = (siteId: string, kind: AgentKind): string => `${siteId} ${kind}`;

type UnnumberedLine = Omit<InvoiceLine, 'number'>;

function lineOf(
  { site, counts, basis, revision, countedUpTo }: RatedSite,
  kind: AgentKind,
  terms: Terms,
  month: Month,
): UnnumberedLine {
  const price: MoneyMinor = kind === 'server' ? terms.serverUnitPriceMinor : terms.workstationUnitPriceMinor;
  return {
    mspId: site.mspId,
    mspName: site.mspName,
    accountId: site.accountId,
    accountName: site.accountName,
    siteId: site.siteId,
    siteName: site.siteName,
    month,
    kind,
    quantity: counts[kind],
    unitPriceMinor: price,
    netMinor: multiplyMinor(counts[kind], price),
    basis,
    revision,
    countedUpTo,
  };
}

/** In the order of the document: MSP, account, site, kind; names as people sort them, equal names told apart by identifier. */
function numbered(lines: UnnumberedLine[]): InvoiceLine[] {
  const { compare } = new Intl.Collator('en', { numeric: true });
  // Most neighbours share MSP and account, and a collation costs many times an equality.
  const byName = (a: string, b: string): number => (a === b ? 0 : compare(a, b));
  const order = (a: UnnumberedLine, b: UnnumberedLine): number =>
    byName(a.mspName, b.mspName) ||
    byCodeUnit(a.mspId, b.mspId) ||
    byName(a.accountName, b.accountName) ||
    byCodeUnit(a.accountId, b.accountId) ||
    byName(a.siteName, b.siteName) ||
    byCodeUnit(a.siteId, b.siteId) ||
    agentKinds.indexOf(a.kind) - agentKinds.indexOf(b.kind);
  return lines.sort(order).map((line, index) => ({ number: index + 1, ...line }));
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
