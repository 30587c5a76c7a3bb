import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { describe, expect, test } from 'vitest';
import { dayMs, hourMs, leaseOf, minuteMs, SiteInMemory, testIds } from '../testing/site-in-memory.ts';
import { idleRegistrationMs } from './roll.ts';

function siteWithKey(leaseMs = 3650 * dayMs): SiteInMemory {
  const site = new SiteInMemory();
  site.welcome({ leases: [leaseOf(site.clock.now(), leaseMs)] });
  site.run({ kind: 'disconnected', aliveAgoMs: 0 });
  return site;
}
const last = (site: SiteInMemory) => site.entries.at(-1);

describe('check-in', () => {
  test('an agent is deployed, changed, removed, and each is an entry dated the check-in', () => {
    const site = siteWithKey();
    const { endpointId } = site.endpoint(1);
    const answer = site.checkIn(1);
    expect(answer).toEqual({
      ok: true,
      at: site.clock.now(),
      deployed: true,
      keyState: 'active',
      allowed: { backup: true, deploy: true, restore: true },
      nextCheckInSeconds: 900,
    });
    expect(last(site)).toMatchObject({
      at: site.clock.now(),
      kind: 'agent-deployed',
      body: {
        endpointId,
        machineId: 'machine-1',
        keyId: testIds.key,
        agentKind: 'server',
        origin: 'managed',
        hostName: 'host-1',
      },
    });
    site.clock.advance(minuteMs);
    site.checkIn(1, 'workstation');
    expect(last(site)).toMatchObject({
      kind: 'agent-changed',
      at: site.clock.now(),
      body: { agentKindBefore: 'server', agentKind: 'workstation' },
    });
    site.checkIn(1, 'workstation', '2.0');
    expect(last(site)).toMatchObject({
      kind: 'agent-changed',
      body: { agentKindBefore: 'workstation', agentKind: 'workstation', agentVersion: '2.0' },
    });
    const before = site.entries.length;
    site.checkIn(1, 'workstation', '2.0');
    expect(site.entries.length).toBe(before);
    expect(site.checkIn(1, null)).toMatchObject({ ok: true, deployed: false });
    expect(last(site)).toMatchObject({
      kind: 'agent-removed',
      body: { endpointId, agentKind: 'workstation', reason: 'uninstalled' },
    });
    expect(site.checkIn(1, null)).toMatchObject({ ok: true, deployed: false });
    expect(site.entries.length).toBe(before + 1);
  });

  test.each([
    { name: 'in the first quarter', at: 0, code: null },
    { name: 'in warning', at: 0.25, code: null },
    { name: 'in restricted', at: 0.5, code: 'KEY_RESTRICTED' },
    { name: 'disabled', at: 1, code: 'KEY_DISABLED' },
  ])('of a new agent $name of the lease: $code; of a deployed one always heard', ({ at, code }) => {
    const site = siteWithKey(8 * dayMs);
    site.endpoint(1);
    site.endpoint(2);
    site.checkIn(1);
    site.clock.advance(8 * dayMs * at);
    const fresh = site.checkIn(2);
    expect(fresh.ok ? null : fresh.code).toBe(code);
    expect(site.checkIn(1)).toMatchObject({ ok: true, allowed: { restore: true } });
    expect(site.state.soft.registrations.get(testIds.endpoint(1))?.lastHeardAt).toBe(site.clock.now());
    expect(site.state.soft.registrations.get(testIds.endpoint(2))?.lastHeardAt).toBe(
      code === null ? site.clock.now() : null,
    );
  });

  test('is refused without a key, with a deactivated key, and with a credential nobody has', () => {
    const site = new SiteInMemory();
    site.endpoint(1);
    expect(site.checkIn(1)).toMatchObject({ ok: false, code: 'NO_KEY' });
    expect(site.checkIn(9)).toMatchObject({ ok: false, code: 'CREDENTIAL_WRONG' });
    const now = site.clock.now();
    site.welcome({
      leases: [leaseOf(now, dayMs)],
      commands: [{ id: testIds.command(1), name: 'deactivate-key', keyId: testIds.key, issuedAt: now }],
    });
    expect(site.checkIn(1)).toMatchObject({ ok: false, code: 'KEY_DEACTIVATED' });
  });

  test('waits while the time is unconfirmed, and changes nothing then', () => {
    const site = siteWithKey();
    site.endpoint(1);
    site.clock.advance(60 * dayMs);
    const before = site.entries.length;
    site.restart();
    expect(site.checkIn(1)).toMatchObject({ ok: false, code: 'TIME_UNCONFIRMED' });
    expect(site.entries.length).toBe(before);
  });
});

