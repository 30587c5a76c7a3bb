import { describe, expect, it } from 'vitest';
import { siteStanding } from './site-standing.ts';

const now = Date.parse('2026-11-22T12:00:00.000Z');
const ago = (minutes: number): string => new Date(now - minutes * 60_000).toISOString();
const heard = { connected: false, closedAt: null, enrolledAt: ago(99_999), lastContactAt: ago(10), flag: null };

describe('how a site stands', () => {
  // In order of precedence: each row beats the ones below it.
  it.each([
    ['closed, whatever else', { closedAt: ago(1), connected: true, flag: 'FORK' }, 'calm', 'Closed'],
    [
      'connected, though another one with its identity was flagged',
      { connected: true, flag: 'CLONE_SUSPECTED' },
      'good',
      'Connected',
    ],
    ['flagged and not connected', { flag: 'FORK', enrolledAt: null }, 'bad', 'Refused'],
    ['without a Site Manager', { enrolledAt: null, lastContactAt: null }, 'calm', 'Not enrolled'],
    ['heard within five minutes: a break of the line', { lastContactAt: ago(4.99) }, 'good', 'In contact'],
    ['not heard for five minutes', { lastContactAt: ago(5) }, 'warn', 'Out of contact'],
    ['not heard for a day, less a moment', { lastContactAt: ago(24 * 60 - 0.01) }, 'warn', 'Out of contact'],
    ['not heard for a day', { lastContactAt: ago(24 * 60) }, 'bad', 'Silent'],
    ['enrolled yesterday and never heard since', { enrolledAt: ago(24 * 60), lastContactAt: null }, 'bad', 'Silent'],
    ['enrolled a moment ago', { enrolledAt: ago(1), lastContactAt: null }, 'good', 'In contact'],
  ] as const)('%s', (_case, facts, tone, label) => {
    expect(siteStanding({ ...heard, ...facts }, now)).toEqual({ tone, label });
  });
});
