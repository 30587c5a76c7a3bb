import { once } from 'node:events';
import { emptyHead, followChain, type Head } from '@rollcall/shared/ledger/chain.ts';
import { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { encode } from '@rollcall/shared/protocol/codec.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { protocolVersion } from '@rollcall/shared/protocol/version.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import type { LogRow } from '../core/ingest-plan.ts';
import { GatewayRig, type RigSite } from './testing/gateway-rig.ts';
import { SiteClient } from './testing/site-client.ts';

const fuzzMs = 8_000;

let rig: GatewayRig;
let bystander: RigSite;
let watcher: SiteClient;
beforeAll(async () => {
  rig = await GatewayRig.start({ limits: { contactIntervalMs: 3_600_000 } });
  bystander = await rig.enrolledSite();
  watcher = await SiteClient.join(rig.port, {
    siteId: bystander.site.id,
    signer: bystander.signer,
    head: bystander.ledger.head,
  });
  watcher.append(bystander.ledger.entries);
  await watcher.next('ack');
});
afterAll(() => rig.dispose());

/** A change of a frame: a piece of its text, or one value anywhere in it. */
type Change = { from: number; cut: number; by: string } | { leaf: number; value: unknown };
type Frame =
  | { raw: string | Uint8Array }
  | { valid: 'append' | 'replay' | 'gap' | 'status' | 'hello'; change: Change | null };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ from: fc.nat(), cut: fc.nat(4), by: fc.string({ unit: 'binary', maxLength: 4 }) }),
  fc.record({
    leaf: fc.nat(),
    value: fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(-1, 1e308, '', 'x'.repeat(5_000), '\ud800', '\u0000', null),
    ),
  }),
);
const frame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ raw: fc.string({ unit: 'binary', maxLength: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ raw: fc.uint8Array({ maxLength: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ raw: fc.json({ maxDepth: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      raw: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify({ kind: 'append', entries: value })),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      valid: fc.constantFrom('append', 'replay', 'gap', 'status', 'hello'),
      change: fc.option(change),
    }),
  },
);
const session = fc.record({ greets: fc.boolean(), frames: fc.array(frame, { minLength: 1, maxLength: 8 }) });

/** Puts `value` in place of the leaf of that number, counted round. */
function withLeaf(text: string, leaf: number, value: unknown): string {
  let leaves = 0;
  JSON.parse(text, (_, each: unknown) => {
    if (typeof each !== 'object' || each === null) leaves += 1;
    return each;
  });
  let seen = 0;
  const changed: unknown = JSON.parse(text, (_, each: unknown) => {
    if (typeof each === 'object' && each !== null) return each;
    return seen++ === leaf % leaves ? value : each;
  });
  return JSON.stringify(changed) ?? 'null';
}

function changed(text: string, by: Change | null): string {
  if (by === null) return text;
  if ('leaf' in by) return withLeaf(text, by.leaf, by.value);
  const from = by.from % text.length;
  return text.slice(0, from) + by.by + text.slice(from + by.cut);
}

function validText(kind: Extract<Frame, { valid: string }>['valid'], { site, signer, ledger }: RigSite): string {
  const at = ledger.head.at;
  switch (kind) {
    case 'append':
      return encode({ kind: 'append', entries: ledger.entries.slice(1, 3) });
    case 'replay':
      return encode({ kind: 'append', entries: ledger.entries.slice(0, 2) });
    case 'gap':
      return encode({ kind: 'append', entries: ledger.entries.slice(3) });
    case 'status':
      return encode({
        kind: 'status',
        at,
        deployed: { server: 0, workstation: 0 },
        active: { server: 0, workstation: 0 },
        lastCheckInAt: at,
      });
    case 'hello': {
      const hello = {
        siteId: site.id,
        instanceId: '0'.repeat(16),
        head: { seq: ledger.head.seq, hash: ledger.head.hash },
        protocol: protocolVersion,
        software: 'x',
      };
      return encode({ kind: 'hello', ...hello, signature: signer.sign(helloText(hello, 'n'.repeat(43))) });
    }
  }
}

/** Returns when the gateway has taken everything that was sent: a pong comes back, or the socket is closed. */
async function drained({ socket }: SiteClient): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return;
  const pong = once(socket, 'pong');
  const closed = once(socket, 'close');
  if (socket.readyState === WebSocket.OPEN) socket.ping();
  await Promise.race([pong, closed]);
}

/** What is held of a site, once no commit of it comes in between any more. */
async function atRest({ site }: RigSite): Promise<{ rows: LogRow[]; head: Head }> {
  const headNow = async (): Promise<Head> => (await rig.store.sites.session(site.id))?.state?.head ?? emptyHead;
  for (;;) {
    const head = await headNow();
    const rows = (await rig.store.ingest.entries(rig.mspScope, site.id, 0, 1_000)) ?? [];
    if ((await headNow()).seq === head.seq) return { rows, head };
  }
}

describe('a gateway under random frames', () => {
  it('answers in the protocol, keeps every ledger whole, and serves the others', { timeout: fuzzMs * 4 }, async () => {
    let runs = 0;
    const held = await rig.store.sites.session(bystander.site.id);
    await fc.assert(
      fc.asyncProperty(session, async ({ greets, frames }) => {
        runs += 1;
        const made = await rig.enrolledSite();
        for (const day of [11, 12, 13, 14]) made.ledger.deploy(day, 'server', `2026-01-${day}T00:00:00.000Z`);
        const client = new SiteClient(rig.port);
        if (greets) {
          await client.hello({ siteId: made.site.id, signer: made.signer, head: made.ledger.head });
          await client.next('welcome');
          client.append(made.ledger.entries.slice(0, 1));
          await client.next('ack');
        } else await client.next('challenge');
        for (const each of frames) {
          if (client.socket.readyState !== WebSocket.OPEN) break;
          client.socket.send('raw' in each ? each.raw : changed(validText(each.valid, made), each.change));
        }
        await drained(client);
        client.socket.terminate();
        // Whatever was taken is one chain from the first entry on, and ends where the site is said to stand.
        const { rows, head } = await atRest(made);
        const followed = followChain(
          emptyHead,
          rows.map(({ text }) => LedgerEntry.parse(JSON.parse(text))),
          nodeDigest,
        );
        expect(followed).toMatchObject({ ok: true, head });
        if (!greets) expect(rows).toEqual([]);
      }),
      { numRuns: 100_000, interruptAfterTimeLimit: fuzzMs, markInterruptAsFailure: false },
    );
    expect(runs).toBeGreaterThan(20);
    expect((await rig.store.sites.session(bystander.site.id))?.state).toEqual(held?.state);
    bystander.ledger.deploy(1, 'server', '2026-01-11T00:00:00.000Z');
    watcher.append(bystander.ledger.entries.slice(1));
    expect(await watcher.next('ack')).toMatchObject({ seq: 2 });
  });
});
