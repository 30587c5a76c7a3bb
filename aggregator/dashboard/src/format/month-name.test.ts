import { describe, expect, it, vi } from 'vitest';
import { monthName } from './month-name.ts';

describe('the name of a month', () => {
  it.each([
    ['2026-03', 'March 2026'],
    ['2026-12', 'December 2026'],
    ['2027-01', 'January 2027'],
    ['1969-12', 'December 1969'],
    ['9999-12', 'December 9999'],
  ])('of %s is %s', (month, name) => {
    expect(monthName(month)).toBe(name);
  });

  it.each(['Pacific/Kiritimati', 'Pacific/Pago_Pago'])('is the same on a machine in %s', async (zone) => {
    vi.stubEnv('TZ', zone);
    vi.resetModules();
    try {
      expect(new Date(0).getTimezoneOffset()).not.toBe(0);
      expect((await import('./month-name.ts')).monthName('2026-03')).toBe('March 2026');
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
