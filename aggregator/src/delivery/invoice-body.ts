/**
 * Owns how many rows an invoice shows on paper: every line while they are few, else sums per account, or per MSP. Whatever
 * is summed on paper stands line by line in the CSV.
 */
import type { InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import { sumMinor } from '@rollcall/shared/domain/money.ts';

/** Rows a document prints at most: some fifty pages, set in about a second. */
export const bodyRowsMax = 2_000;

/** Agents and net amount of many lines. */
export type LineSum = {
  id: string;
  name: string;
  quantity: Record<AgentKind, number>;
  netMinor: number;
  estimated: boolean;
};
export type AccountGroup = LineSum & { lines: InvoiceLine[] };
export type MspGroup = LineSum & { accounts: AccountGroup[] };

/**
 * `lines`: all of them, in `accounts`. `accounts` and `msps`: sums at that level, the levels below left empty. `total`: not even
 * the MSPs fit, and `msps` is empty too.
 */
export type InvoiceBody = {
  level: 'lines' | 'accounts' | 'msps' | 'total';
  lineCount: number;
  msps: MspGroup[];
  /** Sites with a figure that rests on an estimate. */
  estimatedSites: number;
  hasWithdrawn: boolean;
};

/** Reads all lines once, in their order (MSP, account, site, kind), and keeps the finest level of at most `rowsMax` rows. */
export async function invoiceBody(
  batches: AsyncIterable<readonly InvoiceLine[]>,
  rowsMax = bodyRowsMax,
): Promise<InvoiceBody> {
  const body: InvoiceBody = { level: 'lines', lineCount: 0, msps: [], estimatedSites: 0, hasWithdrawn: false };
  let estimatedSiteId: string | undefined;
  let accountId: string | undefined;
  let accountCount = 0;
  let mspId: string | undefined;
  for await (const batch of batches) {
    for (const line of batch) {
      body.lineCount++;
      body.hasWithdrawn ||= line.basis === 'withdrawn';
      // The lines of a site follow one another.
      if (line.basis === 'estimate' && line.siteId !== estimatedSiteId) {
        estimatedSiteId = line.siteId;
        body.estimatedSites++;
      }
      if (line.mspId !== mspId) {
        mspId = line.mspId;
        accountId = undefined;
        if (body.level !== 'total') body.msps.push({ accounts: [], ...emptySum(mspId, line.mspName) });
      }
      if (line.accountId !== accountId) {
        accountId = line.accountId;
        accountCount++;
        if (body.level === 'lines' || body.level === 'accounts')
          body.msps.at(-1)?.accounts.push({ lines: [], ...emptySum(accountId, line.accountName) });
      }
      const msp = body.msps.at(-1);
      const account = msp?.accounts.at(-1);
      if (msp !== undefined) add(msp, line);
      if (account !== undefined) add(account, line);
      if (body.level === 'lines') account?.lines.push(line);
      coarsen(body, accountCount, rowsMax);
    }
  }
  return body;
}

/** Gives up a level as soon as it has too many rows, and what was kept for it. */
function coarsen(body: InvoiceBody, accountCount: number, rowsMax: number): void {
  if (body.level === 'lines' && body.lineCount > rowsMax) {
    body.level = 'accounts';
    for (const account of body.msps.flatMap(({ accounts }) => accounts)) account.lines = [];
  }
  if (body.level === 'accounts' && accountCount > rowsMax) {
    body.level = 'msps';
    for (const msp of body.msps) msp.accounts = [];
  }
  if (body.level === 'msps' && body.msps.length > rowsMax) {
    body.level = 'total';
    body.msps = [];
  }
}

const emptySum = (id: string, name: string): LineSum => ({
  id,
  name,
  quantity: { server: 0, workstation: 0 },
  netMinor: 0,
  estimated: false,
});

function add(sum: LineSum, line: InvoiceLine): void {
  sum.quantity[line.kind] += line.quantity;
  sum.netMinor = sumMinor([sum.netMinor, line.netMinor]);
  sum.estimated ||= line.basis === 'estimate';
}
