import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { describe, expect, test } from 'vitest';
import {
  believedInMs,
  confirmClock,
  contactClock,
  isWallClockWrong,
  leaseTimeMs,
  type Reading,
  readClock,
  type SiteClock,
  startClock,
} from './site-clock.ts';

const noon: Instant = '2026-03-10T12:00:00.000Z';
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;
const later = (ms: number): Instant => instantFromMs(msOfInstant(noon) + ms);
const running = (): SiteClock => startClock(noon, 0, { wall: noon, steadyMs: 0 }, true).clock;
/** The clock after a welcome that is read and taken at once. */
const welcomed = (clock: SiteClock, reading: Reading, serverTime: Instant): ReturnType<typeof contactClock> =>
  contactClock(clock, reading, { serverTime, heardSteadyMs: reading.steadyMs, by: 'welcome' });
/** The clock an operator confirmed. */
function confirmed(clock: SiteClock, reading: { wall: Instant; steadyMs: number }): SiteClock {
  const answer = confirmClock(clock, reading);
  if (!answer.ok) throw new Error(answer.code);
  return answer.clock;
}
const trusted = (clock: SiteClock): Instant => instantFromMs(clock.trustedMs);

describe('a running site', () => {
  test.each([
    { name: 'a clock that agrees is followed', steady: hour, wall: hour, time: hour, anomaly: null },
    {
      name: 'a clock within two minutes ahead is followed',
      steady: hour,
      wall: hour + 2 * minute,
      time: hour + 2 * minute,
      anomaly: null,
    },
    {
      name: 'a clock set back an hour is not',
      steady: hour,
      wall: 0,
      time: hour,
      anomaly: { direction: 'backward', differenceMs: -hour },
    },
    {
      name: 'a clock set forward a year is not',
      steady: hour,
      wall: year,
      time: hour,
      anomaly: { direction: 'forward', differenceMs: year - hour },
    },
    {
      name: 'a crystal that runs off 3 minutes in 30 days is followed',
      steady: 30 * day,
      wall: 30 * day + 3 * minute,
      time: 30 * day + 3 * minute,
      anomaly: null,
    },
  ])('$name', ({ steady, wall, time, anomaly }) => {
    const step = readClock(running(), { wall: later(wall), steadyMs: steady });
    expect(trusted(step.clock)).toBe(later(time));
    if (anomaly === null) expect(step.anomaly).toBeNull();
    else
      expect(step.anomaly).toEqual({ noticed: 'running', clockSaid: later(wall), expected: later(steady), ...anomaly });
  });

  test('one jump is one anomaly, a further jump another, and setting it right none', () => {
    let clock = running();
    const anomalies: unknown[] = [];
    const at = (steadyMs: number, wallMs: number): void => {
      const step = readClock(clock, { wall: later(wallMs), steadyMs });
      clock = step.clock;
      if (step.anomaly !== null) anomalies.push(step.anomaly.differenceMs);
    };
    at(hour, 2 * hour);
    at(2 * hour, 3 * hour);
    at(3 * hour, 13 * hour);
    at(4 * hour, 4 * hour);
    expect(anomalies).toEqual([hour, 10 * hour]);
    expect(trusted(clock)).toBe(later(4 * hour));
    expect(isWallClockWrong(clock)).toBe(false);
  });

  test('never runs backwards, and setting the clock back a minute again and again does not stop it', () => {
    let clock = running();
    let wallMs = 0;
    let before = clock.trustedMs;
    for (let steadyMs = minute; steadyMs <= day; steadyMs += minute) {
      // Half of each minute is taken back.
      wallMs += minute / 2;
      clock = readClock(clock, { wall: later(wallMs), steadyMs }).clock;
      expect(clock.trustedMs).toBeGreaterThanOrEqual(before);
      before = clock.trustedMs;
    }
    expect(msOfInstant(later(day)) - clock.trustedMs).toBeLessThanOrEqual(3 * minute);
  });

  test('leases are judged by the later of the clocks, and by trusted time while contact lasts', () => {
    const forward = readClock(running(), { wall: later(year), steadyMs: hour }).clock;
    expect(leaseTimeMs(forward, false)).toBe(msOfInstant(later(year)));
    expect(leaseTimeMs(forward, true)).toBe(msOfInstant(later(hour)));
    const back = readClock(running(), { wall: later(-year), steadyMs: hour }).clock;
    expect(leaseTimeMs(back, false)).toBe(msOfInstant(later(hour)));
    expect(leaseTimeMs(back, true)).toBe(msOfInstant(later(hour)));
  });
});

