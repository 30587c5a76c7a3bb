/**
 * Follows what a ledger's entries say, one after the other, and checks each against those before it: one site, agents removed
 * only where deployed, one report a month, every report signed and recounted. The chain itself is `chain.ts`.
 */
import type { SiteId } from '../domain/id.ts';
import { type Month, monthOf, nextMonth, type Period } from '../domain/month.ts';
import type { z } from 'zod';
import type { TimeZone } from '../domain/time-zone.ts';
import type { DeployedInterval } from '../metering/interval.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Head } from './chain.ts';
import type { Digest, PublicKey, Verifier } from './crypto.ts';
import { type KnownEntry, type LedgerEntry, readEntry } from './entry.ts';
import { IntervalBook } from './intervals.ts';
import { type DeployedAgentsReport, isSignedBy, recountReport } from './report.ts';

/**
 * `ENTRY_CONTRADICTS`: an entry says what cannot be after those before it. `REPORT_SIGNATURE_WRONG`, `REPORT_FIGURES_WRONG`:
 * a report that the site did not sign, or whose figures are not those of the entries. `KEY_WRONG`: another site's key.
 */
export type LedgerProblemCode = 'ENTRY_CONTRADICTS' | 'REPORT_SIGNATURE_WRONG' | 'REPORT_FIGURES_WRONG' | 'KEY_WRONG';
export type LedgerProblem = { code: LedgerProblemCode; message: string };

type Enrolment = { siteId: z.infer<typeof SiteId>; timeZone: TimeZone; publicKey: PublicKey };

export class LedgerAudit {
  /** In the order of the ledger, without their evidence rows, which were recounted and may be long. */
  readonly reports: DeployedAgentsReport[] = [];
  readonly #digest: Digest;
  readonly #verifier: Verifier;
  readonly #book = new IntervalBook();
  readonly #latest = new Map<Month, DeployedAgentsReport>();
  #enrolment: Enrolment | undefined;
  /** The month whose seal is the next. */
  #nextMonth: Month = '';
  #nextPeriodStart = '';

  constructor(digest: Digest, verifier: Verifier) {
    this.#digest = digest;
    this.#verifier = verifier;
  }

  get siteId(): string | undefined {
    return this.#enrolment?.siteId;
  }

  /** The key the site signs with as far as was read. */
  get publicKey(): PublicKey | undefined {
    return this.#enrolment?.publicKey;
  }

