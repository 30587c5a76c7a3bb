import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantFromMs, msOfInstant } from '../domain/instant.ts';
import { dayOf, monthOf, monthPeriod } from '../domain/month.ts';
import { activeDays, type Span } from './active-days.ts';

const zone = 'Europe/Rome';
const month = '2026-03';
const noon = (day: number): string => `2026-03-${String(day).padStart(2, '0')}T11:00:00.000Z`;

describe('activeDays', () => {
  it('bills a key that was active on more than 14 days, and not on 14', () => {
    expect(activeDays([{ from: noon(1), to: noon(14) }], month, zone)).toEqual({ days: 14, billable: false });
    expect(activeDays([{ from: noon(1), to: noon(15) }], month, zone)).toEqual({ days: 15, billable: true });
  });

  it('takes the limit of the agreement instead of 14', () => {
    expect(
      activeDays([{ from: noon(1), to: noon(1).replace('11:', '12:') }], month, zone, { billableOverDays: 0 }),
    ).toEqual({
      days: 1,
      billable: true,
    });
    expect(activeDays([], month, zone, { billableOverDays: 0 })).toEqual({ days: 0, billable: false });
  });

  it('counts a day once, however often the key was active on it', () => {
    const spans = [9, 10, 11].map((hour) => ({
      from: `2026-03-05T${String(hour).padStart(2, '0')}:00:00.000Z`,
      to: `2026-03-05T${String(hour).padStart(2, '0')}:30:00.000Z`,
    }));
    expect(activeDays(spans, month, zone).days).toBe(1);
  });

  it('does not count the day that begins as the activity ends', () => {
    const midnight = '2026-03-05T23:00:00.000Z';
    expect(activeDays([{ from: noon(5), to: midnight }], month, zone).days).toBe(1);
    expect(activeDays([{ from: noon(5), to: '2026-03-05T23:00:00.001Z' }], month, zone).days).toBe(2);
  });

  it('counts no day for a span without length', () => {
    expect(activeDays([{ from: noon(5), to: noon(5) }], month, zone).days).toBe(0);
  });

  it('counts the days of the month alone', () => {
    expect(activeDays([{ from: '2020-01-01T00:00:00.000Z', to: null }], month, zone).days).toBe(31);
    expect(activeDays([{ from: '2026-04-01T00:00:00.000Z', to: null }], month, zone).days).toBe(0);
    expect(activeDays([{ from: '2000-01-01T00:00:00.000Z', to: null }], '2011-12', 'Pacific/Apia').days).toBe(30);
  });

  it('agrees with asking every hour what day it is', () => {
    const { start, end } = monthPeriod(month, zone);
    const hourMs = 3_600_000;
    const firstHour = msOfInstant(start) / hourMs - 100;
    const lastHour = msOfInstant(end) / hourMs + 100;
    const hour = fc.integer({ min: firstHour, max: lastHour });
    const arbitrarySpan = fc.tuple(hour, fc.option(hour)).map(
      ([from, to]): Span => ({
        from: instantFromMs(from * hourMs),
        to: to === null ? null : instantFromMs(Math.max(from, to) * hourMs),
      }),
    );
    fc.assert(
      fc.property(fc.array(arbitrarySpan, { maxLength: 3 }), (spans) => {
        const days = new Set<string>();
        for (let at = firstHour; at < lastHour; at++) {
          const instant = instantFromMs(at * hourMs);
          if (monthOf(instant, zone) !== month) continue;
          if (spans.some(({ from, to }) => from <= instant && (to === null || instant < to)))
            days.add(dayOf(instant, zone));
        }
        expect(activeDays(spans, month, zone).days).toBe(days.size);
      }),
    );
  });
});
