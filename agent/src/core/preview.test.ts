import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { expect, test } from 'vitest';
import { dayMs, leaseOf, SiteInMemory } from '../testing/site-in-memory.ts';
import { previewStart } from './preview.ts';
import { siteStatus } from './site-status.ts';

test.each([
  { days: 1, key: 'active', month: '2026-01', servers: 1, inDoubt: false },
  { days: 8, key: 'restricted', month: '2026-01', servers: 1, inDoubt: false },
  { days: 100, key: 'disabled-offline', month: '2026-04', servers: 0, inDoubt: false },
  // Nobody could confirm such a clock: what it says is not lived through.
  { days: 4_000, key: 'active', month: '2026-01', servers: 1, inDoubt: true },
])(
  'a site that was off for $days days is shown as its service would find it',
  ({ days, key, month, servers, inDoubt }) => {
    const site = new SiteInMemory();
    site.welcome({ leases: [leaseOf(site.clock.now(), 14 * dayMs)] });
    site.endpoint(1);
    site.checkIn(1);
    site.clock.advance(days * dayMs);
    const state = site.rebuilt();
    previewStart(state, site.reading, nodeDigest);
    const status = siteStatus(state, site.reading, { aggregatorUrl: 'https://a', software: 's' });
    expect(status).toMatchObject({ month, deployed: { server: servers } });
    expect(status.keys[0]?.state).toBe(key);
    expect(status.conditions.some(({ code }) => code === 'TIME_UNCONFIRMED')).toBe(inDoubt);
    expect(status.now).toBe(site.clock.now());
  },
);