  /** Reads the next entry; `before` is the head it follows. Kinds of a newer site are passed over. */
  read(envelope: LedgerEntry, before: Head): LedgerProblem | undefined {
    const known = readEntry(envelope);
    if (!known.ok) return known.code === 'UNKNOWN_KIND' ? undefined : contradicts(known.message);
    const { entry } = known;
    if (entry.kind === 'site-enrolled') return this.#enrol(entry);
    if (this.#enrolment === undefined) return contradicts(`entry ${entry.seq} stands before the site's enrolment`);
    if (entry.kind === 'month-sealed') return this.#seal(entry, before, this.#enrolment);
    if (entry.kind === 'report-corrected') return this.#correct(entry, this.#enrolment);
    try {
      this.#book.apply(entry);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return contradicts(`entry ${entry.seq}: ${error.message}`);
    }
    return undefined;
  }

  #enrol(entry: KnownEntry & { kind: 'site-enrolled' }): LedgerProblem | undefined {
    const { siteId, timeZone, publicKey } = entry.body;
    if (this.#enrolment === undefined) {
      this.#nextMonth = monthOf(entry.at, timeZone);
      this.#nextPeriodStart = entry.at;
      this.#enrolment = { siteId, timeZone, publicKey };
      return undefined;
    }
    if (siteId !== this.#enrolment.siteId) return contradicts(`entry ${entry.seq} enrols another site`);
    // The zone of the first enrolment stays, so that the months tile.
    this.#enrolment = { ...this.#enrolment, publicKey };
    return undefined;
  }

  #seal(entry: KnownEntry & { kind: 'month-sealed' }, before: Head, enrolment: Enrolment): LedgerProblem | undefined {
    const report = entry.body;
    const place = `the report of ${report.month} in entry ${entry.seq}`;
    if (report.month !== this.#nextMonth) return contradicts(`${place} stands where that of ${this.#nextMonth} is due`);
    if (report.period.start !== this.#nextPeriodStart)
      return figuresWrong(`${place} begins at ${report.period.start}, not at ${this.#nextPeriodStart}`);
    // Later than its end where a re-enrolment came first: dates never run backwards.
    if (entry.at < report.period.end) return contradicts(`${place} is dated before the end of its month`);
    if (report.revision !== 1 || report.exclusions.length > 0) return contradicts(`${place} is sealed as a correction`);
    if (report.upTo.seq !== before.seq || report.upTo.hash !== before.hash)
      return figuresWrong(`${place} is not computed up to the entry before it`);
    const problem = this.#check(report, place, enrolment);
    if (problem !== undefined) return problem;
    this.#nextMonth = nextMonth(report.month);
    this.#nextPeriodStart = report.period.end;
    return undefined;
  }

  #correct(entry: KnownEntry & { kind: 'report-corrected' }, enrolment: Enrolment): LedgerProblem | undefined {
    const report = entry.body;
    const place = `the corrected report of ${report.month} in entry ${entry.seq}`;
    const corrected = this.#latest.get(report.month);
    if (corrected === undefined) return contradicts(`${place} corrects a month that was not sealed`);
    if (report.revision !== corrected.revision + 1)
      return contradicts(`${place} is revision ${report.revision}, after ${corrected.revision}`);
    if (canonicalJson(report.period) !== canonicalJson(corrected.period))
      return figuresWrong(`${place} has another period than the sealed one`);
    if (canonicalJson(report.upTo) !== canonicalJson(corrected.upTo))
      return figuresWrong(`${place} is not computed up to the entry that the sealed one was`);
    return this.#check(report, place, enrolment);
  }

  #check(report: DeployedAgentsReport, place: string, enrolment: Enrolment): LedgerProblem | undefined {
    if (!isSignedBy(report, enrolment.publicKey, this.#verifier))
      return { code: 'REPORT_SIGNATURE_WRONG', message: `${place} does not bear the site's signature` };
    if (report.siteId !== enrolment.siteId || report.timeZone !== enrolment.timeZone)
      return contradicts(`${place} is that of another site or time zone`);
    const [difference] = recountReport(report, intervalsMeeting(this.#book, report.period), this.#digest);
    if (difference !== undefined) {
      const { field, reported, recounted } = difference;
      return figuresWrong(`${place} says ${field} = ${shorten(reported)}; its entries say ${shorten(recounted)}`);
    }
    const { evidence: _, ...kept } = report;
    this.reports.push(kept);
    this.#latest.set(report.month, kept);
    return undefined;
  }
}

/**
 * The intervals a recount of the period can need. Those ended before it are cut off by bisection of `closed`, which is in
 * order of end, so that checking years of months costs about as much as reading them.
 */
function intervalsMeeting(book: IntervalBook, period: Period): DeployedInterval[] {
  let low = 0;
  let high = book.closed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const removedAt = book.closed[middle]?.removedAt ?? null;
    if (removedAt !== null && removedAt <= period.start) low = middle + 1;
    else high = middle;
  }
  const open = [...book.open].map(([endpoint, interval]) => ({ endpoint, ...interval, removedAt: null }));
  return [...book.closed.slice(low), ...open];
}

const contradicts = (message: string): LedgerProblem => ({ code: 'ENTRY_CONTRADICTS', message });
const figuresWrong = (message: string): LedgerProblem => ({ code: 'REPORT_FIGURES_WRONG', message });
const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text);