describe('a site that starts', () => {
  test.each([
    {
      name: 'goes on at once after a short pause',
      wall: 5 * minute,
      unconfirmed: false,
      time: 5 * minute,
      anomaly: null,
    },
    {
      name: 'goes on from what it knew when the clock is a little behind',
      wall: -2 * minute,
      unconfirmed: false,
      time: 0,
      anomaly: null,
    },
    {
      name: 'goes on from what it knew when the clock was set back, and says so',
      wall: -hour,
      unconfirmed: false,
      time: 0,
      anomaly: -hour,
    },
    {
      name: 'doubts the time after a longer pause',
      wall: 6 * minute,
      unconfirmed: true,
      time: 6 * minute,
      anomaly: null,
    },
    { name: 'doubts a year ahead', wall: year, unconfirmed: true, time: year, anomaly: null },
  ])('$name', ({ wall, unconfirmed, time, anomaly }) => {
    const step = startClock(noon, 0, { wall: later(wall), steadyMs: 7 }, true);
    expect(step.clock.unconfirmed !== null).toBe(unconfirmed);
    expect(trusted(step.clock)).toBe(later(time));
    expect(step.anomaly?.differenceMs ?? null).toBe(anomaly);
    if (anomaly !== null) expect(step.anomaly?.noticed).toBe('start');
  });

  test.each([
    { name: 'a day off is believed after 30 s', gap: day, after: 30_000, believed: true },
    { name: 'and not a moment before', gap: day, after: 29_999, believed: false },
    { name: '45 days off are believed', gap: 45 * day, after: 30_000, believed: true },
    { name: 'more than 45 days are not, however long it waits', gap: 45 * day + 1, after: 10 * day, believed: false },
  ])('$name', ({ gap, after, believed }) => {
    const { clock } = startClock(noon, 0, { wall: later(gap), steadyMs: 0 }, true);
    expect(believedInMs(clock, 0)).toBe(gap > 45 * day ? null : 30_000);
    const next = readClock(clock, { wall: later(gap + after), steadyMs: after });
    expect(next.clock.unconfirmed === null).toBe(believed);
  });

  test('the operator confirms the clock as it stands, whatever had to be added to it before', () => {
    // The clock was an hour slow when contact was last there; the machine was off for long, and somebody set it right.
    const { clock } = startClock(noon, hour, { wall: later(100 * day), steadyMs: 0 }, true);
    expect(clock.unconfirmed).not.toBeNull();
    const now = confirmed(clock, { wall: later(100 * day + minute), steadyMs: minute });
    expect(trusted(now)).toBe(later(100 * day + minute));
    expect(now).toMatchObject({ wallOffsetMs: 0, unconfirmed: null });
  });

  test('contact confirms any gap at once, and corrects a clock that lied', () => {
    const { clock } = startClock(noon, 0, { wall: later(year), steadyMs: 0 }, true);
    const right = welcomed(clock, { wall: later(year), steadyMs: 1_000 }, later(year));
    expect(right.clock.unconfirmed).toBeNull();
    expect(right.anomaly).toBeNull();
    const wrong = welcomed(clock, { wall: later(year), steadyMs: 1_000 }, later(hour));
    expect(trusted(wrong.clock)).toBe(later(hour));
    expect(wrong.anomaly).toMatchObject({ direction: 'forward', noticed: 'contact', differenceMs: year - hour });
  });

  test('the operator can vouch for a clock that nothing else confirms', () => {
    const reading = { wall: later(year), steadyMs: 0 };
    const clock = confirmed(startClock(noon, 0, reading, true).clock, reading);
    expect(clock.unconfirmed).toBeNull();
    expect(trusted(clock)).toBe(later(year));
  });

  test('a clock put right while its first reading was in doubt is judged afresh', () => {
    const { clock } = startClock(noon, 0, { wall: later(year), steadyMs: 0 }, true);
    const next = readClock(clock, { wall: later(minute), steadyMs: 10_000 });
    expect(next.clock.unconfirmed).toBeNull();
    expect(trusted(next.clock)).toBe(later(minute));
    expect(next.anomaly).toBeNull();
  });

  test('a known offset of a clock that is always wrong is taken into account, unless the clock was put right meanwhile', () => {
    const still = startClock(noon, -hour, { wall: later(hour + minute), steadyMs: 0 }, true);
    expect(trusted(still.clock)).toBe(later(minute));
    const mended = startClock(noon, -hour, { wall: later(minute), steadyMs: 0 }, true);
    expect(trusted(mended.clock)).toBe(later(minute));
    expect(mended.anomaly).toBeNull();
  });
});

