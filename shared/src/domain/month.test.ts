import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstInstant, type Instant, instantFromMs, lastInstant, msOfInstant } from './instant.ts';
import {
  dayOf,
  daysInMonth,
  daysOfMonth,
  firstMonth,
  lastMonth,
  Month,
  monthOf,
  monthPeriod,
  monthsBetween,
  nextMonth,
  previousMonth,
} from './month.ts';

/** Midnight clock changes, three changes a year, a skipped day, half hours, a change at 00:01, the far east, none at all. */
const zones = [
  'America/Havana',
  'Africa/Casablanca',
  'Pacific/Apia',
  'Asia/Kolkata',
  'America/St_Johns',
  'Pacific/Kiritimati',
  'Australia/Lord_Howe',
  'UTC',
];

const arbitraryZone = fc.constantFrom(...zones);
const arbitraryMonth = fc
  .tuple(fc.integer({ min: 1970, max: 2100 }), fc.integer({ min: 1, max: 12 }))
  .map(([year, month]) => `${year}-${String(month).padStart(2, '0')}`);

const arbitraryInstant = (from: Instant, to: Instant): fc.Arbitrary<Instant> =>
  fc.integer({ min: msOfInstant(from), max: msOfInstant(to) }).map(instantFromMs);

/** The date a wall calendar shows, by Intl: knows nothing of Temporal. */
function wallDate(instant: Instant, zone: string): string {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    calendar: 'iso8601',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  const parts = new Map(format.formatToParts(msOfInstant(instant)).map(({ type, value }) => [type, value]));
  return `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`;
}

const justBefore = (instant: Instant): Instant => instantFromMs(msOfInstant(instant) - 1);

describe('Month', () => {
  it.each(['1969-12', '1970-01', '2026-03', '9999-12'])('accepts %s', (month) =>
    expect(Month.parse(month)).toBe(month),
  );

  it.each(['2026-00', '2026-13', '2026-3', '2026', '2026-03-01', '26-03', '1969-11', '10000-01', '2026-03\n', ''])(
    'refuses %j',
    (month) => expect(Month.safeParse(month).success).toBe(false),
  );
});

describe('monthPeriod', () => {
  it.each([
    ['2026-03', 'UTC', '2026-03-01T00:00:00.000Z', '2026-04-01T00:00:00.000Z'],
    ['2026-03', 'Europe/Rome', '2026-02-28T23:00:00.000Z', '2026-03-31T22:00:00.000Z'],
    ['2026-10', 'Europe/Rome', '2026-09-30T22:00:00.000Z', '2026-10-31T23:00:00.000Z'],
    ['2026-12', 'Asia/Kolkata', '2026-11-30T18:30:00.000Z', '2026-12-31T18:30:00.000Z'],
    ['2030-03', 'Pacific/Kiritimati', '2030-02-28T10:00:00.000Z', '2030-03-31T10:00:00.000Z'],
    ['2024-02', 'America/Havana', '2024-02-01T05:00:00.000Z', '2024-03-01T05:00:00.000Z'],
  ])('of %s in %s is [%s, %s)', (month, zone, start, end) => expect(monthPeriod(month, zone)).toEqual({ start, end }));

  it('begins when the clocks come to the first day, where 00:00 is skipped', () => {
    // Cuba, 1 April 2001: 00:00 became 01:00 in summer time.
    expect(monthPeriod('2001-04', 'America/Havana').start).toBe('2001-04-01T05:00:00.000Z');
    expect(wallDate('2001-04-01T04:59:59.999Z', 'America/Havana')).toBe('2001-03-31');
  });

  it('begins at the first 00:00, where there are two', () => {
    // Newfoundland, 1 November 2009: at 00:01 the clocks went back to 23:01 of October.
    expect(monthPeriod('2009-11', 'America/St_Johns').start).toBe('2009-11-01T02:30:00.000Z');
    expect(wallDate('2009-11-01T03:00:00.000Z', 'America/St_Johns')).toBe('2009-10-31');
    expect(monthOf('2009-11-01T03:00:00.000Z', 'America/St_Johns')).toBe('2009-11');
    expect(dayOf('2009-11-01T03:00:00.000Z', 'America/St_Johns')).toBe('2009-11-01');
  });

  it('follows a zone whose law has changed', () => {
    // Tz database, news of release 2026c: Morocco moves back to permanent UTC on 2026-09-20 at 02:00.
    expect(monthPeriod('2026-09', 'Africa/Casablanca')).toEqual({
      start: '2026-08-31T23:00:00.000Z',
      end: '2026-10-01T00:00:00.000Z',
    });
  });

  it('tiles the time line: each month ends where the next begins', () => {
    fc.assert(
      fc.property(arbitraryMonth, arbitraryZone, (month, zone) => {
        const { start, end } = monthPeriod(month, zone);
        expect(start < end).toBe(true);
        expect(monthPeriod(nextMonth(month), zone).start).toBe(end);
        expect(monthOf(start, zone)).toBe(month);
        expect(monthOf(justBefore(end), zone)).toBe(month);
        expect(monthOf(end, zone)).toBe(nextMonth(month));
      }),
      { numRuns: 500 },
    );
  });

  it('begins when the wall calendar turns to the first of the month', () => {
    fc.assert(
      fc.property(arbitraryMonth, arbitraryZone, (month, zone) => {
        const { start } = monthPeriod(nextMonth(month), zone);
        expect(wallDate(start, zone)).toBe(`${nextMonth(month)}-01`);
        expect(wallDate(justBefore(start), zone).slice(0, 7)).toBe(month);
      }),
      { numRuns: 500 },
    );
  });

  it('is computed once and kept, and gives way when many others were asked for', () => {
    const period = monthPeriod('2026-03', 'Europe/Rome');
    expect(monthPeriod('2026-03', 'Europe/Rome')).toBe(period);
    for (let year = 2000; year < 2400; year++) {
      for (const month of monthsBetween(`${year}-01`, `${year}-11`)) monthPeriod(month, 'Asia/Kolkata');
    }
    expect(monthPeriod('2026-03', 'Europe/Rome')).not.toBe(period);
    expect(monthPeriod('2026-03', 'Europe/Rome')).toEqual(period);
  });

  it('cannot be changed by who asked for it', () => {
    expect(Object.isFrozen(monthPeriod('2026-03', 'Europe/Rome'))).toBe(true);
    expect(Object.isFrozen(daysOfMonth('2026-03', 'Europe/Rome')[0])).toBe(true);
  });

  it.each([
    ['2026-13', 'UTC'],
    ['2026-1', 'UTC'],
    ['2026-03', 'Mars/Phobos'],
  ])('throws on %s in %s', (month, zone) => expect(() => monthPeriod(month, zone)).toThrow(RangeError));
});

