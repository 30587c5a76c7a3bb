import { describe, expect, it } from 'vitest';
import { nodeDigest } from '../node/crypto.ts';
import { chainDrafts, emptyHead, followChain } from './chain.ts';
import type { EntryDraft } from './entry.ts';
import { readEntry } from './entry.ts';
import { entryBytesMax } from './entry-size.ts';

const draft = (at: string, since: string): EntryDraft => ({ at, kind: 'contact-lost', body: { since } });
const drafts = ['2026-01-01', '2026-01-02', '2026-01-02', '2026-01-03'].map((day) =>
  draft(`${day}T00:00:00.000Z`, '2025-12-31T00:00:00.000Z'),
);
const { entries: chained, head } = chainDrafts(emptyHead, drafts, nodeDigest);
const entries = chained.map(({ entry }) => entry);

describe('the chain', () => {
  it('numbers from 1 and links each entry to the one before', () => {
    expect(entries.map((entry) => entry.seq)).toEqual([1, 2, 3, 4]);
    expect(entries[0]?.prev).toBe('0'.repeat(64));
    expect(entries.slice(1).map((entry) => entry.prev)).toEqual(chained.slice(0, -1).map(({ hash }) => hash));
  });

  it('is followed from its start and from any head within it', () => {
    expect(followChain(emptyHead, entries, nodeDigest)).toMatchObject({ ok: true, head });
    const after2 = followChain(emptyHead, entries.slice(0, 2), nodeDigest);
    if (!after2.ok) throw new Error(after2.message);
    expect(followChain(after2.head, entries.slice(2), nodeDigest)).toMatchObject({ ok: true, head });
  });

  it.each([
    ['GAP', 'an entry left out', () => [...entries.slice(0, 1), ...entries.slice(2)], 3],
    ['GAP', 'an entry twice', () => [entries[0], entries[0]], 1],
    ['GAP', 'two entries changed about', () => [entries[0], entries[2], entries[1]], 3],
    ['FORK', 'another past', () => [entries[0], { ...entries[1], prev: 'f'.repeat(64) }], 2],
    [
      'FORK',
      'a changed entry shows in the next',
      () => [{ ...entries[0], body: { since: '2025-12-30T00:00:00.000Z' } }, entries[1]],
      2,
    ],
    [
      'TIME_BACKWARDS',
      'dated before its predecessor',
      () => [entries[0], { ...entries[1], at: '2025-01-01T00:00:00.000Z' }],
      2,
    ],
  ])('says %s for %s', (code, _case, broken, seq) => {
    expect(followChain(emptyHead, broken() as typeof entries, nodeDigest)).toMatchObject({ ok: false, code, seq });
  });

  it('keeps fields and kinds it does not know in the hash', () => {
    const newer = {
      seq: 1,
      at: '2026-01-01T00:00:00.000Z',
      kind: 'from-the-future',
      body: { depth: { of: ['field'] } },
      prev: emptyHead.hash,
    };
    const followed = followChain(emptyHead, [newer], nodeDigest);
    expect(followed.ok && followed.entries[0]?.text).toContain('"depth":{"of":["field"]}');
    expect(readEntry(newer)).toMatchObject({ ok: false, code: 'UNKNOWN_KIND' });
  });

  it('measures entries in bytes: what would not fit a frame is neither written nor followed', () => {
    const of = (reason: string): EntryDraft => ({
      at: '2026-01-04T00:00:00.000Z',
      kind: 'key-removed',
      body: { keyId: `key_${'0'.repeat(20)}`, reason },
    });
    // 300,000 characters each, one of them 900,000 bytes.
    for (const text of ['x'.repeat(300_000), '同'.repeat(300_000)])
      expect(chainDrafts(head, [of(text)], nodeDigest).entries).toHaveLength(1);
    const long = of('同'.repeat(310_000));
    expect(() => chainDrafts(head, [long], nodeDigest)).toThrow(`longer than ${entryBytesMax} bytes`);
    const sent = { ...long, seq: head.seq + 1, prev: head.hash };
    expect(followChain(head, [sent], nodeDigest)).toMatchObject({ ok: false, code: 'ENTRY_TOO_LONG', seq: sent.seq });
  });

  it('refuses to write an entry dated before its predecessor', () => {
    expect(() =>
      chainDrafts(head, [draft('2026-01-02T23:59:59.999Z', '2026-01-01T00:00:00.000Z')], nodeDigest),
    ).toThrow(RangeError);
  });
});
