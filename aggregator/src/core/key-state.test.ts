import { describe, expect, it } from 'vitest';
import { portalKeyState, type StoredKey } from './key-state.ts';

const key = (facts: Partial<StoredKey>): StoredKey => ({
  id: 'key_00000000000000000000',
  siteId: 'site_00000000000000000000',
  product: 'metered-agent',
  keyHint: 'abcde',
  wish: 'active',
  siteState: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  leaseIssuedAt: null,
  leaseUntil: null,
  ...facts,
});
// A lease of 16 days: a quarter of it is 4 days.
const leased = { leaseIssuedAt: '2026-01-01T00:00:00.000Z', leaseUntil: '2026-01-17T00:00:00.000Z' };

describe('the state the portal shows of a key', () => {
  it.each([
    ['never called home', {}, '2026-01-02T00:00:00.000Z', 'never-used'],
    ['in use, lease fresh', { ...leased, siteState: 'active' }, '2026-01-04T23:59:59.999Z', 'ok'],
    ['leased, the site has not said a word yet', { ...leased }, '2026-01-02T00:00:00.000Z', 'ok'],
    ['said to be active, no lease recorded', { siteState: 'active' }, '2026-06-02T00:00:00.000Z', 'ok'],
    ['a quarter of the lease passed', { ...leased, siteState: 'active' }, '2026-01-05T00:00:00.000Z', 'critical'],
    ['the site itself warns', { ...leased, siteState: 'warning' }, '2026-01-02T00:00:00.000Z', 'critical'],
    ['the site itself restricts', { ...leased, siteState: 'restricted' }, '2026-01-02T00:00:00.000Z', 'critical'],
    ['just before the lease runs out', { ...leased, siteState: 'active' }, '2026-01-16T23:59:59.999Z', 'critical'],
    ['the lease ran out', { ...leased, siteState: 'active' }, '2026-01-17T00:00:00.000Z', 'disabled-offline'],
    [
      'the site said it ran out',
      { ...leased, siteState: 'disabled-offline' },
      '2026-01-02T00:00:00.000Z',
      'disabled-offline',
    ],
    [
      'deactivation asked for',
      { ...leased, siteState: 'active', wish: 'deactivated' },
      '2026-01-02T00:00:00.000Z',
      'deactivation-requested',
    ],
    [
      'deactivation asked of a site out of contact',
      { ...leased, siteState: 'disabled-offline', wish: 'deactivated' },
      '2026-03-01T00:00:00.000Z',
      'deactivation-requested',
    ],
    [
      'deactivation confirmed',
      { ...leased, siteState: 'deactivated', wish: 'deactivated' },
      '2026-01-02T00:00:00.000Z',
      'deactivated',
    ],
    ['deactivated before anybody used it', { wish: 'deactivated' }, '2026-01-02T00:00:00.000Z', 'deactivated'],
    [
      'reactivation asked for',
      { ...leased, siteState: 'deactivated' },
      '2026-01-02T00:00:00.000Z',
      'reactivation-requested',
    ],
    [
      'reactivation asked of a site out of contact',
      { ...leased, siteState: 'deactivated' },
      '2026-03-01T00:00:00.000Z',
      'reactivation-requested',
    ],
  ] as const)('%s', (_case, facts, now, state) => {
    expect(portalKeyState(key(facts), now)).toBe(state);
  });
});
