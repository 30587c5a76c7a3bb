/** Soft state as rows: how each change is written and all of it read back. What it means is `core/site-state.ts`. */
import { AgentOrigin } from '@rollcall/shared/domain/agent-kind.ts';
import { Instant } from '@rollcall/shared/domain/instant.ts';
import { Lease } from '@rollcall/shared/domain/lease.ts';
import type { SqliteDatabase } from '@rollcall/shared/node/sqlite.ts';
import { z } from 'zod';
import { emptySoftState, type SoftChange, type SoftState } from '../core/site-state.ts';

const EndpointRow = z
  .object({
    endpoint_id: z.string(),
    machine_id: z.string(),
    host_name: z.string(),
    origin: AgentOrigin,
    credential_hash: z.string(),
    registered_at: Instant,
    last_heard_at: Instant.nullable(),
  })
  .transform((row) => ({
    endpointId: row.endpoint_id,
    machineId: row.machine_id,
    hostName: row.host_name,
    origin: row.origin,
    credentialHash: row.credential_hash,
    registeredAt: row.registered_at,
    lastHeardAt: row.last_heard_at,
  }));

const Said = z.object({ code: z.string(), message: z.string(), at: Instant });

/** What `meta` holds, one row each. */
const Meta = z.object({
  heartbeat: z
    .object({ at: Instant, wallOffsetMs: z.int(), vouched: z.boolean().default(false) })
    .nullable()
    .default(null),
  lastContactAt: Instant.nullable().default(null),
  acknowledgedSeq: z.int().nonnegative().default(0),
  refusal: Said.nullable().default(null),
  notice: Said.nullable().default(null),
});
type Meta = z.infer<typeof Meta>;

/** Reads all soft state. @throws ZodError or SyntaxError when a row is not as it was written. */
export function readSoftState(database: SqliteDatabase): SoftState {
  const soft = emptySoftState();
  for (const row of database.prepare('SELECT * FROM endpoints ORDER BY registered_at, endpoint_id').all()) {
    const registration = EndpointRow.parse(row);
    soft.registrations.set(registration.endpointId, registration);
  }
  for (const text of database.prepare<[], string>('SELECT lease FROM leases ORDER BY key_id').pluck().all()) {
    const lease = Lease.parse(JSON.parse(text));
    soft.leases.set(lease.keyId, lease);
  }
  const rows = database.prepare<[], [string, string]>('SELECT name, value FROM meta').raw().all();
  const meta = Meta.parse(
    Object.fromEntries(rows.map(([name, value]): [string, unknown] => [name, JSON.parse(value)])),
  );
  return { ...soft, ...meta };
}

/** Writes changes by statements prepared once. The caller holds the transaction. */
export function softWriter(database: SqliteDatabase): (change: SoftChange) => void {
  const register = database.prepare(
    `INSERT INTO endpoints (endpoint_id, machine_id, host_name, origin, credential_hash, registered_at, last_heard_at)
     VALUES (@endpointId, @machineId, @hostName, @origin, @credentialHash, @registeredAt, @lastHeardAt)
     ON CONFLICT (endpoint_id) DO UPDATE SET machine_id = excluded.machine_id, host_name = excluded.host_name,
       origin = excluded.origin, credential_hash = excluded.credential_hash, registered_at = excluded.registered_at,
       last_heard_at = excluded.last_heard_at`,
  );
  const hear = database.prepare('UPDATE endpoints SET last_heard_at = ? WHERE endpoint_id = ?');
  const forget = database.prepare('DELETE FROM endpoints WHERE endpoint_id = ?');
  const keepLease = database.prepare(
    'INSERT INTO leases VALUES (?, ?) ON CONFLICT (key_id) DO UPDATE SET lease = excluded.lease',
  );
  const keepMeta = database.prepare(
    'INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  const meta = <Name extends keyof Meta>(name: Name, value: Meta[Name]): unknown =>
    keepMeta.run(name, JSON.stringify(value));
  return (change) => {
    switch (change.kind) {
      case 'registered':
        register.run(change.registration);
        break;
      case 'heard':
        hear.run(change.at, change.endpointId);
        break;
      case 'registration-forgotten':
        forget.run(change.endpointId);
        break;
      case 'lease':
        keepLease.run(change.lease.keyId, JSON.stringify(change.lease));
        break;
      case 'heartbeat':
        meta('heartbeat', change.heartbeat);
        break;
      case 'contact':
        meta('lastContactAt', change.lastContactAt);
        break;
      case 'acknowledged':
        meta('acknowledgedSeq', change.seq);
        break;
      case 'refusal':
        meta('refusal', change.refusal);
        break;
      case 'notice':
        meta('notice', change.notice);
        break;
    }
  };
}