describe('registration', () => {
  test('again by the same machine keeps its endpoint and ends the old credential', () => {
    const site = siteWithKey();
    const first = site.endpoint(1);
    site.checkIn(1);
    const again = site.run({
      kind: 'register',
      machineId: 'machine-1',
      hostName: 'host-1b',
      proof: { by: 'product-key', keyTextHash: leaseOf(site.clock.now(), 1).keyTextHash },
      credentialHash: nodeDigest.sha256('second'),
      newEndpointId: testIds.endpoint(77),
    });
    expect(again).toEqual({ ok: true, endpointId: first.endpointId });
    expect(site.checkIn(1)).toMatchObject({ ok: false, code: 'CREDENTIAL_WRONG' });
    const agent = { kind: 'server', product: 'metered-agent', agentVersion: '1.0', hostName: 'host-1b' } as const;
    expect(site.run({ kind: 'check-in', credentialHash: nodeDigest.sha256('second'), agent })).toMatchObject({
      ok: true,
    });
    expect(last(site)).toMatchObject({ kind: 'agent-changed', body: { origin: 'standalone', hostName: 'host-1b' } });
  });

  test('with a product key that is not the site’s is refused', () => {
    const site = siteWithKey();
    const request = {
      machineId: 'machine-1',
      hostName: 'host-1',
      credentialHash: nodeDigest.sha256('x'),
      newEndpointId: testIds.endpoint(1),
    };
    const answer = site.run({
      kind: 'register',
      ...request,
      proof: { by: 'product-key', keyTextHash: nodeDigest.sha256('other') },
    });
    expect(answer).toMatchObject({ ok: false, code: 'PRODUCT_KEY_WRONG' });
    expect(site.state.soft.registrations.size).toBe(0);
  });

  test('past the limit makes room by the longest idle one, and not before it was idle for a day', {
    timeout: 60_000,
  }, () => {
    const site = siteWithKey();
    for (let n = 1; n <= 5_000; n++) site.endpoint(n);
    expect(() => site.endpoint(5_001)).toThrow('ENDPOINT_LIMIT');
    site.checkIn(1);
    site.clock.advance(idleRegistrationMs);
    expect(site.endpoint(5_001).endpointId).toBe(testIds.endpoint(5_001));
    expect(site.state.soft.registrations.has(testIds.endpoint(1))).toBe(true);
    expect(site.state.soft.registrations.has(testIds.endpoint(2))).toBe(false);
    expect(site.checkIn(2)).toMatchObject({ ok: false, code: 'CREDENTIAL_WRONG' });
  });
});

