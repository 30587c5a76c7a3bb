/**
 * What really happened at a site, kept by the simulator alone: what was said to endpoints and when, and a plain recount of it.
 * No product code: the intervals, the limit of silence, the months of a zone and the counting are written a second time
 * here, in the slowest and plainest way, so that a mistake of the product is not made twice.
 */

export type Kind = 'server' | 'workstation';
export const kinds: readonly Kind[] = ['server', 'workstation'];

const dayMs = 86_400_000;

/** What a machine was told to be from an instant on; null: no agent. `limits`: how many limits of silence had been set by then. */
type Told = { atMs: number; machineId: string; kind: Kind | null; by: 'check-in' | 'operator'; limits: number };
type Interval = { machineId: string; kind: Kind; fromMs: number; toMs: number };
type Open = { kind: Kind; fromMs: number };
export type RecountedPeak = { peak: number; atMs: number | null; machines: string[] };

export class GroundTruth {
  readonly #told: Told[] = [];
  /** From when on which limit of silence holds, in days; 0: none. */
  readonly #staleLimits: { fromMs: number; days: number }[];
  readonly startMs: number;
  readonly zone: string;

  constructor(startMs: number, zone: string, staleAfterDays: number) {
    this.startMs = startMs;
    this.zone = zone;
    this.#staleLimits = [{ fromMs: startMs, days: staleAfterDays }];
  }

  /** A machine's call was taken: it is heard, and runs an agent of this kind, or none. */
  heard(machineId: string, atMs: number, kind: Kind | null): void {
    this.#told.push({ atMs, machineId, kind, by: 'check-in', limits: this.#staleLimits.length });
  }

  /** The operator took the machine off the roll. */
  takenOff(machineId: string, atMs: number): void {
    this.#told.push({ atMs, machineId, kind: null, by: 'operator', limits: this.#staleLimits.length });
  }

  staleLimitChanged(fromMs: number, days: number): void {
    this.#staleLimits.push({ fromMs, days });
  }

  /** Intervals of all machines as they stand at `nowMs`; those that last have no end (infinity). */
  intervals(nowMs: number): Interval[] {
    const ofMachine = new Map<string, Told[]>();
    for (const told of this.#told) ofMachine.set(told.machineId, [...(ofMachine.get(told.machineId) ?? []), told]);
    const found: Interval[] = [];
    for (const [machineId, history] of ofMachine) {
      let open: Open | null = null;
      let heardMs = 0;
      const end = (ended: Open, toMs: number): null => {
        found.push({ machineId, ...ended, toMs });
        return null;
      };
      for (const { atMs, kind, by, limits } of history) {
        // A site in doubt of its time dates what comes later earlier: a limit set after a call says nothing of the silence before.
        const silentMs = this.#silentSince(heardMs, limits);
        if (open !== null && silentMs <= atMs) open = end(open, silentMs);
        if (open !== null && open.kind !== kind) open = end(open, atMs);
        if (open === null && kind !== null) open = { kind, fromMs: atMs };
        if (by === 'check-in') heardMs = atMs;
      }
      const silentMs = this.#silentSince(heardMs, this.#staleLimits.length);
      if (open !== null) end(open, silentMs <= nowMs ? silentMs : Number.POSITIVE_INFINITY);
    }
    return found;
  }

  /** The highest number of machines of a kind at one time in a month, the first instant of it, and who they were. */
  recount(
    intervals: readonly Interval[],
    month: string,
    kind: Kind,
    excluded: ReadonlySet<string> = new Set(),
  ): RecountedPeak {
    const { startMs, endMs } = this.period(month);
    const ofKind = intervals.filter((each) => each.kind === kind && !excluded.has(each.machineId));
    const instants = [startMs, ...ofKind.map(({ fromMs }) => fromMs)]
      .filter((ms) => startMs <= ms && ms < endMs)
      .sort((a, b) => a - b);
    let best: RecountedPeak = { peak: 0, atMs: null, machines: [] };
    for (const ms of instants) {
      const machines = ofKind.filter(({ fromMs, toMs }) => fromMs <= ms && ms < toMs).map(({ machineId }) => machineId);
      if (machines.length > best.peak) best = { peak: machines.length, atMs: ms, machines };
    }
    return best;
  }

  /** The part of a month in which the site lived. */
  period(month: string): { startMs: number; endMs: number } {
    const { startMs, endMs } = monthInZone(month, this.zone);
    return { startMs: Math.max(startMs, this.startMs), endMs };
  }

  /** Months that the site lived in and that are over at `nowMs`, oldest first. */
  monthsOver(nowMs: number): string[] {
    const months: string[] = [];
    for (
      let month = monthAtInstant(this.startMs, this.zone);
      monthInZone(month, this.zone).endMs <= nowMs;
      month = monthAfter(month)
    )
      months.push(month);
    return months;
  }

  /** When a machine last heard of at `heardMs` is given up, by the first limits that were set: infinity where it never is. */
  #silentSince(heardMs: number, limitsCount: number): number {
    const limits = this.#staleLimits.slice(0, limitsCount);
    for (const [index, { fromMs, days }] of limits.entries()) {
      const untilMs = limits[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
      if (days === 0 || untilMs < heardMs) continue;
      const atMs = Math.max(heardMs + days * dayMs, fromMs);
      if (atMs <= untilMs) return atMs;
    }
    return Number.POSITIVE_INFINITY;
  }
}

const monthsKnown = new Map<string, { startMs: number; endMs: number }>();

/** `[first day 00:00, next month's first day 00:00)` in a zone, found by asking the calendar of the zone at instants. */
function monthInZone(month: string, zone: string): { startMs: number; endMs: number } {
  const key = `${month} ${zone}`;
  const known = monthsKnown.get(key);
  if (known !== undefined) return known;
  const bounds = { startMs: firstInstantOf(month, zone), endMs: firstInstantOf(monthAfter(month), zone) };
  monthsKnown.set(key, bounds);
  return bounds;
}

export function monthAfter(month: string): string {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, '0')}`;
}

const calendars = new Map<string, Intl.DateTimeFormat>();

export function monthAtInstant(ms: number, zone: string): string {
  let calendar = calendars.get(zone);
  if (calendar === undefined) {
    calendar = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit' });
    calendars.set(zone, calendar);
  }
  const parts = new Map(calendar.formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${parts.get('year')}-${parts.get('month')}`;
}

/** Halves the two days around midnight UTC until one millisecond is left. */
function firstInstantOf(month: string, zone: string): number {
  const midnightMs = Date.parse(`${month}-01T00:00:00.000Z`);
  let before = midnightMs - dayMs;
  let within = midnightMs + dayMs;
  while (within - before > 1) {
    const middle = Math.floor((before + within) / 2);
    if (monthAtInstant(middle, zone) < month) before = middle;
    else within = middle;
  }
  return within;
}
