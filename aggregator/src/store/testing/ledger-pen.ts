/** Writes a site's ledger as plans of ingest, for tests of the store: keeps the chain, the meter is what the test says. */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { monthOf, monthPeriod } from '@rollcall/shared/domain/month.ts';
import { emptyHead, type Head } from '@rollcall/shared/ledger/chain.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import type {
  DeploymentChange,
  IngestPlan,
  MonthCount,
  ReceivedReport,
  SiteIngestState,
} from '../../core/ingest-plan.ts';
import { newPublicKey, publicKeyOf } from './tenants.ts';

type Counts = { server: number; workstation: number };
type Additions = Partial<
  Pick<IngestPlan, 'deployments' | 'keyStates' | 'reports' | 'commandsApplied' | 'findings' | 'months'>
> & {
  at: Instant;
  /** Entries the batch holds. */
  entries?: number;
  counts?: Counts;
  text?: string;
  settled?: MonthCount | null;
};

export class LedgerPen {
  readonly siteId: string;
  readonly timeZone: string;
  /** The key that the site is enrolled with. */
  readonly publicKey: string;
  head: Head = emptyHead;

  constructor(site: { id: string; timeZone: string }, publicKey = publicKeyOf(site.id)) {
    this.siteId = site.id;
    this.timeZone = site.timeZone;
    this.publicKey = publicKey;
  }

  /** Number of the next entry. */
  get nextSeq(): number {
    return this.head.seq + 1;
  }

  /** The plan of the next entries; the pen moves on as if it were applied. */
  plan(additions: Additions): IngestPlan {
    const { at, entries = 1, counts = { server: 0, workstation: 0 }, settled = null } = additions;
    const expected = { seq: this.head.seq, hash: this.head.hash };
    const log = Array.from({ length: entries }, (_, index) => {
      const seq = this.head.seq + 1 + index;
      const text = additions.text ?? JSON.stringify({ at, seq, body: { siteId: this.siteId } });
      return { seq, at, kind: 'test-entry', text, hash: nodeDigest.sha256(`${seq} ${text}`) };
    });
    const last = log.at(-1);
    if (last !== undefined) this.head = { seq: last.seq, hash: last.hash, at };
    const month = monthOf(at, this.timeZone);
    const next: SiteIngestState = {
      siteId: this.siteId,
      publicKey: this.publicKey,
      timeZone: this.timeZone,
      head: this.head,
      month,
      periodStart: monthPeriod(month, this.timeZone).start,
      meter: {
        instant: at,
        server: { count: counts.server, peak: counts.server, peakAt: counts.server === 0 ? null : at },
        workstation: { count: counts.workstation, peak: counts.workstation, peakAt: null },
      },
      settled,
      sealed: false,
    };
    return {
      siteId: this.siteId,
      enrolledPublicKey: this.publicKey,
      expected,
      next,
      log,
      deployments: additions.deployments ?? [],
      months: additions.months ?? [monthCount(month, this.timeZone, counts)],
      keyStates: additions.keyStates ?? [],
      reports: additions.reports ?? [],
      commandsApplied: additions.commandsApplied ?? [],
      findings: additions.findings ?? [],
      receivedAt: at,
    };
  }
}

export function monthCount(month: string, timeZone: string, counts: Counts, settled = false): MonthCount {
  const { start, end } = monthPeriod(month, timeZone);
  return {
    month,
    periodStart: start,
    periodEnd: end,
    serverPeak: counts.server,
    serverPeakAt: counts.server === 0 ? null : start,
    workstationPeak: counts.workstation,
    workstationPeakAt: counts.workstation === 0 ? null : start,
    settled,
  };
}

export const opened = (
  endpointId: string,
  deployedAt: Instant,
  deployedSeq: number,
  kind: 'server' | 'workstation' = 'server',
): DeploymentChange => ({
  change: 'open',
  endpointId,
  machineId: `machine-of-${endpointId}`,
  hostName: `host of ${endpointId}`,
  kind,
  origin: 'managed',
  agentVersion: '1.0',
  deployedAt,
  deployedSeq,
});

export const closed = (
  endpointId: string,
  removedAt: Instant,
  removedSeq: number,
  kind: 'server' | 'workstation' = 'server',
): DeploymentChange => ({
  change: 'close',
  endpointId,
  kind,
  removedAt,
  removedSeq,
  reason: 'uninstalled',
});

export function receivedReport(
  site: { id: string; name: string; timeZone: string },
  month: string,
  counts: Counts,
  changes: Partial<ReceivedReport> = {},
): ReceivedReport {
  const { start, end } = monthPeriod(month, site.timeZone);
  const figure = (peak: number) => ({
    peak,
    at: peak === 0 ? null : start,
    endpoints: Array.from({ length: peak }, (_, index) => `ep_${String(index).padStart(20, '0')}`),
  });
  const revision = changes.revision ?? 1;
  const report: DeployedAgentsReport = {
    siteId: site.id,
    siteName: site.name,
    month,
    timeZone: site.timeZone,
    period: { start, end },
    revision,
    peaks: { server: figure(counts.server), workstation: figure(counts.workstation) },
    activeAtClose: counts,
    upTo: { seq: 1, hash: nodeDigest.sha256('up to') },
    evidenceHash: nodeDigest.sha256('evidence'),
    exclusions: [],
    sealedAt: end,
    publicKey: newPublicKey(),
    signature: Buffer.alloc(64, 7).toString('base64url'),
  };
  return { month, revision, seq: 1, hash: nodeDigest.sha256('report'), agreeing: true, ...changes, report };
}