describe('the limit of registrations', { timeout: 60_000 }, () => {
  const tryEndpoint = (site: SiteInMemory, n: number): boolean => {
    try {
      site.endpoint(n);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ message: 'ENDPOINT_LIMIT' });
      return false;
    }
  };

  test('holds for machines that say they run no agent, and checking in does not keep them', () => {
    const site = siteWithKey();
    let taken = 0;
    for (let n = 1; n <= 5_500; n++) {
      if (!tryEndpoint(site, n)) continue;
      taken++;
      expect(site.checkIn(n, null)).toMatchObject({ ok: true, deployed: false });
    }
    expect([taken, site.state.soft.registrations.size]).toEqual([5_000, 5_000]);
    site.clock.advance(idleRegistrationMs);
    site.checkIn(1, null);
    expect(tryEndpoint(site, 6_000)).toBe(true);
    expect(site.state.soft.registrations.size).toBe(5_000);
    expect(site.checkIn(1, null)).toMatchObject({ ok: false, code: 'CREDENTIAL_WRONG' });
  });

  test('lets those go whose agent ended, longest first; such a machine comes back as the endpoint it was', () => {
    const site = siteWithKey();
    for (let n = 1; n <= 5_000; n++) {
      site.endpoint(n);
      site.checkIn(n);
    }
    site.checkIn(7, null);
    site.clock.advance(hourMs);
    site.checkIn(8, null);
    site.clock.advance(idleRegistrationMs - hourMs - 1);
    expect(tryEndpoint(site, 5_001)).toBe(false);
    site.clock.advance(1);
    expect(tryEndpoint(site, 5_001)).toBe(true);
    expect(site.checkIn(7, null)).toMatchObject({ ok: false, code: 'CREDENTIAL_WRONG' });
    expect(site.checkIn(8, null)).toMatchObject({ ok: true });
    expect(tryEndpoint(site, 7)).toBe(false);
    site.clock.advance(hourMs);
    const request = { machineId: 'machine-7', hostName: 'host-7', proof: { by: 'join-code' as const } };
    const again = { ...request, credentialHash: nodeDigest.sha256('again'), newEndpointId: testIds.endpoint(9_999) };
    expect(site.run({ kind: 'register', ...again })).toEqual({ ok: true, endpointId: testIds.endpoint(7) });
    const lasting = ({ endpointOfMachine, endpointOfCredential, removedAt, soft }: SiteInMemory['state']) => [
      endpointOfMachine,
      endpointOfCredential,
      removedAt,
      soft.registrations,
    ];
    expect(lasting(site.rebuilt())).toEqual(lasting(site.state));
  });
});

describe('removal', () => {
  test('by the operator, and the agent is deployed again when it still checks in', () => {
    const site = siteWithKey();
    const { endpointId } = site.endpoint(1);
    expect(site.run({ kind: 'remove-endpoint', endpointId, reason: 'operator' })).toMatchObject({
      ok: false,
      code: 'NOT_DEPLOYED',
    });
    expect(site.run({ kind: 'remove-endpoint', endpointId: testIds.endpoint(9), reason: 'operator' })).toMatchObject({
      code: 'NOT_FOUND',
    });
    site.checkIn(1);
    expect(site.run({ kind: 'remove-endpoint', endpointId, reason: 'replaced' })).toEqual({ ok: true, removed: true });
    expect(last(site)).toMatchObject({ kind: 'agent-removed', body: { reason: 'replaced' } });
    site.checkIn(1);
    expect(last(site)).toMatchObject({ kind: 'agent-deployed', body: { endpointId } });
  });

  test('of a stale agent happens exactly at the limit, in order, and a late wake-up writes the same', () => {
    const site = siteWithKey();
    for (const n of [1, 2, 3]) {
      site.endpoint(n);
      site.checkIn(n);
      site.clock.advance(hourMs);
    }
    site.checkIn(1);
    const heard = { 1: site.clock.now(), 2: undefined };
    const start = msOfInstant(heard[1]);
    site.clock.advance(31 * dayMs);
    site.run({ kind: 'tick' });
    const removed = site.entries.filter((entry) => entry.kind === 'agent-removed');
    expect(removed.map((entry) => [entry.body.endpointId, entry.at, entry.body.reason])).toEqual([
      [testIds.endpoint(2), instantFromMs(start - 2 * hourMs + 30 * dayMs), 'stale'],
      [testIds.endpoint(3), instantFromMs(start - hourMs + 30 * dayMs), 'stale'],
      [testIds.endpoint(1), instantFromMs(start + 30 * dayMs), 'stale'],
    ]);
    site.checkIn(2);
    expect(last(site)).toMatchObject({ kind: 'agent-deployed', body: { endpointId: testIds.endpoint(2) } });
  });

  test('never happens with a limit of 0, and a shorter limit takes effect at once', () => {
    const site = siteWithKey();
    site.endpoint(1);
    site.checkIn(1);
    site.run({ kind: 'settings', settings: { staleAfterDays: 0 } });
    site.clock.advance(400 * dayMs);
    site.run({ kind: 'tick' });
    expect(site.state.agents.size).toBe(1);
    site.run({ kind: 'settings', settings: { staleAfterDays: 10 } });
    expect(site.state.agents.size).toBe(0);
    expect(last(site)).toMatchObject({ kind: 'agent-removed', at: site.clock.now() });
  });
});
