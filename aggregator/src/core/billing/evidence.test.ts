import type { InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { type AgentKind, agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { monthPeriod } from '@rollcall/shared/domain/month.ts';
import type { Exclusion } from '@rollcall/shared/ledger/report.ts';
import { sealReport } from '@rollcall/shared/ledger/report.ts';
import { clipToPeriod, type DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import { generateSigningKey, nodeDigest, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { arbitraryIntervals } from '@rollcall/shared/testing/intervals.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeployedAgent, lineEvidence, type ReportOfLine, spanOfEvidence } from './evidence.ts';
import { invoiceLines } from './lines.ts';
import { agreementWith, siteWith } from './testing/edge-facts.ts';

const zone = 'Europe/Rome';
const period = monthPeriod('2026-03', zone);
const signer = signerFromPem(generateSigningKey().privateKeyPem);

function sealed(intervals: readonly DeployedInterval[], exclusions: Exclusion[] = []): ReportOfLine {
  const report = sealReport(
    {
      siteId: siteWith(1).siteId,
      siteName: 'Site 1',
      month: '2026-03',
      timeZone: zone,
      period,
      revision: exclusions.length + 1,
      activeAtClose: { server: 0, workstation: 0 },
      upTo: { seq: 9, hash: '0'.repeat(64) },
      exclusions,
      sealedAt: period.end,
    },
    intervals,
    nodeDigest,
    signer,
  );
  return { seq: 10, hash: 'a'.repeat(64), revision: report.revision, report };
}

function lineFor(kind: AgentKind, report: ReportOfLine | undefined): InvoiceLine {
  const { peaks } = report?.report ?? { peaks: null };
  const counts = { server: peaks?.server.peak ?? 0, workstation: peaks?.workstation.peak ?? 0 };
  const lines = invoiceLines(
    [{ site: siteWith(1), counts, basis: 'report', revision: report?.revision ?? null }],
    agreementWith(),
    '2026-03',
  );
  const line = lines.find((candidate) => candidate.kind === kind);
  if (line === undefined) throw new RangeError(`no line for ${kind}`);
  return line;
}

/** Deployments as the store gives them: those that touch the span, in no order. */
function deploymentsIn(
  intervals: readonly DeployedInterval[],
  span: { start: string; end: string } | null,
): DeployedAgent[] {
  if (span === null) return [];
  return intervals.flatMap(({ endpoint, kind, deployedAt, removedAt }, index) =>
    clipToPeriod(deployedAt, removedAt, span) === null
      ? []
      : [
          {
            endpointId: endpoint,
            hostName: `host-${endpoint}`,
            machineId: `machine-${endpoint}`,
            kind,
            deployedAt,
            removedAt,
            deployedSeq: index + 1,
          },
        ],
  );
}

describe('evidence of a reported figure', () => {
  it('names exactly the witness of the report', () => {
    const property = fc.property(
      arbitraryIntervals(period),
      fc.constantFrom(...agentKinds),
      fc.boolean(),
      (intervals, kind, corrected) => {
        const exclusions = corrected ? [{ endpointId: 'm0', reason: 'replaced' }] : [];
        const report = sealed(intervals, exclusions);
        const line = lineFor(kind, report);
        const evidence = lineEvidence(line, report, zone, deploymentsIn(intervals, spanOfEvidence(line, report, zone)));
        const witness = report.report.peaks[kind];
        expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(witness.endpoints);
        expect(evidence).toMatchObject({ peak: line.quantity, peakAt: witness.at, difference: null, period });
        expect(evidence.endpoints).toHaveLength(line.quantity);
        for (const { deployedAt, removedAt } of evidence.endpoints) {
          expect(deployedAt <= (witness.at ?? '') && (removedAt === null || removedAt > (witness.at ?? ''))).toBe(true);
          expect(removedAt === null || removedAt < period.end).toBe(true);
        }
        expect(evidence.report).toEqual({
          seq: 10,
          hash: 'a'.repeat(64),
          revision: report.revision,
          signature: report.report.signature,
          publicKey: signer.publicKey,
        });
      },
    );
    fc.assert(property);
  });

  it('shows where the ledger held here tells another story than the report', () => {
    const at = '2026-03-10T00:00:00.000Z';
    const interval = (endpoint: string): DeployedInterval => ({
      endpoint,
      kind: 'server',
      deployedAt: at,
      removedAt: null,
    });
    const report = sealed([interval('a'), interval('b')]);
    const line = lineFor('server', report);
    const evidence = lineEvidence(
      line,
      report,
      zone,
      deploymentsIn([interval('b'), interval('c')], spanOfEvidence(line, report, zone)),
    );
    expect(evidence.difference).toEqual({ onlyReported: ['a'], onlyHeld: ['c'] });
    expect(evidence.peak).toBe(2);
  });

  it('needs no deployments for a peak of zero', () => {
    const report = sealed([]);
    const line = lineFor('server', report);
    expect(spanOfEvidence(line, report, zone)).toBeNull();
    expect(lineEvidence(line, report, zone, [])).toMatchObject({
      peak: 0,
      peakAt: null,
      endpoints: [],
      difference: null,
    });
  });
});

describe('evidence of an estimate', () => {
  it('is the peak of the ledger held here', () => {
    const property = fc.property(arbitraryIntervals(period), fc.constantFrom(...agentKinds), (intervals, kind) => {
      const report = sealed(intervals);
      const line = { ...lineFor(kind, report), basis: 'estimate' as const, revision: null };
      const evidence = lineEvidence(
        line,
        undefined,
        zone,
        deploymentsIn(intervals, spanOfEvidence(line, undefined, zone)),
      );
      const { peak, at, endpoints } = report.report.peaks[kind];
      expect(evidence).toMatchObject({ peak, peakAt: at, period, report: null, difference: null });
      expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(endpoints);
    });
    fc.assert(property);
  });
});
