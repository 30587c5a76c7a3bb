import { describe, expect, it } from 'vitest';
import { calendarDay, clockTime, dayText, timeAgo, wholeTime } from './time-text.ts';

const now = Date.parse('2026-11-22T12:00:00.000Z');
const before = (ms: number): string => new Date(now - ms).toISOString();
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

describe('how long ago', () => {
  it.each([
    [0, 'just now'],
    [59 * second, 'just now'],
    [minute, '1 min ago'],
    [2 * minute - 1, '1 min ago'],
    [59 * minute + 59 * second, '59 min ago'],
    [hour, '1 h ago'],
    [day - 1, '23 h ago'],
    [day, '1 day ago'],
    [2 * day, '2 days ago'],
    [31 * day - 1, '30 days ago'],
    [31 * day, '22 Oct 2026'],
    [400 * day, '18 Oct 2025'],
  ])('%d ms are %s', (ms, text) => {
    expect(timeAgo(before(ms), now, 'UTC')).toBe(text);
  });

  it('takes an instant ahead of now for now: two clocks never agree to the second', () => {
    expect(timeAgo(before(-5 * minute), now)).toBe('just now');
  });
});

describe('a moment in words', () => {
  it('stands in the zone asked for', () => {
    expect(dayText('2026-12-31T23:30:00.000Z', 'UTC')).toBe('31 Dec 2026');
    expect(dayText('2026-12-31T23:30:00.000Z', 'Europe/Rome')).toBe('1 Jan 2027');
  });

  it('is told to the second with its zone', () => {
    expect(wholeTime('2026-03-14T08:05:07.000Z', 'UTC')).toBe('14 Mar 2026, 08:05:07 UTC');
    expect(wholeTime('2026-07-01T22:00:00.000Z', 'Europe/London')).toBe('1 Jul 2026, 23:00:00 BST');
  });

  it('as a time of day has two digits each', () => {
    expect(clockTime(Date.parse('2026-11-22T04:03:02.999Z'), 'UTC')).toBe('04:03:02');
  });
});

describe('a calendar day', () => {
  it('is moved by no zone', () => {
    expect(calendarDay('2026-04-30')).toBe('30 Apr 2026');
    expect(calendarDay('2028-02-29')).toBe('29 Feb 2028');
  });

  it.each(['', 'soon', '2026-13-01', '2026-04-30T00:00:00Z'])('that is none stays as it came: "%s"', (text) => {
    expect(calendarDay(text)).toBe(text);
  });
});
