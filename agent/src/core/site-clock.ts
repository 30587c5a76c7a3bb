/**
 * Trusted time at a site, from two clocks that a person or a dead battery can spoil: the wall clock, which may be set, and
 * the steady clock (machine uptime), which may not but knows no date. Owns what time it is and what was odd about it;
 * reading the clocks is the shell's, appending the anomalies is `site.ts`. Pure: readings in, the next clock out.
 */
import { type Instant, instantFromMs, lastInstant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import type { EntryBody } from '@rollcall/shared/ledger/entry.ts';

/** Both clocks of the machine, read at once. */
export type Reading = { wall: Instant; steadyMs: number };

/** Difference of clocks that is taken for drift or for the network's delay, and followed. */
export const toleratedDifferenceMs = 2 * 60_000;
/** A machine that was off or asleep for less may start on its own clock at once. */
export const unquestionedGapMs = 5 * 60_000;
/** The longest time off that a clock is believed without contact or operator. */
export const believedGapMs = 45 * 86_400_000;
/** Steady time without contact after which a believable clock is believed: contact, where there is one, comes sooner. */
export const confirmAfterSteadyMs = 30_000;
/** A server time further off than this is not followed against clocks of the site that agree and were vouched for. */
export const followedDifferenceMs = 86_400_000;
/** How far an undisciplined crystal may run off within what counts as drift, for each unit of time: 200 ppm. */
const driftPerMs = 0.000_2;

export type ClockAnomaly = EntryBody<'clock-anomaly'>;

export type SiteClock = {
  /** Trusted time now, milliseconds since 1970; as of the last reading. */
  readonly trustedMs: number;
  /** Where trusted time was last vouched for (start, contact): steady time counts on from here. */
  readonly anchor: { readonly trustedMs: number; readonly steadyMs: number };
  /** What must be added to the wall clock to get the right time, as the last contact showed. */
  readonly wallOffsetMs: number;
  /** Wall clock plus offset at the last reading: lease policy uses it where it is later than trusted time. */
  readonly wallMs: number;
  /** The jump that is in force: how far the wall clock stands from trusted time; null while they agree. */
  readonly jumpMs: number | null;
  /** While set, the time is not known well enough to write anything down (see `startClock`). */
  readonly unconfirmed: { readonly sinceSteadyMs: number; readonly lastKnownMs: number; readonly gapMs: number } | null;
  /**
   * A contact stands behind trusted time, by clocks that nobody had to doubt since. Not so where it was only believed because
   * nothing came to contradict it, or on an operator's word: the next contact may then correct it by any amount.
   */
  readonly vouched: boolean;
  /** The aggregator's time minus trusted time at the last contact, where it was so far off that it was not followed. */
  readonly aggregatorDiffers: { readonly differenceMs: number; readonly sinceMs: number } | null;
};

export type ClockStep = { clock: SiteClock; anomaly: ClockAnomaly | null };

/**
 * The clock of a program that starts. `lastKnown`: the latest instant the site was surely alive at (ledger head, heartbeat);
 * `wasVouched`: whether a contact stood behind it. A wall clock before it was set back: time goes on from `lastKnown`. One well after it is unconfirmed, since a machine that
 * was off looks the same as a clock that was set forward.
 */
export function startClock(
  lastKnown: Instant,
  knownWallOffsetMs: number,
  reading: Reading,
  wasVouched: boolean,
): ClockStep {
  const lastKnownMs = msOfInstant(lastKnown);
  const plainWallMs = msOfInstant(reading.wall);
  // The clock may have been put right while the program was off: then the offset that made up for it is wrong by now.
  const offsetHolds =
    plainWallMs + knownWallOffsetMs >= lastKnownMs - toleratedDifferenceMs ||
    plainWallMs < lastKnownMs - toleratedDifferenceMs;
  const wallOffsetMs = offsetHolds ? knownWallOffsetMs : 0;
  const wallMs = plainWallMs + wallOffsetMs;
  const gapMs = wallMs - lastKnownMs;
  const at = (trustedMs: number): SiteClock => ({
    trustedMs,
    anchor: { trustedMs, steadyMs: reading.steadyMs },
    wallOffsetMs,
    wallMs,
    jumpMs: null,
    unconfirmed: null,
    vouched: false,
    aggregatorDiffers: null,
  });
  if (gapMs < -toleratedDifferenceMs) {
    return {
      clock: { ...at(lastKnownMs), jumpMs: gapMs },
      anomaly: anomalyOf('start', plainWallMs, lastKnownMs - wallOffsetMs),
    };
  }
  if (gapMs > unquestionedGapMs)
    return {
      clock: { ...at(wallMs), unconfirmed: { sinceSteadyMs: reading.steadyMs, lastKnownMs, gapMs } },
      anomaly: null,
    };
  return { clock: { ...at(Math.max(wallMs, lastKnownMs)), vouched: wasVouched }, anomaly: null };
}

/** The clock at a later reading of a running program. */
export function readClock(clock: SiteClock, reading: Reading): ClockStep {
  const wallMs = msOfInstant(reading.wall) + clock.wallOffsetMs;
  const elapsedMs = Math.max(0, reading.steadyMs - clock.anchor.steadyMs);
  const expectedMs = clock.anchor.trustedMs + elapsedMs;
  const differenceMs = wallMs - expectedMs;
  const agrees = Math.abs(differenceMs) <= toleratedDifferenceMs + elapsedMs * driftPerMs;
  if (clock.unconfirmed !== null) {
    // Somebody set the clock while its first reading was still in doubt: judge the new one afresh.
    if (!agrees) return startClock(instantOf(clock.unconfirmed.lastKnownMs), clock.wallOffsetMs, reading, false);
    const followed = { ...clock, wallMs, trustedMs: Math.max(clock.trustedMs, wallMs) };
    const { sinceSteadyMs, gapMs } = clock.unconfirmed;
    const believed = gapMs <= believedGapMs && reading.steadyMs - sinceSteadyMs >= confirmAfterSteadyMs;
    return { clock: believed ? anchored(followed, followed.trustedMs, reading.steadyMs) : followed, anomaly: null };
  }
  // Never backwards: a wall clock within tolerance but behind lets trusted time stand until it has caught up.
  if (agrees)
    return { clock: { ...clock, wallMs, trustedMs: Math.max(clock.trustedMs, wallMs), jumpMs: null }, anomaly: null };
  const trustedMs = Math.max(clock.trustedMs, expectedMs);
  const isSameJump =
    clock.jumpMs !== null && Math.abs(differenceMs - clock.jumpMs) <= toleratedDifferenceMs + elapsedMs * driftPerMs;
  return {
    clock: { ...clock, wallMs, trustedMs, jumpMs: isSameJump ? clock.jumpMs : differenceMs },
    anomaly: isSameJump ? null : anomalyOf('running', wallMs - clock.wallOffsetMs, expectedMs - clock.wallOffsetMs),
  };
}

/** The aggregator's time as a frame told it, with the steady time at which the frame was read off the socket. */
export type ToldTime = { serverTime: Instant; heardSteadyMs: number; by: 'welcome' | 'ack' };

/**
 * The clock after the aggregator told its time. Confirms what was unconfirmed; corrects what is more than tolerably off, unless
 * the site's own clocks outvote a server (`isOutvoted`): then trusted time stays, and the difference is kept to be shown.
 */
export function contactClock(
  before: SiteClock,
  reading: Reading,
  { serverTime, heardSteadyMs, by }: ToldTime,
): ClockStep & { earlier: ClockAnomaly | null } {
  const { clock, anomaly: earlier } = readClock(before, reading);
  // What was told has waited for the disk since, perhaps while the machine slept.
  const serverMs = msOfInstant(serverTime) + Math.max(0, reading.steadyMs - heardSteadyMs);
  const plainWallMs = msOfInstant(reading.wall);
  // An acknowledgement may also have lain unread while the machine slept, and nothing tells for how long: of the past it proves
  // nothing. A welcome follows the site's own hello within the time of a handshake.
  const isSure = clock.unconfirmed === null && clock.jumpMs === null;
  if (by === 'ack' && isSure && serverMs < clock.trustedMs - toleratedDifferenceMs)
    return { clock, anomaly: null, earlier };
  if (isOutvoted(clock, plainWallMs, serverMs)) {
    const differenceMs = serverMs - clock.trustedMs;
    const sinceMs = clock.aggregatorDiffers?.sinceMs ?? clock.trustedMs;
    return { clock: { ...clock, aggregatorDiffers: { differenceMs, sinceMs } }, anomaly: null, earlier };
  }
  const wallIsOff = Math.abs(clock.wallMs - serverMs) > toleratedDifferenceMs;
  const trustedIsOff = Math.abs(clock.trustedMs - serverMs) > toleratedDifferenceMs;
  const corrected = wallIsOff
    ? { ...clock, wallOffsetMs: serverMs - plainWallMs, wallMs: serverMs, jumpMs: null }
    : clock;
  const followed = anchored(corrected, trustedIsOff ? serverMs : clock.trustedMs, reading.steadyMs);
  return {
    clock: { ...followed, vouched: true, aggregatorDiffers: null },
    anomaly: trustedIsOff ? anomalyOf('contact', clock.trustedMs, serverMs) : null,
    earlier,
  };
}

/**
 * True where a server more than a day off stands alone against trusted time that was vouched for: following it would seal months
 * and remove agents for good, at every site at once. A wall clock that sides with the server, with or without what had to be
 * added to it, makes it two against one: then the machine stood still, or an earlier contact was wrong.
 */
function isOutvoted(clock: SiteClock, plainWallMs: number, serverMs: number): boolean {
  const agrees = (wallMs: number): boolean => Math.abs(wallMs - serverMs) <= toleratedDifferenceMs;
  return (
    clock.vouched &&
    Math.abs(serverMs - clock.trustedMs) > followedDifferenceMs &&
    !agrees(clock.wallMs) &&
    !agrees(plainWallMs)
  );
}

/** How far ahead of what is known an operator's word is taken: years that no machine was off, but for a typing error. */
const confirmableAheadMs = 10 * 366 * 86_400_000;

/**
 * The operator vouches for the wall clock as it stands: what had to be added to it before is wrong from now on. Time does not go
 * back for it, since nobody may make a lease longer by setting a clock.
 * `NOTHING_TO_CONFIRM` where the wall clock is neither in doubt nor jumped, `CLOCK_BEHIND` where it says that less time has passed
 * than the service knows of, `CLOCK_TOO_FAR_AHEAD` where it would make years pass.
 */
export function confirmClock(
  before: SiteClock,
  reading: Reading,
): Outcome<{ clock: SiteClock }, 'NOTHING_TO_CONFIRM' | 'CLOCK_BEHIND' | 'CLOCK_TOO_FAR_AHEAD'> {
  const { unconfirmed, jumpMs, trustedMs } = before;
  // A machine whose uptime stood still (it was paused) has the right wall clock, and looks as if somebody had set it.
  if (unconfirmed === null && jumpMs === null)
    return refuse(
      'NOTHING_TO_CONFIRM',
      'there is nothing to confirm: the service is sure of its time',
      "where this machine's clock is wrong, set it right; the service notices",
    );
  const knownMs = unconfirmed?.lastKnownMs ?? trustedMs;
  const wallMs = msOfInstant(reading.wall);
  if (wallMs < knownMs)
    return refuse(
      'CLOCK_BEHIND',
      `the clock says ${reading.wall}, and the service knows of ${instantOf(knownMs)} already: its time does not go back`,
      'set the clock of the machine right; where it is, the next contact with the aggregator puts the time right',
    );
  if (wallMs - knownMs > confirmableAheadMs)
    return refuse(
      'CLOCK_TOO_FAR_AHEAD',
      `the clock says ${reading.wall}, more than ten years after the last known time`,
      'set the clock of the machine first',
    );
  const confirmed = { ...before, wallOffsetMs: 0, wallMs, jumpMs: null, vouched: false, aggregatorDiffers: null };
  return { ok: true, clock: anchored(confirmed, wallMs, reading.steadyMs) };
}

/** The clock as time alone would make it believed, at once; one that is further ahead than anybody could confirm stays in doubt. */
export function believeClock(clock: SiteClock, { steadyMs }: Reading): SiteClock {
  const { unconfirmed, trustedMs } = clock;
  return unconfirmed === null || unconfirmed.gapMs > confirmableAheadMs ? clock : anchored(clock, trustedMs, steadyMs);
}

/** Trusted time at a reading, without taking the reading into account for later ones. */
export function peekTime(clock: SiteClock, reading: Reading): Instant {
  return instantOf(readClock(clock, reading).clock.trustedMs);
}

/** Milliseconds of steady time until an unconfirmed clock is believed; null where time alone does not help. */
export function believedInMs(clock: SiteClock, steadyMs: number): number | null {
  if (clock.unconfirmed === null || clock.unconfirmed.gapMs > believedGapMs) return null;
  return Math.max(0, clock.unconfirmed.sinceSteadyMs + confirmAfterSteadyMs - steadyMs);
}

/**
 * The time leases are judged by. Without contact the later of the two clocks: a clock set forward can only shorten a lease, one set
 * back never extends it. While contact lasts the aggregator vouches for trusted time, and a wrong wall clock takes nothing away.
 */
export const leaseTimeMs = (clock: SiteClock, inContact: boolean): number =>
  inContact ? clock.trustedMs : Math.max(clock.trustedMs, clock.wallMs);

/** True while the wall clock is known to be wrong. */
export const isWallClockWrong = (clock: SiteClock): boolean =>
  clock.jumpMs !== null || Math.abs(clock.wallOffsetMs) > toleratedDifferenceMs;

const anchored = (clock: SiteClock, trustedMs: number, steadyMs: number): SiteClock => ({
  ...clock,
  trustedMs,
  anchor: { trustedMs, steadyMs },
  unconfirmed: null,
});

/** A clock so wrong that its time plus offset leaves the years that can be written is taken at the nearest end of them. */
export function instantOf(ms: number): Instant {
  return instantFromMs(Math.min(Math.max(0, Math.round(ms)), msOfInstant(lastInstant)));
}

function anomalyOf(noticed: ClockAnomaly['noticed'], saidMs: number, expectedMs: number): ClockAnomaly {
  const [clockSaid, expected] = [instantOf(saidMs), instantOf(expectedMs)];
  const differenceMs = msOfInstant(clockSaid) - msOfInstant(expected);
  return { direction: saidMs < expectedMs ? 'backward' : 'forward', noticed, clockSaid, expected, differenceMs };
}
