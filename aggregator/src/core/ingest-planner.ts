/**
 * What the entries of one batch do, one after another: the chain's head moves, agents are counted, months settled, reports
 * checked against the own count. In constant time an entry, but for reports, whose month is counted again from its intervals.
 */
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { type Instant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import {
  lastMonth,
  type Month,
  monthOf,
  monthPeriod,
  monthsBetweenMax,
  nextMonth,
} from '@rollcall/shared/domain/month.ts';
import type { ChainedEntry, Head } from '@rollcall/shared/ledger/chain.ts';
import type { Digest, Hash, PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import type { EntryBody, KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { countChanges } from '@rollcall/shared/ledger/intervals.ts';
import { type DeployedAgentsReport, isSignedBy } from '@rollcall/shared/ledger/report.ts';
import type { DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import { applyToMeter, type MonthMeter, settleMeter, startMeter } from '@rollcall/shared/metering/month-meter.ts';
import { deploymentChange } from './deployment-change.ts';
import type { FindingDraft, HeldMonth, IngestContext, IngestPlan, MonthCount, SiteIngestState } from './ingest-plan.ts';
import { correctionDifferences, sealDifferences } from './report-differences.ts';

/** How far a ledger's first entry may lie from the enrolment before it and from its arrival after it. */
const beginningToleranceMs = 86_400_000;

/** An entry in its place, with its body read; null where this version does not know its kind. */
export type TakenEntry = ChainedEntry & { known: KnownEntry | null };

/** Every entry but those that bring a report. */
type OtherEntry = Exclude<KnownEntry, { kind: 'month-sealed' | 'report-corrected' }>;

/** The meter of the running month with what belongs to it. */
type Running = { month: Month; periodStart: Instant; periodEnd: Instant; meter: MonthMeter };

/** Takes entries one by one and gathers what they do. A problem is told as text; the batch then ends. */
export class IngestPlanner {
  readonly #before: SiteIngestState;
  readonly #context: IngestContext;
  readonly #rows: Pick<IngestPlan, 'log' | 'deployments' | 'keyStates' | 'reports' | 'commandsApplied' | 'findings'>;
  readonly #settledMonths: MonthCount[] = [];
  /** Changes of counts in this batch, which the intervals read from the store do not show yet. */
  readonly #changes: { at: Instant; endpoint: string; kind: DeployedInterval['kind']; delta: 1 | -1 }[] = [];
  /** The latest reports of months as this batch brought them. */
  readonly #latest = new Map<Month, NonNullable<HeldMonth['latest']>>();
  #head: Head;
  #publicKey: PublicKey;
  #running: Running | null;
  #settled: MonthCount | null;
  #sealed: boolean;
  /** An enrolment with another key than the present one, which a later entry must replace. */
  #replacedEnrolment: number | null = null;

  constructor(before: SiteIngestState, context: IngestContext) {
    this.#before = before;
    this.#context = context;
    this.#rows = { log: [], deployments: [], keyStates: [], reports: [], commandsApplied: [], findings: [] };
    this.#head = before.head;
    this.#publicKey = before.publicKey;
    this.#running = runningOf(before);
    this.#settled = before.settled;
    this.#sealed = before.sealed;
  }

  /** Yields the month whose report the entry brings, where it has to be counted again. */
  *take({ entry, known, text, hash }: TakenEntry): Generator<Month, string | undefined, HeldMonth> {
    const { seq, at, kind } = entry;
    const previous = this.#head;
    this.#head = { seq, hash, at };
    this.#rows.log.push({ seq, at, kind, text, hash });
    if (known?.kind === 'site-enrolled') {
      const problem = this.#enrol(known.body, at);
      if (problem !== undefined) return problem;
    }
    if (this.#running === null) return 'a ledger begins with the enrolment of its site';
    const problem = this.#rotate(at, this.#running);
    if (problem !== undefined) return problem;
    if (known === null) return this.#keepUnknown(kind, at);
    switch (known.kind) {
      case 'month-sealed':
        return yield* this.#seal(known.body, at, previous, { seq, hash });
      case 'report-corrected':
        return yield* this.#correct(known.body, at, previous, { seq, hash });
      default:
        return this.#apply(known);
    }
  }

  /** What can be said only once all entries were read. */
  finish(): string | undefined {
    if (this.#replacedEnrolment === null || this.#head.seq < this.#context.ledgerSeq) return undefined;
    return `entry ${this.#replacedEnrolment}: it names another public key than the one enrolled`;
  }

  plan(): IngestPlan {
    const { siteId, head } = this.#before;
    const running = this.#running;
    return {
      siteId,
      enrolledPublicKey: this.#context.enrolledPublicKey,
      expected: { seq: head.seq, hash: head.hash },
      next: {
        siteId,
        publicKey: this.#publicKey,
        timeZone: this.#before.timeZone,
        head: this.#head,
        month: running?.month ?? null,
        periodStart: running?.periodStart ?? null,
        meter: running?.meter ?? null,
        settled: this.#settled,
        sealed: this.#sealed,
      },
      ...this.#rows,
      months: running === null ? [] : [...this.#settledMonths, countOf(running, false)],
      receivedAt: this.#context.receivedAt,
    };
  }

  #enrol(body: EntryBody<'site-enrolled'>, at: Instant): string | undefined {
    const { siteId, timeZone } = this.#before;
    if (body.siteId !== siteId) return `it enrols ${body.siteId}, not this site`;
    if (body.timeZone !== timeZone) return `it enrols the site in ${body.timeZone}, not in ${timeZone}`;
    this.#replacedEnrolment = body.publicKey === this.#context.enrolledPublicKey ? null : this.#head.seq;
    this.#publicKey = body.publicKey;
    if (this.#running === null) {
      const problem = this.#beginning(at);
      if (problem !== undefined) return problem;
      const month = monthOf(at, timeZone);
      const periodEnd = monthPeriod(month, timeZone).end;
      this.#running = { month, periodStart: at, periodEnd, meter: startMeter(at, { server: 0, workstation: 0 }) };
    }
    return undefined;
  }

  /**
   * Why a ledger cannot begin at an instant. Its first month is that of the enrolment, which the aggregator told the site to date
   * its first entry with: one that begins later leaves a month without a report, one that begins before is not billed.
   */
  #beginning(at: Instant): string | undefined {
    const { enrolledAt, receivedAt } = this.#context;
    const { timeZone } = this.#before;
    const ms = msOfInstant(at);
    const isNear =
      ms >= msOfInstant(enrolledAt) - beginningToleranceMs && ms <= msOfInstant(receivedAt) + beginningToleranceMs;
    return isNear && monthOf(at, timeZone) === monthOf(enrolledAt, timeZone)
      ? undefined
      : `the ledger begins at ${at}, and its site was enrolled at ${enrolledAt}`;
  }

  /** Settles every month that is over by `at`; what stands deployed is carried into the next. */
  #rotate(at: Instant, from: Running): string | undefined {
    let running = from;
    for (let months = 0; at >= running.periodEnd && running.month !== lastMonth; months++) {
      if (months === monthsBetweenMax)
        return `it is dated ${at}, more than ${monthsBetweenMax} months after the one before`;
      const month = nextMonth(running.month);
      const { server, workstation } = running.meter;
      this.#settled = countOf(running, true);
      this.#settledMonths.push(this.#settled);
      this.#sealed = false;
      running = {
        month,
        periodStart: running.periodEnd,
        periodEnd: monthPeriod(month, this.#before.timeZone).end,
        meter: startMeter(running.periodEnd, { server: server.count, workstation: workstation.count }),
      };
    }
    this.#running = running;
    return undefined;
  }

  #keepUnknown(kind: string, at: Instant): undefined {
    this.#find(
      'UNKNOWN_ENTRY',
      kind,
      at,
      `the site writes entries of the kind ${kind}, which this version does not know: update it`,
    );
  }

  #apply(entry: OtherEntry): string | undefined {
    const { at, seq } = entry;
    switch (entry.kind) {
      case 'agent-deployed':
      case 'agent-changed':
      case 'agent-removed':
        this.#rows.deployments.push(deploymentChange(entry));
        return this.#count(entry);
      case 'key-state':
        this.#rows.keyStates.push({ keyId: entry.body.keyId, state: entry.body.state, at, reason: entry.body.reason });
        return undefined;
      case 'command-applied': {
        const { commandId, outcome, code } = entry.body;
        this.#rows.commandsApplied.push({ commandId, outcome, code: code ?? null, at });
        return undefined;
      }
      case 'clock-anomaly': {
        const { direction, noticed, clockSaid, expected } = entry.body;
        this.#find(
          'CLOCK_ANOMALY',
          String(seq),
          at,
          `the clock said ${clockSaid} instead of ${expected} (${direction}, noticed: ${noticed})`,
        );
        return undefined;
      }
      case 'site-enrolled':
      case 'key-added':
      case 'key-removed':
      case 'contact-lost':
      case 'contact-restored':
      case 'settings-changed':
        return undefined;
    }
  }

  #count(entry: OtherEntry): string | undefined {
    const running = this.#running;
    if (running === null) throw new TypeError('a count needs a running month');
    for (const { endpointId, kind, delta } of countChanges(entry)) {
      running.meter = applyToMeter(running.meter, { at: entry.at, kind, delta });
      if (running.meter[kind].count < 0) return `it removes a ${kind} where none is deployed`;
      this.#changes.push({ at: entry.at, endpoint: endpointId, kind, delta });
    }
    return undefined;
  }

  *#seal(
    report: DeployedAgentsReport,
    at: Instant,
    previous: Head,
    place: { seq: number; hash: Hash },
  ): Generator<Month, string | undefined, HeldMonth> {
    const problem = this.#checkOrigin(report);
    if (problem !== undefined) return problem;
    if (report.revision !== 1 || report.exclusions.length > 0)
      return 'a month is sealed with revision 1 and without exclusions';
    if (at !== report.period.end) return 'a seal is dated at the end of its month';
    const counted = this.#settled;
    if (counted?.month !== report.month) return `it seals ${report.month}, which is not the month that has just ended`;
    if (this.#sealed) return `${report.month} is sealed already`;
    this.#sealed = true;
    const intervals = this.#broughtForward((yield report.month).intervals);
    this.#receive(report, at, place, sealDifferences(report, counted, previous, intervals, this.#context.digest));
    return undefined;
  }

  *#correct(
    report: DeployedAgentsReport,
    at: Instant,
    previous: Head,
    place: { seq: number; hash: Hash },
  ): Generator<Month, string | undefined, HeldMonth> {
    const problem = this.#checkOrigin(report);
    if (problem !== undefined) return problem;
    const { month } = report;
    const held = yield month;
    const latest = this.#latest.get(month) ?? held.latest;
    if (latest === null) return `it corrects ${month}, of which there is no report`;
    if (report.revision !== latest.revision + 1)
      return `it is revision ${report.revision} of ${month}, after ${latest.revision}`;
    const intervals = this.#broughtForward(held.intervals);
    const differences = correctionDifferences(report, latest, previous, intervals, this.#context.digest);
    this.#find(
      'REPORT_CORRECTED',
      String(place.seq),
      at,
      `the report of ${month} was corrected (revision ${report.revision})`,
    );
    this.#receive(report, at, place, differences);
    return undefined;
  }

  #checkOrigin(report: DeployedAgentsReport): string | undefined {
    const { siteId, timeZone } = this.#before;
    if (report.siteId !== siteId || report.timeZone !== timeZone)
      return 'the report is that of another site or time zone';
    if (!isSignedBy(report, this.#publicKey, this.#context.verifier))
      return "the report does not bear the site's signature";
    return undefined;
  }

  #receive(
    report: DeployedAgentsReport,
    at: Instant,
    place: { seq: number; hash: Hash },
    differences: readonly string[],
  ): void {
    const { month, revision, period, upTo } = report;
    this.#latest.set(month, { revision, period, upTo });
    this.#rows.reports.push({ month, revision, ...place, agreeing: differences.length === 0, report });
    if (differences.length > 0)
      this.#find(
        'REPORT_DIFFERS',
        String(place.seq),
        at,
        `the report of ${month} (revision ${revision}): ${differences.join('; ')}`,
      );
  }

  /** The intervals read from the store, brought forward by the changes of this batch. */
  #broughtForward(held: HeldMonth['intervals']): DeployedInterval[] | null {
    if (held === null) return null;
    const intervals = [...held];
    for (const { at, endpoint, kind, delta } of this.#changes) {
      if (delta === 1) {
        intervals.push({ endpoint, kind, deployedAt: at, removedAt: null });
        continue;
      }
      const index = intervals.findLastIndex((each) => each.endpoint === endpoint && each.removedAt === null);
      const open = intervals[index];
      // One that ended before the month began was not read; the store refuses a removal that meets nothing.
      if (open !== undefined) intervals[index] = { ...open, removedAt: at };
    }
    return intervals;
  }

  #find(code: string, subject: string, at: Instant, message: string): void {
    const { siteId } = this.#before;
    const id = findingId(this.#context.digest, [siteId, code, subject]);
    if (this.#rows.findings.some((finding) => finding.id === id)) return;
    this.#rows.findings.push({ id, siteId, code, message: message.slice(0, 500), at } satisfies FindingDraft);
  }
}

/** A finding's identifier says what was found, so that finding it again, in whatever batch, adds nothing. */
function findingId(digest: Digest, what: readonly string[]): string {
  const hash = digest.sha256(what.join(' '));
  return idFrom(
    'finding',
    Uint8Array.from({ length: idRandomBytes }, (_, index) => Number.parseInt(hash.slice(index * 2, index * 2 + 2), 16)),
  );
}

function runningOf({ month, periodStart, meter, timeZone }: SiteIngestState): Running | null {
  if (month === null || periodStart === null || meter === null) return null;
  return { month, periodStart, periodEnd: monthPeriod(month, timeZone).end, meter };
}

function countOf({ month, periodStart, periodEnd, meter }: Running, settled: boolean): MonthCount {
  const { server, workstation } = settleMeter(meter);
  return {
    month,
    periodStart,
    periodEnd,
    serverPeak: server.peak,
    serverPeakAt: server.at,
    workstationPeak: workstation.peak,
    workstationPeakAt: workstation.at,
    settled,
  };
}