describe('an operator’s word for the clock of a running site', () => {
  const paused = (wallMs: number): { clock: SiteClock; reading: { wall: Instant; steadyMs: number } } => {
    const reading = { wall: later(wallMs), steadyMs: hour };
    return { clock: readClock(running(), reading).clock, reading };
  };

  test('makes up for the time that the machine was paused', () => {
    const { clock, reading } = paused(3 * day);
    expect(isWallClockWrong(clock)).toBe(true);
    const now = confirmed(clock, reading);
    expect(trusted(now)).toBe(later(3 * day));
    expect(now).toMatchObject({ wallOffsetMs: 0, jumpMs: null, vouched: false });
    expect(isWallClockWrong(now)).toBe(false);
  });

  test.each([
    { name: 'is not needed where the clocks agree', wall: hour, code: 'NOTHING_TO_CONFIRM' },
    { name: 'does not turn time back, which would make a lease longer', wall: 0, code: 'CLOCK_BEHIND' },
    { name: 'is not taken for more than ten years', wall: 11 * year, code: 'CLOCK_TOO_FAR_AHEAD' },
  ])('$name', ({ wall, code }) => {
    const { clock, reading } = paused(wall);
    expect(confirmClock(clock, reading)).toMatchObject({ ok: false, code });
  });

  test('is not taken for more than ten years at a start either', () => {
    const reading = { wall: later(11 * year), steadyMs: 0 };
    const answer = confirmClock(startClock(noon, 0, reading, true).clock, reading);
    expect(answer).toMatchObject({ ok: false, code: 'CLOCK_TOO_FAR_AHEAD' });
  });
});

describe('contact', () => {
  test.each([
    {
      name: 'leaves a difference within two minutes alone',
      server: hour + 2 * minute,
      time: hour,
      offset: 0,
      anomaly: null,
    },
    { name: 'sets a clock that is ahead right', server: 0, time: 0, offset: -hour, anomaly: hour },
    {
      name: 'sets a clock that is behind right',
      server: 3 * hour,
      time: 3 * hour,
      offset: 2 * hour,
      anomaly: -2 * hour,
    },
  ])('$name', ({ server, time, offset, anomaly }) => {
    const step = welcomed(running(), { wall: later(hour), steadyMs: hour }, later(server));
    expect(trusted(step.clock)).toBe(later(time));
    expect(step.clock.wallOffsetMs).toBe(offset);
    expect(step.anomaly?.differenceMs ?? null).toBe(anomaly);
  });

  test('a wall clock known to be wrong is told once: from then on its offset is known', () => {
    const jumped = readClock(running(), { wall: later(year), steadyMs: hour });
    expect(jumped.anomaly).not.toBeNull();
    const met = welcomed(jumped.clock, { wall: later(year), steadyMs: hour }, later(hour));
    expect([met.anomaly, met.earlier]).toEqual([null, null]);
    const on = readClock(met.clock, { wall: later(year + hour), steadyMs: 2 * hour });
    expect(on.anomaly).toBeNull();
    expect(leaseTimeMs(on.clock, false)).toBe(msOfInstant(later(2 * hour)));
    expect(isWallClockWrong(on.clock)).toBe(true);
  });
});

describe('a server time that was told a while ago', () => {
  const slept = { wall: later(9 * hour), steadyMs: 9 * hour };
  const inContact = (): SiteClock => welcomed(running(), { wall: later(hour), steadyMs: hour }, later(hour)).clock;
  const after = (by: 'welcome' | 'ack', serverTime: Instant, heardSteadyMs: number, clock = inContact()) =>
    contactClock(clock, slept, { serverTime, heardSteadyMs, by });

  test.each(['welcome', 'ack'] as const)('in a %s is as old as its reading', (by) => {
    const step = after(by, later(hour), hour);
    expect(trusted(step.clock)).toBe(later(9 * hour));
    expect([step.clock.wallOffsetMs, step.anomaly]).toEqual([0, null]);
    const behind = contactClock(
      running(),
      { wall: later(hour), steadyMs: hour },
      { serverTime: later(3 * hour), heardSteadyMs: hour - minute, by },
    );
    expect(trusted(behind.clock)).toBe(later(3 * hour + minute));
  });

  test('in an acknowledgement that lay unread while the machine slept does not turn time back', () => {
    for (const agoMs of [8 * hour, 2 * day]) {
      const step = after('ack', later(9 * hour - agoMs), 9 * hour);
      expect(step.clock).toEqual(readClock(inContact(), slept).clock);
      expect(step.anomaly).toBeNull();
    }
  });

  test('in a welcome turns it back, and in an acknowledgement where the site’s own clocks do not agree', () => {
    expect(trusted(after('welcome', later(8 * hour), 9 * hour).clock)).toBe(later(8 * hour));
    const jumped = contactClock(
      inContact(),
      { wall: later(year), steadyMs: 9 * hour },
      { serverTime: later(8 * hour), heardSteadyMs: 9 * hour, by: 'ack' },
    );
    expect(trusted(jumped.clock)).toBe(later(8 * hour));
    const inDoubt = startClock(noon, 0, { wall: later(9 * hour), steadyMs: 9 * hour }, true).clock;
    expect(trusted(after('ack', later(2 * hour), 9 * hour, inDoubt).clock)).toBe(later(2 * hour));
  });
});

