/** A process for tests to kill: deploys one agent after the other on a data folder and prints each endpoint once it is committed. */
import { writeSync } from 'node:fs';
import { idFrom } from '@rollcall/shared/domain/id.ts';
import { generateSigningKey, nodeDigest, signerFromPem, systemChance } from '@rollcall/shared/node/crypto.ts';
import { decide, type SiteEvent, type SiteEventKind } from '../core/site.ts';
import { openSiteStore } from '../ledger/site-store.ts';
import { dayMs, leaseOf } from './site-in-memory.ts';

const store = openSiteStore(process.argv[2] ?? '');
const signer = signerFromPem(generateSigningKey().privateKeyPem);
const now = store.head().at;
const reading = { wall: now, steadyMs: 0 };
const state = store.load(reading);

function run<Kind extends SiteEventKind>(event: SiteEvent<Kind>): void {
  const { plan } = decide(state, event, reading, { digest: nodeDigest, signer, history: () => store.history() });
  store.applyPlan(plan);
}

if (state.keys.size === 0) run({ kind: 'lease', lease: leaseOf(now, 3650 * dayMs) });
for (let n = 0; n < 4_000; n++) {
  const endpointId = idFrom('endpoint', systemChance(20));
  const credentialHash = nodeDigest.sha256(endpointId);
  run({
    kind: 'register',
    machineId: endpointId,
    hostName: 'host',
    proof: { by: 'join-code' },
    credentialHash,
    newEndpointId: endpointId,
  });
  run({
    kind: 'check-in',
    credentialHash,
    agent: { kind: 'server', product: 'metered-agent', agentVersion: '1', hostName: 'host' },
  });
  writeSync(1, `${endpointId}\n`);
}
