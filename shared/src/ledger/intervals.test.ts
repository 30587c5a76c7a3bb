import { describe, expect, it } from 'vitest';
import type { EntryDraft } from './entry.ts';
import { countChanges, IntervalBook } from './intervals.ts';

const endpointId = `ep_${'a'.repeat(20)}`;
const agentFacts = { hostName: 'srv1', origin: 'managed', product: 'metered-agent', agentVersion: '8.1' } as const;
const deployed = (at: string): EntryDraft => ({
  at,
  kind: 'agent-deployed',
  body: { endpointId, machineId: 'machine-1', keyId: `key_${'a'.repeat(20)}`, agentKind: 'workstation', ...agentFacts },
});
const changed = (
  at: string,
  agentKindBefore: 'server' | 'workstation',
  agentKind: 'server' | 'workstation',
): EntryDraft => ({
  at,
  kind: 'agent-changed',
  body: { endpointId, agentKindBefore, agentKind, ...agentFacts },
});
const removed = (at: string, agentKind: 'server' | 'workstation'): EntryDraft => ({
  at,
  kind: 'agent-removed',
  body: { endpointId, agentKind, reason: 'uninstalled' },
});

const [t1, t2, t3] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', '2026-01-03T00:00:00.000Z'] as const;

describe('intervals from entries', () => {
  it('a change of kind ends one interval and begins another at the same instant', () => {
    const book = new IntervalBook();
    for (const entry of [deployed(t1), changed(t2, 'workstation', 'server'), removed(t3, 'server')]) book.apply(entry);
    expect(book.all()).toEqual([
      { endpoint: endpointId, kind: 'workstation', deployedAt: t1, removedAt: t2 },
      { endpoint: endpointId, kind: 'server', deployedAt: t2, removedAt: t3 },
    ]);
  });

  it('a change of name or version touches no count', () => {
    expect(countChanges(changed(t2, 'server', 'server'))).toEqual([]);
  });

  it.each([
    ['deployed twice', [deployed(t1), deployed(t2)]],
    ['removed without being there', [removed(t1, 'server')]],
    ['removed as another kind', [deployed(t1), removed(t2, 'server')]],
  ])('an agent %s is a contradiction', (_case, entries) => {
    const book = new IntervalBook();
    expect(() => {
      for (const entry of entries) book.apply(entry);
    }).toThrow(RangeError);
  });

  it('forgets only what ended at or before the instant', () => {
    const book = new IntervalBook();
    for (const entry of [deployed(t1), changed(t2, 'workstation', 'server'), removed(t3, 'server')]) book.apply(entry);
    book.forgetBefore(t2);
    expect(book.all().map(({ removedAt }) => removedAt)).toEqual([t3]);
  });
});
