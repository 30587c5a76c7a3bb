import { describe, expect, it } from 'vitest';
import { invoiceLines } from '../core/billing/lines.ts';
import { agreementWith, idOf, siteWith } from '../core/billing/testing/edge-facts.ts';
import { invoiceBody } from './invoice-body.ts';

async function* inBatches<Row>(rows: readonly Row[]): AsyncGenerator<Row[]> {
  for (let start = 0; start < rows.length; start += 3) yield rows.slice(start, start + 3);
}

/** `msps` MSPs of two accounts of two sites of two lines. */
const linesOf = (msps: number) =>
  invoiceLines(
    Array.from({ length: msps * 4 }, (_, index) => {
      const msp = Math.floor(index / 4);
      const account = Math.floor(index / 2);
      const site = siteWith(index, {
        mspId: idOf('organisation', 100 + msp),
        mspName: `MSP ${msp}`,
        accountId: idOf('account', account),
        accountName: `Account ${account}`,
      });
      return {
        site,
        counts: { server: 1, workstation: 2 },
        basis: index === 0 ? ('estimate' as const) : ('report' as const),
        revision: null,
        countedUpTo: index === 0 ? 9 : null,
      };
    }),
    agreementWith(),
    '2026-03',
  );

describe('the rows an invoice prints', () => {
  const lines = linesOf(4);
  it.each([
    [32, 'lines', 4, 8, 32],
    [31, 'accounts', 4, 8, 0],
    [8, 'accounts', 4, 8, 0],
    [7, 'msps', 4, 0, 0],
    [4, 'msps', 4, 0, 0],
    [3, 'total', 0, 0, 0],
  ])('at most %i: the level is %s', async (rowsMax, level, msps, accounts, kept) => {
    const body = await invoiceBody(inBatches(lines), rowsMax);
    expect(body).toMatchObject({ level, lineCount: 32, estimatedSites: 1, hasWithdrawn: false });
    expect(body.msps).toHaveLength(msps);
    expect(body.msps.flatMap((msp) => msp.accounts)).toHaveLength(accounts);
    expect(body.msps.flatMap((msp) => msp.accounts.flatMap((account) => account.lines))).toHaveLength(kept);
    for (const msp of body.msps) {
      expect(msp).toMatchObject({ quantity: { server: 4, workstation: 8 }, netMinor: 6200 });
      for (const account of msp.accounts)
        expect(account).toMatchObject({ quantity: { server: 2, workstation: 4 }, netMinor: 3100 });
    }
    expect(body.msps.map((msp) => msp.estimated)).toEqual(body.msps.map((_msp, index) => index === 0));
  });
});