describe('a server time more than a day off', () => {
  const met = (clock: SiteClock, serverMs: number, wallMs = 0, steadyMs = 0): SiteClock =>
    welcomed(clock, { wall: later(wallMs), steadyMs }, later(serverMs)).clock;
  const inContact = (): SiteClock => met(running(), 0);
  const started = (wallMs: number, wasVouched = true): SiteClock =>
    startClock(noon, 0, { wall: later(wallMs), steadyMs: 0 }, wasVouched).clock;
  /** A clock whose battery is dead: a day after boot in the year before, with the offset that a contact told. */
  const deadBattery = (): SiteClock => {
    const { clock } = startClock(noon, 0, { wall: later(-year), steadyMs: 0 }, true);
    return welcomed(clock, { wall: later(-year), steadyMs: 0 }, noon).clock;
  };

  // The clocks stand an hour later; `wall` is what the machine's shows then, `server` what the aggregator says.
  test.each<{ name: string; clock: SiteClock; wall?: number; server: number; followed: boolean }>([
    { name: 'ahead, after a contact: stands alone', clock: inContact(), server: year, followed: false },
    { name: 'behind, after a contact: stands alone', clock: inContact(), server: -year, followed: false },
    { name: 'by a day and no more', clock: inContact(), server: hour + day, followed: true },
    { name: 'by a millisecond more than a day', clock: inContact(), server: hour + day + 1, followed: false },
    { name: 'ahead, after a start like any other', clock: started(minute), server: year, followed: false },
    { name: 'by a clock with a known offset', clock: deadBattery(), wall: hour - year, server: year, followed: false },
    {
      name: 'after a start on a time that was only believed before it',
      clock: started(minute, false),
      server: -5 * day,
      followed: true,
    },
    {
      name: 'after a start that was set back: how long it was off is not known',
      clock: started(-hour),
      wall: 0,
      server: 3 * day,
      followed: true,
    },
    {
      name: 'while the time is unconfirmed',
      clock: started(50 * day),
      wall: 50 * day + hour,
      server: 2 * hour,
      followed: true,
    },
    {
      name: 'once time alone made it believed',
      clock: readClock(started(40 * day), { wall: later(40 * day + minute), steadyMs: minute }).clock,
      wall: 40 * day + hour,
      server: 2 * hour,
      followed: true,
    },
    {
      name: 'on an operator’s word',
      clock: confirmed(started(year), { wall: later(year), steadyMs: 0 }),
      wall: year + hour,
      server: 2 * hour,
      followed: true,
    },
    { name: 'and the wall clock sides with it', clock: inContact(), wall: year, server: year, followed: true },
    {
      name: 'and the wall clock sides with it but for what an earlier contact had added',
      clock: met(started(year), 20 * day, year),
      wall: year + hour,
      server: year + hour,
      followed: true,
    },
    {
      name: 'and the wall clock says a third thing',
      clock: inContact(),
      wall: -3 * day,
      server: year,
      followed: false,
    },
  ])('$name: followed $followed', ({ clock, wall = hour, server, followed }) => {
    const reading = { wall: later(wall), steadyMs: hour };
    const before = readClock(clock, reading).clock;
    const step = welcomed(clock, reading, later(server));
    expect(step.clock.trustedMs).toBe(followed ? msOfInstant(later(server)) : before.trustedMs);
    expect(step.clock.wallOffsetMs).toBe(followed ? server - wall : before.wallOffsetMs);
    expect(step.anomaly === null).toBe(!followed);
    expect(step.clock.aggregatorDiffers).toEqual(
      followed ? null : { differenceMs: msOfInstant(later(server)) - before.trustedMs, sinceMs: before.trustedMs },
    );
    expect(step.clock.unconfirmed).toBeNull();
    expect(step.clock.vouched).toBe(true);
  });

  test('is told from its first time on, and no more once it agrees', () => {
    const first = met(inContact(), year, hour, hour);
    const second = met(first, year + hour, 2 * hour, 2 * hour);
    expect(second.aggregatorDiffers).toEqual({
      differenceMs: year - hour,
      sinceMs: msOfInstant(later(hour)),
    });
    expect(met(second, 3 * hour, 3 * hour, 3 * hour).aggregatorDiffers).toBeNull();
  });
});
