/**
 * Entries of a site's ledger: the envelope that is chained, and the body of each kind. Chaining is `chain.ts`.
 * A site newer than its reader may send kinds and fields the reader does not know: the envelope is kept as it came,
 * and only bodies of known kinds are read.
 */
import { z } from 'zod';
import { AgentKind, AgentOrigin } from '../domain/agent-kind.ts';
import { CommandId, EndpointId, ProductKeyId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { HostName, Name, Reason, SoftwareVersion } from '../domain/name.ts';
import { MachineId } from '../domain/endpoint.ts';
import { Product } from '../domain/product.ts';
import { KeyState } from '../domain/product-key.ts';
import { SiteSettings } from '../domain/site-settings.ts';
import { TimeZone } from '../domain/time-zone.ts';
import { Hash, PublicKey } from './crypto.ts';
import { DeployedAgentsReport } from './report.ts';

/** Any object of parsed JSON: not copied, since every entry passes here and its text is what was hashed. */
const isRecord = (body: unknown): boolean => typeof body === 'object' && body !== null && !Array.isArray(body);

/** What is chained: numbered from 1, `at` never runs backwards, `prev` is the hash of the entry before. */
export const LedgerEntry = z.object({
  seq: z.int().positive(),
  at: Instant,
  kind: z.string().regex(/^[a-z][a-z-]{0,40}$/),
  body: z.custom<Record<string, unknown>>(isRecord, 'must be an object'),
  prev: Hash,
});
export type LedgerEntry = z.infer<typeof LedgerEntry>;

const agentFacts = {
  hostName: HostName,
  agentKind: AgentKind,
  origin: AgentOrigin,
  product: Product,
  agentVersion: SoftwareVersion,
};

/** Body of each kind. A body is read by its kind's schema; unknown fields in it are dropped on reading, never from the chain. */
export const entryBodies = {
  'site-enrolled': z.object({
    siteId: SiteId,
    siteName: Name,
    timeZone: TimeZone,
    publicKey: PublicKey,
    software: SoftwareVersion,
    settings: SiteSettings,
  }),
  'key-added': z.object({ keyId: ProductKeyId, product: Product, keyHint: z.string().length(5) }),
  'key-removed': z.object({ keyId: ProductKeyId, reason: Reason }),
  'key-state': z.object({ keyId: ProductKeyId, state: KeyState, reason: Reason }),
  'agent-deployed': z.object({ endpointId: EndpointId, machineId: MachineId, keyId: ProductKeyId, ...agentFacts }),
  /** A change of kind ends one interval and begins another at the entry's instant; other changes do not touch counts. */
  'agent-changed': z.object({ endpointId: EndpointId, agentKindBefore: AgentKind, ...agentFacts }),
  'agent-removed': z.object({
    endpointId: EndpointId,
    agentKind: AgentKind,
    reason: z.enum(['uninstalled', 'stale', 'replaced', 'operator']),
  }),
  'contact-lost': z.object({ since: Instant }),
  'contact-restored': z.object({ lostSince: Instant }),
  'clock-anomaly': z.object({
    direction: z.enum(['backward', 'forward']),
    noticed: z.enum(['running', 'start', 'contact']),
    /** What the machine's clock said, and what it should have said. */
    clockSaid: Instant,
    expected: Instant,
    differenceMs: z.int(),
  }),
  'month-sealed': DeployedAgentsReport,
  'report-corrected': DeployedAgentsReport,
  'command-applied': z.object({
    commandId: CommandId,
    outcome: z.enum(['applied', 'refused']),
    code: z
      .string()
      .regex(/^[A-Z_]{2,60}$/)
      .optional(),
  }),
  'settings-changed': z.object({ settings: SiteSettings }),
} as const;

export type EntryKind = keyof typeof entryBodies;
export type EntryBody<Kind extends EntryKind> = z.infer<(typeof entryBodies)[Kind]>;

/** A draft says what happened and when; the ledger gives it its number and its place in the chain. */
export type EntryDraft = { [Kind in EntryKind]: { at: Instant; kind: Kind; body: EntryBody<Kind> } }[EntryKind];

/** An entry whose body was read by its kind's schema. */
export type KnownEntry = EntryDraft & { seq: number; prev: Hash };

export type ReadEntry =
  | { ok: true; entry: KnownEntry }
  | { ok: false; code: 'UNKNOWN_KIND' | 'BAD_BODY'; message: string };

export const isEntryKind = (kind: string): kind is EntryKind => Object.hasOwn(entryBodies, kind);

/** Reads the body of an entry. `UNKNOWN_KIND`: skip it, a newer site wrote it. `BAD_BODY`: its writer is wrong. */
export function readEntry(entry: LedgerEntry): ReadEntry {
  if (!isEntryKind(entry.kind))
    return { ok: false, code: 'UNKNOWN_KIND', message: `entry ${entry.seq} is of the unknown kind ${entry.kind}` };
  const body = entryBodies[entry.kind].safeParse(entry.body);
  if (!body.success) {
    const issue = body.error.issues[0];
    return {
      ok: false,
      code: 'BAD_BODY',
      message: `entry ${entry.seq} (${entry.kind}): ${issue?.path.join('.')}: ${issue?.message}`,
    };
  }
  // The compiler cannot see that `kind` chose the schema of `body`; the lookup two lines up is the proof.
  return { ok: true, entry: { ...entry, body: body.data } as KnownEntry };
}
