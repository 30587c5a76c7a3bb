/** What a store would hold after plans, for tests of core: rows gathered, heads guarded, months answered. */
import type { Month } from '@rollcall/shared/domain/month.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import type { DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { type IngestPlanning, planIngest } from '../ingest.ts';
import type {
  FindingDraft,
  HeldMonth,
  IngestContext,
  IngestPlan,
  MonthCount,
  SiteIngestState,
} from '../ingest-plan.ts';

/** Plans to the end, with months from memory. */
export function planned(
  planning: IngestPlanning,
  heldMonth: (month: Month) => HeldMonth,
): Extract<ReturnType<IngestPlanning['next']>, { done: true }>['value'] {
  let step = planning.next();
  while (step.done !== true) step = planning.next(heldMonth(step.value));
  return step.value;
}

export class PlanBook {
  state: SiteIngestState;
  readonly publicKey: string;
  readonly rows: Pick<IngestPlan, 'log' | 'deployments' | 'keyStates' | 'reports' | 'commandsApplied'> = {
    log: [],
    deployments: [],
    keyStates: [],
    reports: [],
    commandsApplied: [],
  };
  readonly months = new Map<Month, MonthCount>();
  readonly findings = new Map<string, FindingDraft>();
  intervals: DeployedInterval[] = [];
  #enrolledAt: string | undefined;

  constructor(state: SiteIngestState, publicKey: string) {
    this.state = state;
    this.publicKey = publicKey;
  }

  /** Plans and applies; what was refused changes nothing. */
  take(entries: readonly LedgerEntry[], changes: Partial<IngestContext> = {}): ReturnType<typeof planned> {
    const planning = planIngest(this.state, entries, {
      digest: nodeDigest,
      verifier: nodeVerifier,
      receivedAt: '2030-01-01T00:00:00.000Z',
      enrolledPublicKey: this.publicKey,
      // As its ledger says, where it says anything: what else it may begin with is a test's own.
      enrolledAt: (this.#enrolledAt ??= entries[0]?.at ?? '1970-01-01T00:00:00.000Z'),
      ledgerSeq: 0,
      ...changes,
    });
    const outcome = planned(planning, (month) => this.#held(month));
    if (outcome.ok) this.#apply(outcome.plan);
    return outcome;
  }

  #held(month: Month): HeldMonth {
    return {
      latest: this.rows.reports.findLast((row) => row.month === month)?.report ?? null,
      intervals: this.intervals,
    };
  }

  #apply(plan: IngestPlan): void {
    this.state = plan.next;
    this.rows.log.push(...plan.log);
    this.rows.deployments.push(...plan.deployments);
    this.rows.keyStates.push(...plan.keyStates);
    this.rows.reports.push(...plan.reports);
    this.rows.commandsApplied.push(...plan.commandsApplied);
    for (const month of plan.months) this.months.set(month.month, month);
    for (const finding of plan.findings) if (!this.findings.has(finding.id)) this.findings.set(finding.id, finding);
    for (const change of plan.deployments) {
      if (change.change === 'open') this.#open(change.endpointId, change.kind, change.deployedAt);
      if (change.change === 'close') this.#close(change.endpointId, change.removedAt);
      if (change.change === 'kind') {
        this.#close(change.endpointId, change.at);
        this.#open(change.endpointId, change.kind, change.at);
      }
    }
  }

  #open(endpoint: string, kind: DeployedInterval['kind'], deployedAt: string): void {
    this.intervals.push({ endpoint, kind, deployedAt, removedAt: null });
  }

  #close(endpoint: string, removedAt: string): void {
    this.intervals = this.intervals.map((each) =>
      each.endpoint === endpoint && each.removedAt === null ? { ...each, removedAt } : each,
    );
  }
}
