/** Whatever comes in whatever order: what was billed in the end is what one invoice of the final figures would bill. */

import { type AgentKind, agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BillableSite } from './close-plan.ts';
import { type CloseDecision, planClose } from './close.ts';
import { agreementWith, DocumentBook, factsWith, idOf, siteWith } from './testing/edge-facts.ts';

type Counts = Record<AgentKind, number>;
type Event =
  | { event: 'report'; site: number; counts: Counts }
  | { event: 'counted'; site: number; counts: Counts }
  | { event: 'leaves-or-returns'; site: number }
  | { event: 'close'; withoutMissing: boolean };

const counts = fc.record({ server: fc.nat(6), workstation: fc.nat(6) });
const siteIndex = fc.nat(3);
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ event: fc.constant('report' as const), site: siteIndex, counts }),
  fc.record({ event: fc.constant('counted' as const), site: siteIndex, counts }),
  fc.record({ event: fc.constant('leaves-or-returns' as const), site: siteIndex }),
  fc.record({ event: fc.constant('close' as const), withoutMissing: fc.boolean() }),
);
const terms = fc.record({
  serverUnitPriceMinor: fc.oneof(fc.nat(2000), fc.constant(100_000_000)),
  workstationUnitPriceMinor: fc.nat(2000),
  taxRatePercent: fc.constantFrom('0', '7.5', '7.7', '22', '19', '8.125'),
  missingReportPolicy: fc.constantFrom('hold' as const, 'estimate' as const),
});

/** Tax to the rule, without big.js: `rate` has at most three decimals here. */
function taxOracle(net: bigint, rate: string): bigint {
  const [whole = '0', decimals = ''] = rate.split('.');
  const thousandths = BigInt(whole + decimals.padEnd(3, '0'));
  const [size, sign] = net < 0n ? [-net, -1n] : [net, 1n];
  const scaled = size * thousandths;
  return sign * ((scaled * 2n + 100_000n) / 200_000n);
}

const size = (value: bigint): bigint => (value < 0n ? -value : value);

describe('closing after any sequence of reports, counts and closes', () => {
  it('bills the final figures, each change once', () => {
    const property = fc.property(terms, fc.array(event, { maxLength: 25 }), (change, events) => {
      const agreement = agreementWith(change);
      const sites: BillableSite[] = [0, 1, 2, 3].map((number) =>
        siteWith(number, { report: null, counted: { server: 0, workstation: 0 } }),
      );
      const gone = new Set<number>();
      const book = new DocumentBook();
      let documentNumber = 0;
      const close = (withoutMissing: boolean): CloseDecision => {
        documentNumber++;
        const decision = planClose(
          factsWith({
            agreement,
            sites: sites.filter((_site, index) => !gone.has(index)),
            billed: book.billed,
            withoutMissing,
            newDocumentId: idOf('invoice', documentNumber),
          }),
        );
        if (decision.ok && decision.plan !== null) book.apply(decision.plan);
        return decision;
      };

      for (const step of events) {
        if (step.event === 'close') {
          close(step.withoutMissing);
          const again = close(step.withoutMissing);
          expect(again).toMatchObject({
            ok: true,
            outcome: expect.stringMatching(/^(unchanged|held|nothing-to-bill)$/),
          });
          continue;
        }
        if (step.event === 'leaves-or-returns') {
          if (!gone.delete(step.site)) gone.add(step.site);
          continue;
        }
        const site = sites[step.site];
        if (site === undefined) throw new RangeError(`no site ${step.site}`);
        sites[step.site] =
          step.event === 'counted'
            ? { ...site, counted: step.counts }
            : { ...site, report: { revision: (site.report?.revision ?? 0) + 1, ...step.counts } };
      }
      gone.clear();
      for (const [index, site] of sites.entries()) {
        if (site.report === null) sites[index] = { ...site, report: { revision: 1, server: index, workstation: 1 } };
      }
      close(false);
      expect(close(true)).toMatchObject({ outcome: 'unchanged', missing: [] });

      const prices: Record<AgentKind, bigint> = {
        server: BigInt(agreement.serverUnitPriceMinor),
        workstation: BigInt(agreement.workstationUnitPriceMinor),
      };
      // Per line: the sum over all documents is the final figure at its price.
      let net = 0n;
      for (const site of sites) {
        for (const kind of agentKinds) {
          const lines = book.documents
            .flatMap((made) => made.lines)
            .filter((line) => line.siteId === site.siteId && line.kind === kind);
          const quantity = lines.reduce((sum, line) => sum + BigInt(line.quantity), 0n);
          const lineNet = lines.reduce((sum, line) => sum + BigInt(line.netMinor), 0n);
          expect(quantity).toBe(BigInt(site.report?.[kind] ?? -1));
          expect(lineNet).toBe(quantity * prices[kind]);
          net += lineNet;
        }
      }
      // Per document: totals add rounded lines, tax once on the net, the sign is the kind's.
      let billedTax = 0n;
      for (const [index, { document, lines }] of book.documents.entries()) {
        const documentNet = lines.reduce((sum, line) => sum + BigInt(line.netMinor), 0n);
        expect(BigInt(document.netMinor)).toBe(documentNet);
        expect(BigInt(document.taxMinor)).toBe(taxOracle(documentNet, agreement.taxRatePercent));
        expect(document.grossMinor).toBe(document.netMinor + document.taxMinor);
        expect(document.kind).toBe(index === 0 ? 'invoice' : documentNet < 0n ? 'credit-note' : 'debit-note');
        expect(document.refersToId).toBe(index === 0 ? null : book.documents[0]?.document.id);
        expect(lines.map(({ number }) => number)).toEqual(lines.map((_line, position) => position + 1));
        billedTax += BigInt(document.taxMinor);
      }
      // Tax is rounded once a document, by at most half a minor unit; the fresh invoice's own rounding adds one more half.
      const fresh = taxOracle(net, agreement.taxRatePercent);
      expect(size(billedTax - fresh) * 2n).toBeLessThanOrEqual(BigInt(book.documents.length) + 1n);
      if (book.documents.length === 1) expect(billedTax).toBe(fresh);
    });
    fc.assert(property);
  });
});
