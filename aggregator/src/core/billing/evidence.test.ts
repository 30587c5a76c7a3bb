import type { InvoiceLine, LineEvidence } from '@rollcall/shared/api/invoice.ts';
import { type AgentKind, agentKinds } from '@rollcall/shared/domain/agent-kind.ts';
import { monthPeriod } from '@rollcall/shared/domain/month.ts';
import type { Exclusion } from '@rollcall/shared/ledger/report.ts';
import { sealReport } from '@rollcall/shared/ledger/report.ts';
import { clipToPeriod, type DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import { generateSigningKey, nodeDigest, signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { arbitraryIntervals } from '@rollcall/shared/testing/intervals.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeployedAgent, evidenceSpan, explainFigure, lineEvidence, type ReceivedRevision } from './evidence.ts';
import { invoiceLines } from './lines.ts';
import { agreementWith, siteWith } from './testing/edge-facts.ts';

const zone = 'Europe/Rome';
const period = monthPeriod('2026-03', zone);
const signer = signerFromPem(generateSigningKey().privateKeyPem);

function sealed(intervals: readonly DeployedInterval[], exclusions: Exclusion[] = []): ReceivedRevision {
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
  return { seq: 10, hash: 'a'.repeat(64), revision: report.revision, agreeing: true, report };
}

function lineFor(kind: AgentKind, report: ReceivedRevision | undefined): InvoiceLine {
  const { peaks } = report?.report ?? { peaks: null };
  const counts = { server: peaks?.server.peak ?? 0, workstation: peaks?.workstation.peak ?? 0 };
  const lines = invoiceLines(
    [{ site: siteWith(1), counts, basis: 'report', revision: report?.revision ?? null, countedUpTo: null }],
    agreementWith(),
    '2026-03',
  );
  const line = lines.find((candidate) => candidate.kind === kind);
  if (line === undefined) throw new RangeError(`no line for ${kind}`);
  return line;
}

/** Deployments as the store gives them: those that touch the span, in no order; the first is deployed by entry 1. */
function deploymentsIn(intervals: readonly DeployedInterval[], span: ReturnType<typeof evidenceSpan>): DeployedAgent[] {
  if (span === null) return [];
  return intervals.flatMap(({ endpoint, kind, deployedAt, removedAt }, index) =>
    clipToPeriod(deployedAt, removedAt, span.period) === null
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

/** The evidence of a line that rests on `report`, or on none, over these intervals. */
function evidenceOf(
  line: InvoiceLine,
  report: ReceivedRevision | undefined,
  intervals: readonly DeployedInterval[],
  latest = report,
): LineEvidence {
  const figure = { ...line, report };
  const explained = explainFigure(figure, zone, deploymentsIn(intervals, evidenceSpan(figure, zone)));
  return lineEvidence({ line, explained, counted: { peak: 0, at: null }, report: latest, before: undefined });
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
        const evidence = evidenceOf(line, report, intervals);
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
          peak: witness.peak,
          at: witness.at,
          agreeing: true,
          exclusions,
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
    const evidence = evidenceOf(line, { ...report, agreeing: false }, [interval('b'), interval('c')]);
    expect(evidence.difference).toEqual({ onlyReported: ['a'], onlyHeld: ['c'] });
    expect(evidence).toMatchObject({ peak: 2, report: { agreeing: false } });
  });

  it('needs no deployments for a peak of zero', () => {
    const report = sealed([]);
    const line = lineFor('server', report);
    expect(evidenceSpan({ ...line, report }, zone)).toBeNull();
    expect(evidenceOf(line, report, [])).toMatchObject({
      peak: 0,
      peakAt: null,
      endpoints: [],
      difference: null,
    });
  });
});

describe('evidence of an estimate', () => {
  const estimate = (line: InvoiceLine): InvoiceLine => ({ ...line, basis: 'estimate', revision: null, countedUpTo: 7 });

  it('is the peak of the ledger as it was held then', () => {
    const property = fc.property(arbitraryIntervals(period), fc.constantFrom(...agentKinds), (intervals, kind) => {
      const report = sealed(intervals);
      const line = estimate(lineFor(kind, report));
      expect(evidenceSpan({ ...line, report: undefined }, zone)).toEqual({ period, upToSeq: 7 });
      const evidence = evidenceOf(line, undefined, intervals);
      const { peak, at, endpoints } = report.report.peaks[kind];
      expect(evidence).toMatchObject({ peak, peakAt: at, period, report: null, difference: null });
      expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(endpoints);
    });
    fc.assert(property);
  });

  it('has the report beside it once that came, and stays what it was', () => {
    const interval = (endpoint: string): DeployedInterval => ({
      endpoint,
      kind: 'server',
      deployedAt: '2026-03-10T00:00:00.000Z',
      removedAt: null,
    });
    const held = [interval('a'), interval('b')];
    const line = estimate(lineFor('server', sealed(held)));
    const evidence = evidenceOf(line, undefined, held, sealed([...held, interval('c')]));
    expect(evidence).toMatchObject({ peak: 2, difference: null, report: { seq: 10, revision: 1, peak: 3 } });
    expect(evidence.endpoints.map(({ endpointId }) => endpointId)).toEqual(['a', 'b']);
  });
});

describe('evidence of what is withdrawn', () => {
  it('is that nobody counts any more', () => {
    const line: InvoiceLine = { ...lineFor('server', sealed([])), quantity: -2, basis: 'withdrawn', revision: null };
    expect(evidenceSpan({ ...line, report: undefined }, zone)).toBeNull();
    expect(evidenceOf(line, undefined, [])).toMatchObject({
      peak: 0,
      peakAt: null,
      endpoints: [],
      report: null,
      period,
    });
  });
});
