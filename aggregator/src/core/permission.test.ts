import { describe, expect, it } from 'vitest';
import { type Action, may, permissions } from './permission.ts';
import type { Scope } from './scope.ts';

const vendor: Scope = { organisationId: 'org_v', kind: 'vendor', path: 'org_v/' };
const distributor: Scope = { organisationId: 'org_d', kind: 'distributor', path: 'org_v/org_d/' };
const msp: Scope = { organisationId: 'org_m', kind: 'msp', path: 'org_v/org_d/org_m/' };
/** Begins with the same letters as the distributor's path, and is another one's. */
const namesake = 'org_v/org_d2/';

const own = (Object.keys(permissions) as Action[]).filter((action) => permissions[action].place === 'own');
const branch = (Object.keys(permissions) as Action[]).filter((action) => permissions[action].place === 'branch');

describe('may', () => {
  it('has actions of both places to decide about', () => {
    expect(own).toEqual(['self.read', 'agreement.read', 'agreement.create', 'invoice.read', 'month.close']);
    expect(branch.length).toBeGreaterThan(15);
  });

  it.each(branch)('%s: within the own branch, and nowhere else', (action) => {
    expect(may(vendor, action, msp.path)).toBe(true);
    expect(may(distributor, action, distributor.path)).toBe(true);
    expect(may(distributor, action, msp.path)).toBe(true);
    expect(may(distributor, action, vendor.path)).toBe(false);
    expect(may(distributor, action, namesake)).toBe(false);
    expect(may(msp, action, distributor.path)).toBe(false);
  });

  it.each(own)('%s: at the own organisation, not below it', (action) => {
    expect(may(distributor, action, distributor.path)).toBe(true);
    expect(may(distributor, action, msp.path)).toBe(false);
    expect(may(vendor, action, distributor.path)).toBe(false);
    expect(may(msp, action, distributor.path)).toBe(false);
  });

  it.each(['organisation.create', 'agreement.create', 'month.close'] as const)(
    '%s: never by an MSP, which has nobody below it',
    (action) => {
      expect(may(msp, action, msp.path)).toBe(false);
    },
  );

  it.each([
    'account.create',
    'site.create',
    'site.close',
    'key.create',
    'key.change',
    'enrolment-token.create',
    'api-token.create',
  ] as const)('%s: by an MSP at its own', (action) => {
    expect(may(msp, action, msp.path)).toBe(true);
  });
});
