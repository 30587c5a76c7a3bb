import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Lease } from '../domain/lease.ts';
import { canonicalJson } from '../ledger/canonical-json.ts';
import { entryBodies } from '../ledger/entry.ts';
import { nodeDigest } from '../node/crypto.ts';
import { EnrolRequest, EnrolResponse } from './enrol.ts';
import { ToAggregator, ToSite } from './messages.ts';
import { protocolVersion, protocolVersionMin } from './version.ts';

/**
 * What each version of the protocol looks like: SHA-256 of the canonical JSON of its schemas. A released version's hash never
 * changes: a change of any message is a new number here, and a line in version.ts that says what changed.
 */
const pinned: Record<number, string> = {
  1: 'f0efa4974663f6c32991ab77b77f267a55b4a1719f9fe49ea9966e02a8c95ad7',
};

/** Everything that crosses the wire: both directions, the enrolment, and what is inside entries and leases. */
function wireSchemas(): string {
  const schemas = { ToAggregator, ToSite, EnrolRequest, EnrolResponse, Lease, ...entryBodies };
  return canonicalJson(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }),
    ]),
  );
}

describe('protocol version', () => {
  it('is raised when a message changes', () => {
    expect(
      nodeDigest.sha256(wireSchemas()),
      'a message changed: raise protocolVersion, say in version.ts what changed, and pin the new hash here',
    ).toBe(pinned[protocolVersion]);
  });

  it('is explained by one line for each number there ever was', () => {
    const text = readFileSync(new URL('version.ts', import.meta.url), 'utf8');
    const lines = [...text.matchAll(/^ \* {2,}(\d+) {2}(\d{4}-\d{2}) {2}\S/gm)].map(([, number]) => Number(number));
    const versions = Array.from({ length: protocolVersion }, (_, index) => index + 1);
    expect(lines).toEqual(versions);
    expect(Object.keys(pinned).map(Number)).toEqual(versions);
  });

  it('is never lower than the lowest that is spoken', () => {
    expect(protocolVersionMin).toBeGreaterThanOrEqual(1);
    expect(protocolVersionMin).toBeLessThanOrEqual(protocolVersion);
  });

  it('depends on every field of a message', () => {
    const wire = wireSchemas();
    for (const { shape } of [...ToAggregator.options, ...ToSite.options])
      for (const field of Object.keys(shape)) expect(wire).toContain(`"${field}":`);
    expect(wire).toContain('"pattern":"^[0-9a-f]{64}$"');
  });
});