describe('monthOf and dayOf', () => {
  it('put every instant into the month and the day that hold it', () => {
    fc.assert(
      fc.property(arbitraryInstant(firstInstant, lastInstant), arbitraryZone, (instant, zone) => {
        const month = Month.parse(monthOf(instant, zone));
        const { start, end } = monthPeriod(month, zone);
        expect(start <= instant && (instant < end || instant === lastInstant)).toBe(true);
        const day = daysOfMonth(month, zone).find((candidate) => candidate.day === dayOf(instant, zone));
        expect(day !== undefined && day.start <= instant && (instant < day.end || instant === lastInstant)).toBe(true);
      }),
    );
  });

  it('agree with the wall calendar where no zone goes back over midnight', () => {
    // From 2012 on, none of these zones repeats the end of a day.
    fc.assert(
      fc.property(
        arbitraryInstant('2012-01-01T00:00:00.000Z', '2099-12-31T23:59:59.999Z'),
        arbitraryZone,
        (instant, zone) => {
          expect(dayOf(instant, zone)).toBe(wallDate(instant, zone));
          expect(monthOf(instant, zone)).toBe(wallDate(instant, zone).slice(0, 7));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each(['UTC', 'Europe/Rome', 'America/New_York', 'Pacific/Kiritimati', 'Pacific/Pago_Pago'])(
    'hold at both ends of the time line in %s',
    (zone) => {
      const first = monthOf(firstInstant, zone);
      expect(monthPeriod(first, zone).start).toBe(firstInstant);
      expect([firstMonth, '1970-01']).toContain(first);
      expect(monthOf(lastInstant, zone)).toBe(lastMonth);
      expect(monthPeriod(lastMonth, zone).end).toBe(lastInstant);
      expect(dayOf(lastInstant, zone)).toBe('9999-12-31');
    },
  );
});

describe('daysOfMonth', () => {
  it('tiles the month', () => {
    fc.assert(
      fc.property(arbitraryMonth, arbitraryZone, (month, zone) => {
        const days = daysOfMonth(month, zone);
        const { start, end } = monthPeriod(month, zone);
        expect([...days.map((day) => day.start), end]).toEqual([start, ...days.map((day) => day.end)]);
        expect(days.every((day) => day.start < day.end && day.day.startsWith(month))).toBe(true);
      }),
    );
  });

  it('leaves out the day that Apia skipped when it crossed the date line', () => {
    const days = daysOfMonth('2011-12', 'Pacific/Apia').map(({ day }) => day);
    expect(days).toHaveLength(30);
    expect(days.slice(-2)).toEqual(['2011-12-29', '2011-12-31']);
  });
});

describe('daysInMonth', () => {
  it.each([
    ['2026-02', 28],
    ['2024-02', 29],
    ['2100-02', 28],
    ['2000-02', 29],
    ['2026-04', 30],
    ['2026-12', 31],
  ])('of %s is %i', (month, days) => expect(daysInMonth(month)).toBe(days));
});

describe('nextMonth and previousMonth', () => {
  it('cross the year', () => {
    expect(nextMonth('2026-12')).toBe('2027-01');
    expect(previousMonth('2027-01')).toBe('2026-12');
  });

  it('undo each other', () => {
    fc.assert(
      fc.property(arbitraryMonth, (month) => {
        expect(previousMonth(nextMonth(month))).toBe(month);
      }),
    );
  });

  it('throw beyond the ends of the time line', () => {
    expect(() => nextMonth(lastMonth)).toThrow(RangeError);
    expect(() => previousMonth(firstMonth)).toThrow(RangeError);
  });
});

describe('monthsBetween', () => {
  it('counts both ends', () => {
    expect(monthsBetween('2025-11', '2026-02')).toEqual(['2025-11', '2025-12', '2026-01', '2026-02']);
    expect(monthsBetween('2026-03', '2026-03')).toEqual(['2026-03']);
  });

  it('is empty when the last is before the first', () => expect(monthsBetween('2026-03', '2026-02')).toEqual([]));

  it('has a limit of a century', () => {
    expect(monthsBetween('2000-01', '2099-12')).toHaveLength(1200);
    expect(() => monthsBetween('2000-01', '2100-01')).toThrow(RangeError);
  });
});
