import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { describe, expect, it } from 'vitest';
import type { StoredKey } from './key-state.ts';
import { leaseMsDefault, leasesDue, renewalIntervalMs } from './leases.ts';

const now = '2026-03-01T12:00:00.000Z';
const siteId = 'site_00000000000000000001';
const key = (index: number, wish: StoredKey['wish']): { key: StoredKey; keyText: string } => ({
  key: {
    id: `key_0000000000000000000${index}`,
    siteId,
    product: 'metered-agent',
    keyHint: 'abcde',
    wish,
    siteState: null,
    createdAt: now,
    leaseIssuedAt: null,
    leaseUntil: null,
  },
  keyText: `text-${index}`,
});

describe('leases', () => {
  it('are given to the keys that are wanted active', () => {
    const keys = [key(1, 'active'), key(2, 'deactivated'), key(3, 'active')];
    const leases = leasesDue({ siteId, closedAt: null }, keys, now, 3_600_000, nodeDigest);
    expect(leases.map(({ keyId }) => keyId)).toEqual([keys[0]!.key.id, keys[2]!.key.id]);
    expect(leases[0]).toEqual({
      siteId,
      keyId: keys[0]!.key.id,
      product: 'metered-agent',
      keyTextHash: nodeDigest.sha256('text-1'),
      keyHint: 'abcde',
      issuedAt: now,
      until: '2026-03-01T13:00:00.000Z',
    });
  });

  it('are given to no key of a closed site', () => {
    expect(leasesDue({ siteId, closedAt: now }, [key(1, 'active')], now, 3_600_000, nodeDigest)).toEqual([]);
  });

  it('are renewed after a twenty-fourth, and at least every hour', () => {
    expect(renewalIntervalMs(24_000)).toBe(1_000);
    expect(renewalIntervalMs(24 * 3_600_000)).toBe(3_600_000);
    expect(renewalIntervalMs(leaseMsDefault)).toBe(3_600_000);
  });
});
