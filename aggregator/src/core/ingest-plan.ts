/** What ingest knows of a site and looks at, and the plan it makes of a batch; `ingest.ts` decides, the store applies. */
import type { AgentKind, AgentOrigin } from '@rollcall/shared/domain/agent-kind.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import type { KeyState } from '@rollcall/shared/domain/product-key.ts';
import type { Head } from '@rollcall/shared/ledger/chain.ts';
import type { Digest, Hash, PublicKey, Verifier } from '@rollcall/shared/ledger/crypto.ts';
import type { DeployedAgentsReport, ReportContent } from '@rollcall/shared/ledger/report.ts';
import type { DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import type { MonthMeter } from '@rollcall/shared/metering/month-meter.ts';

/** One row a site: where its ledger stands here, and the running meter of its current month. */
export type SiteIngestState = {
  siteId: string;
  publicKey: PublicKey;
  timeZone: string;
  head: Head;
  /** Month of the meter; null before the first entry, as are the two after it. */
  month: Month | null;
  /** Where the meter's period begins: at the month's start in the site's zone, or at the enrolment within it. */
  periodStart: Instant | null;
  meter: MonthMeter | null;
  /** The month before the meter's, as it was settled here: what its report is compared with. Null while the first month runs. */
  settled: MonthCount | null;
  /** Whether the report of `settled` has come; a second seal of a month is refused. */
  sealed: boolean;
};

/** What the store holds of a month whose report came, at the head of the state. */
export type HeldMonth = {
  /** The latest revision of its report; null where none came. */
  latest: Pick<ReportContent, 'revision' | 'period' | 'upTo'> | null;
  /** The intervals that touch it; null where there are more than are counted again. */
  intervals: readonly DeployedInterval[] | null;
};

export type IngestContext = {
  digest: Digest;
  verifier: Verifier;
  receivedAt: Instant;
  /** The key the site is enrolled with now; `state.publicKey` is the one its ledger named last. */
  enrolledPublicKey: PublicKey;
  /** When the site was first enrolled: where its ledger begins. */
  enrolledAt: Instant;
  /** The last number of the site's ledger when it connected: up to there, older enrolments may be told that a later one replaced. */
  ledgerSeq: number;
};

export type LogRow = { seq: number; at: Instant; kind: string; text: string; hash: Hash };

/** Changes of deployments in order. `close` must meet exactly one open row of that kind, `open` none. */
export type DeploymentChange =
  | {
      change: 'open';
      endpointId: string;
      machineId: string;
      hostName: string;
      kind: AgentKind;
      origin: AgentOrigin;
      agentVersion: string;
      deployedAt: Instant;
      deployedSeq: number;
    }
  | { change: 'close'; endpointId: string; kind: AgentKind; removedAt: Instant; removedSeq: number; reason: string }
  /** A change of kind: closes the open row and opens one of the other kind at the same instant; machine id is carried over. */
  | {
      change: 'kind';
      endpointId: string;
      kindBefore: AgentKind;
      kind: AgentKind;
      hostName: string;
      origin: AgentOrigin;
      agentVersion: string;
      at: Instant;
      seq: number;
    }
  | { change: 'facts'; endpointId: string; hostName: string; origin: AgentOrigin; agentVersion: string };

/** The aggregator's own count of a site's month. `settled`: the month is over in the ledger, the figures stand. */
export type MonthCount = {
  month: Month;
  periodStart: Instant;
  periodEnd: Instant;
  serverPeak: number;
  serverPeakAt: Instant | null;
  workstationPeak: number;
  workstationPeakAt: Instant | null;
  settled: boolean;
};

export type ReceivedReport = {
  month: Month;
  revision: number;
  seq: number;
  hash: Hash;
  agreeing: boolean;
  report: DeployedAgentsReport;
};

/** The store adds a finding whose `id` it holds already only once: ingest draws the id from what was found. */
export type FindingDraft = { id: string; siteId: string; code: string; message: string; at: Instant };

export type IngestPlan = {
  siteId: string;
  /** The key that the sender proved to have; the store applies nothing when the site was enrolled with another one by then. */
  enrolledPublicKey: PublicKey;
  /** The head the plan was made on; the store applies nothing when the site stands elsewhere by then. */
  expected: { seq: number; hash: Hash };
  next: SiteIngestState;
  log: LogRow[];
  deployments: DeploymentChange[];
  /** Rows to write over: every month that was settled by the batch, and the running one. */
  months: MonthCount[];
  keyStates: { keyId: string; state: KeyState; at: Instant; reason: string }[];
  reports: ReceivedReport[];
  commandsApplied: { commandId: string; outcome: 'applied' | 'refused'; code: string | null; at: Instant }[];
  findings: FindingDraft[];
  receivedAt: Instant;
};

/**
 * `CONFLICT`: the site's head moved; load it again. `KEY_REPLACED`: the site was enrolled anew, the sender is nobody now.
 * `CONTRADICTION`: a deployment was opened twice or closed without being open.
 */
export type IngestResult = { ok: true } | { ok: false; code: 'CONFLICT' | 'KEY_REPLACED' | 'CONTRADICTION' };
