import { describe, expect, it } from 'vitest';
import { endpointsPerSiteMax } from '../domain/endpoint.ts';
import { monthPeriod } from '../domain/month.ts';
import { Reason } from '../domain/name.ts';
import type { DeployedInterval } from '../metering/interval.ts';
import { generateSigningKey, nodeDigest, nodeVerifier, signerFromPem } from '../node/crypto.ts';
import { decodeToAggregator, encode } from '../protocol/codec.ts';
import { chainDrafts, emptyHead } from './chain.ts';
import { DeployedAgentsReport, isSignedBy, recountReport, type ReportFacts, sealReport } from './report.ts';

const { privateKeyPem, publicKey } = generateSigningKey();
const signer = signerFromPem(privateKeyPem);
const ep = (letter: string): string => `ep_${letter.repeat(20)}`;

const facts: ReportFacts = {
  siteId: `site_${'a'.repeat(20)}`,
  siteName: 'Trieste, harbour',
  month: '2026-03',
  timeZone: 'Europe/Rome',
  period: monthPeriod('2026-03', 'Europe/Rome'),
  revision: 1,
  activeAtClose: { server: 1, workstation: 0 },
  upTo: { seq: 7, hash: 'ab'.repeat(32) },
  exclusions: [],
  sealedAt: '2026-03-31T22:00:01.000Z',
};
const intervals: DeployedInterval[] = [
  { endpoint: ep('a'), kind: 'server', deployedAt: '2026-02-01T00:00:00.000Z', removedAt: null },
  { endpoint: ep('b'), kind: 'server', deployedAt: '2026-03-10T00:00:00.000Z', removedAt: '2026-03-11T00:00:00.000Z' },
  { endpoint: ep('c'), kind: 'workstation', deployedAt: '2026-03-31T22:00:00.000Z', removedAt: null },
];
const report = sealReport(facts, intervals, nodeDigest, signer);

describe('a sealed report', () => {
  it('has the form of one, the peaks of its intervals, and their witness', () => {
    expect(DeployedAgentsReport.parse(report)).toEqual(report);
    expect(report.peaks.server).toEqual({ peak: 2, at: '2026-03-10T00:00:00.000Z', endpoints: [ep('a'), ep('b')] });
    expect(report.peaks.workstation).toEqual({ peak: 0, at: null, endpoints: [] });
  });

  it.each([
    ['more than its witness', { peak: 3 }],
    ['less than its witness', { peak: 1 }],
    ['more than fits into a report', { peak: 9_007_199_254_740_991 }],
    ['less than nothing', { peak: -1, endpoints: [] }],
  ])('is none where a peak is %s', (_what, change) => {
    const peaks = { ...report.peaks, server: { ...report.peaks.server, ...change } };
    expect(DeployedAgentsReport.safeParse({ ...report, peaks }).success).toBe(false);
  });

  it('bears the signature of its site and of no other', () => {
    expect(isSignedBy(report, publicKey, nodeVerifier)).toBe(true);
    expect(isSignedBy(report, generateSigningKey().publicKey, nodeVerifier)).toBe(false);
  });

  it.each([
    ['a peak', { ...report, peaks: { ...report.peaks, server: { ...report.peaks.server, peak: 1 } } }],
    ['the month', { ...report, month: '2026-04' }],
    ['the site', { ...report, siteName: 'Trieste' }],
    ['the revision', { ...report, revision: 2 }],
    ['an exclusion', { ...report, exclusions: [{ endpointId: ep('a'), reason: 'none' }] }],
  ])('loses its signature when %s is changed', (_what, changed) => {
    expect(isSignedBy(changed, publicKey, nodeVerifier)).toBe(false);
  });

  it('recounts to the same from the same intervals, also when later ones are known', () => {
    expect(recountReport(report, intervals, nodeDigest)).toEqual([]);
    const later = intervals.map((interval) =>
      interval.endpoint === ep('a') ? { ...interval, removedAt: '2026-05-01T00:00:00.000Z' } : interval,
    );
    expect(recountReport(report, later, nodeDigest)).toEqual([]);
  });

  it('names what differs when an interval is missing', () => {
    expect(recountReport(report, intervals.slice(1), nodeDigest).map(({ field }) => field)).toEqual([
      'peaks.server',
      'evidenceHash',
      'evidence',
    ]);
  });

  // The most that a site can have: every endpoint once of either kind, and as many exclusions as there may be, each with the
  // reason that takes the most room.
  const reason = '"'.repeat(100) + '同'.repeat(100);
  const exclusions = Array.from({ length: 1_000 }, (_, n) => ({
    endpointId: `ep_x${String(n).padStart(19, '0')}`,
    reason: Reason.parse(reason),
  }));
  it.each([
    { endpoints: endpointsPerSiteMax, changes: 1, excluded: 0, evidence: false },
    { endpoints: endpointsPerSiteMax, changes: 3, excluded: 0, evidence: false },
    { endpoints: 3_600, changes: 0, excluded: 0, evidence: true },
    { endpoints: 2_000, changes: 1, excluded: 0, evidence: true },
    { endpoints: 1_100, changes: 3, excluded: 0, evidence: true },
    { endpoints: 200, changes: 0, excluded: 1_000, evidence: true },
    { endpoints: 2_000, changes: 1, excluded: 1_000, evidence: false },
    { endpoints: endpointsPerSiteMax, changes: 3, excluded: 1_000, evidence: false },
  ])('of $endpoints endpoints that change $changes times, $excluded excluded, fits an entry', (most) => {
    const month: DeployedInterval[] = [];
    for (let n = 0; n < most.endpoints; n++) {
      const at = (change: number): string => `2026-03-${String(change + 2).padStart(2, '0')}T00:00:00.000Z`;
      for (let change = 0; change <= most.changes; change++)
        month.push({
          endpoint: `ep_${String(n).padStart(20, '0')}`,
          kind: change % 2 === 0 ? 'server' : 'workstation',
          deployedAt: at(change),
          removedAt: change < most.changes ? at(change + 1) : null,
        });
    }
    const siteName = '同'.repeat(120);
    const sealed = sealReport(
      { ...facts, siteName, exclusions: exclusions.slice(0, most.excluded) },
      month,
      nodeDigest,
      signer,
    );
    expect(sealed.evidence !== undefined).toBe(most.evidence);
    expect(sealed.peaks.server.peak).toBe(most.endpoints);
    const draft = { at: '2026-04-01T00:00:00.000Z', kind: 'month-sealed', body: sealed } as const;
    const [chained] = chainDrafts(emptyHead, [draft], nodeDigest).entries;
    const frame = encode({ kind: 'append', entries: chained === undefined ? [] : [chained.entry] });
    expect(decodeToAggregator(frame)).toMatchObject({ ok: true });
    expect(recountReport(sealed, month, nodeDigest)).toEqual([]);
  });

  it('leaves excluded endpoints out of a correction', () => {
    const corrected = sealReport(
      { ...facts, revision: 2, exclusions: [{ endpointId: ep('b'), reason: 'the same machine twice' }] },
      intervals,
      nodeDigest,
      signer,
    );
    expect(corrected.peaks.server).toEqual({ peak: 1, at: facts.period.start, endpoints: [ep('a')] });
    expect(recountReport(corrected, intervals, nodeDigest)).toEqual([]);
  });
});
