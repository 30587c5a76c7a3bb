/**
 * Seals months and corrects what was sealed. Owns what a report is made of at its site; computing and signing it is
 * shared/ledger/report.ts, and which months are due is a question of `openMonth.end`.
 */
import type { CorrectReportRequest, KindCounts, LocalRefusalCode } from '@rollcall/shared/api/local.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { fitsEntryBody } from '@rollcall/shared/ledger/entry-size.ts';
import { IntervalBook } from '@rollcall/shared/ledger/intervals.ts';
import { type DeployedAgentsReport, type Exclusion, sealReport } from '@rollcall/shared/ledger/report.ts';
import type { DeployedInterval } from '@rollcall/shared/metering/interval.ts';
import type { Work } from './plan.ts';
import { timeUnconfirmed } from './roll.ts';
import { lastHeardAt, nowOf, type SiteState } from './site-state.ts';

/** An agent is active while it was heard of within this time. */
const activeWithinMs = 24 * 3_600_000;
const exclusionsMax = 1_000;

/** Seals the open month, dated its end. The next month is open afterwards. */
export function sealMonth(work: Work): void {
  const { state, ports } = work;
  const { siteId, siteName, timeZone } = state.identity;
  const { month, start, end } = state.openMonth;
  const { seq, hash } = state.head;
  const facts = {
    siteId,
    siteName,
    month,
    timeZone,
    period: { start, end },
    revision: 1,
    activeAtClose: activeAgents(state, end),
    upTo: { seq, hash },
    exclusions: [],
    sealedAt: nowOf(state),
  };
  work.append(end, 'month-sealed', sealReport(facts, state.intervals.all(), ports.digest, ports.signer));
}

/** Deployed agents by kind that were heard of in the 24 h before `at`. */
export function activeAgents(state: SiteState, at: Instant): KindCounts {
  const since = instantFromMs(Math.max(0, msOfInstant(at) - activeWithinMs));
  const counts = { server: 0, workstation: 0 };
  for (const agent of state.agents.values()) if (lastHeardAt(state, agent) >= since) counts[agent.agentKind]++;
  return counts;
}

/**
 * Takes endpoints out of a sealed month by a new revision of its report; earlier exclusions stay. Repeating one changes nothing
 * and answers with the report as it stands. `MONTH_NOT_SEALED`, `NOT_FOUND` (not in that month), `BAD_REQUEST` (more
 * exclusions than a report can hold), `TIME_UNCONFIRMED`.
 */
export function correctReport(
  work: Work,
  { month, exclude, reason }: CorrectReportRequest,
): Outcome<{ report: DeployedAgentsReport }, LocalRefusalCode> {
  const { state, ports } = work;
  if (state.clock.unconfirmed !== null) return timeUnconfirmed();
  const { intervals, report } = monthInHistory(work, month);
  if (report === null)
    return refuse(
      'MONTH_NOT_SEALED',
      `the month ${month} of this site is not sealed`,
      'rollcall-site report list shows the sealed months',
    );
  const known = new Set(intervals.map((interval) => interval.endpoint));
  const unknown = exclude.find((endpointId) => !known.has(endpointId));
  if (unknown !== undefined) return refuse('NOT_FOUND', `no agent was deployed on ${unknown} in ${month}`);
  const excluded = new Set(report.exclusions.map((exclusion) => exclusion.endpointId));
  const added = [...new Set(exclude)].filter((endpointId) => !excluded.has(endpointId));
  if (added.length === 0) return { ok: true, report };
  const exclusions: Exclusion[] = [...report.exclusions, ...added.map((endpointId) => ({ endpointId, reason }))];
  if (exclusions.length > exclusionsMax) return tooManyExclusions();
  const { siteId, siteName, timeZone, period, activeAtClose, upTo } = report;
  const revision = report.revision + 1;
  const sealedAt = nowOf(state);
  const corrected = sealReport(
    { siteId, siteName, month, timeZone, period, revision, activeAtClose, upTo, exclusions, sealedAt },
    intervals,
    ports.digest,
    ports.signer,
  );
  if (!fitsEntryBody(canonicalJson(corrected))) return tooManyExclusions();
  work.append(sealedAt, 'report-corrected', corrected);
  return { ok: true, report: corrected };
}

const tooManyExclusions = () =>
  refuse('BAD_REQUEST' as const, 'a report cannot hold so many exclusions', 'use a shorter reason, or fewer endpoints');

/** Intervals that touch a month, and the latest revision of its report, from the ledger: an old month is not kept in memory. */
function monthInHistory(
  work: Work,
  month: string,
): { intervals: DeployedInterval[]; report: DeployedAgentsReport | null } {
  const book = new IntervalBook();
  let report: DeployedAgentsReport | null = null;
  const read = (entry: KnownEntry): void => {
    book.apply(entry);
    if ((entry.kind === 'month-sealed' || entry.kind === 'report-corrected') && entry.body.month === month)
      report = entry.body;
  };
  // Entries of this very plan are not on disk yet.
  const firstPlanned = work.plan.entries[0]?.entry.seq ?? Number.POSITIVE_INFINITY;
  for (const entry of work.ports.history()) if (entry.seq < firstPlanned) read(entry);
  for (const { entry } of work.plan.entries) read(entry);
  const found = report as DeployedAgentsReport | null;
  const intervals =
    found === null
      ? []
      : book
          .all()
          .filter(
            ({ deployedAt, removedAt }) =>
              deployedAt < found.period.end && (removedAt === null || removedAt > found.period.start),
          );
  return { intervals, report: found };
}
