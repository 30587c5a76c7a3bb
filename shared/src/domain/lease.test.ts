import { describe, expect, it } from 'vitest';
import { allowedIn, leaseStageAt, stageBeginsAt } from './lease.ts';

const lease = { issuedAt: '2026-03-01T00:00:00.000Z', until: '2026-03-15T00:00:00.000Z' };

describe('the stages of a lease', () => {
  it.each([
    ['2026-02-28T23:59:59.999Z', 'active', 'a clock behind the issue changes nothing'],
    ['2026-03-01T00:00:00.000Z', 'active', 'fresh'],
    ['2026-03-04T11:59:59.999Z', 'active', 'the last instant of the first quarter'],
    ['2026-03-04T12:00:00.000Z', 'warning', 'a quarter has passed'],
    ['2026-03-07T23:59:59.999Z', 'warning', 'the last instant of the first half'],
    ['2026-03-08T00:00:00.000Z', 'restricted', 'half has passed'],
    ['2026-03-14T23:59:59.999Z', 'restricted', 'the last instant of the lease'],
    ['2026-03-15T00:00:00.000Z', 'disabled-offline', 'the lease ran out'],
    ['2036-03-15T00:00:00.000Z', 'disabled-offline', 'long ago'],
  ])('at %s is %s: %s', (now, stage) => {
    expect(leaseStageAt(lease, now)).toBe(stage);
  });

  it('begin in order also for a lease too short to divide evenly', () => {
    const short = { issuedAt: '2026-03-01T00:00:00.000Z', until: '2026-03-01T00:00:00.003Z' };
    const begins = (['active', 'warning', 'restricted', 'disabled-offline'] as const).map((stage) =>
      stageBeginsAt(short, stage),
    );
    expect(begins).toEqual([...begins].sort());
    expect(begins.at(-1)).toBe(short.until);
  });

  it.each([
    ['active', true, true],
    ['warning', true, true],
    ['restricted', true, false],
    ['disabled-offline', false, false],
    ['deactivated', false, false],
  ] as const)('%s: backups %s, new deployments %s, restoring always', (state, backup, deploy) => {
    expect(allowedIn(state)).toEqual({ backup, deploy, restore: true });
  });
});
