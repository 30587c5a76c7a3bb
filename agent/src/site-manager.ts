/**
 * Composition root of the Site Manager: store, core, uplink and schedule made into one running whole. Owns the queue that
 * serialises all events and commits them in groups; arguments, signals and exit codes are main's.
 */
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import { base32Text, idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { RollcallError, refuse } from '@rollcall/shared/domain/problem.ts';
import { ProductKeyText } from '@rollcall/shared/domain/product-key.ts';
import type { PublicKey, Signer } from '@rollcall/shared/ledger/crypto.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { RegistrationRequest } from './core/roll.ts';
import { siteStatus, wireStatus } from './core/site-status.ts';
import { createSiteQueue, type SiteQueue } from './event-queue.ts';
import { openSiteStore, type SiteStore } from './ledger/site-store.ts';
import type { SitePort } from './local-api/site-port.ts';
import { startSchedule } from './schedule.ts';
import { createUplink } from './uplink/uplink.ts';

export type SiteManagerConfig = {
  dataFolder: string;
  /** Address of the aggregator, `https://host[:port][/path]`; `http://` for one machine and for tests. */
  aggregatorUrl: string;
  /** Keys that may sign leases, as the enrolment told them. */
  aggregatorPublicKeys: readonly PublicKey[];
  /** What a managed endpoint shows to register. */
  joinCode: string;
  /** Name and version of this program. */
  software: string;
};

export type SiteManagerDeps = {
  clock: Clock;
  chance: Chance;
  logger: Logger;
  /** The site's private key. */
  signer: Signer;
  /** Called once when the Site Manager cannot go on (its disk fails); the process should end. */
  onFatal: (error: Error) => void;
};

export type SiteManager = SitePort & {
  /** Says goodbye to the aggregator, answers what is queued, closes the files. Safe to call twice. */
  stop(): Promise<void>;
};

const instanceIdCharacters = 24;
const credentialBytes = 32;

/**
 * Starts the Site Manager on a data folder that was enrolled.
 * @throws RollcallError `NOT_ENROLLED`, `IDENTITY_BROKEN`, `ALREADY_RUNNING`, `LEDGER_CORRUPT`, `LEDGER_TOO_NEW`,
 * `DATABASE_UNUSABLE`, `STORE_FAILED`.
 */
export async function createSiteManager(config: SiteManagerConfig, deps: SiteManagerDeps): Promise<SiteManager> {
  const { signer } = deps;
  const store = openSiteStore(config.dataFolder);
  let queue: SiteQueue | undefined;
  try {
    queue = createSiteQueue(store, { digest: nodeDigest, signer, history: () => store.history() }, deps);
    return await start(config, deps, store, queue);
  } catch (error) {
    await queue?.stop();
    store.close();
    throw error;
  }
}

async function start(
  config: SiteManagerConfig,
  deps: SiteManagerDeps,
  store: SiteStore,
  queue: SiteQueue,
): Promise<SiteManager> {
  const { clock, chance, logger, signer } = deps;
  const { aggregatorUrl, aggregatorPublicKeys, software } = config;
  const { identity } = queue.state();
  if (identity.publicKey !== signer.publicKey)
    throw new RollcallError('IDENTITY_BROKEN', 'the ledger was enrolled with another key than the one in use', {
      retryable: false,
      hint: 'repeat `rollcall-site enrol --again` with a new token',
    });
  const reading = () => ({ wall: clock.now(), steadyMs: clock.steadyMs() });
  const instanceId = base32Text(chance(instanceIdCharacters), instanceIdCharacters);
  const uplink = createUplink(
    { aggregatorUrl, aggregatorPublicKeys, software, instanceId },
    {
      siteId: identity.siteId,
      head: () => ({ seq: queue.state().head.seq, hash: queue.state().head.hash }),
      entriesAfter: (seq, limits) => store.entriesAfter(seq, limits),
      isUrgent: () => queue.isUrgent(),
      status: () => wireStatus(queue.state(), reading()),
      take: (event) => queue.submit(event),
    },
    { clock, chance, logger, signer },
  );
  // Whatever fell due while the program was off is written down before anything new is heard.
  await queue.submit({ kind: 'tick' });
  queue.onCommit(({ countsChanged }) => {
    uplink.committed();
    if (countsChanged) uplink.countsChanged();
  });
  queue.onReload(() => uplink.lostPlace());
  const stopSchedule = await startSchedule(() => queue.wake());
  uplink.start();
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await stopSchedule();
    await uplink.stop();
    await queue.stop();
    store.close();
  };
  return {
    ...createPort(config, deps, queue),
    status: () => siteStatus(queue.state(), reading(), { aggregatorUrl, software }),
    stop: () => (stopping ??= stop()),
  };
}

function createPort(
  config: SiteManagerConfig,
  { chance }: SiteManagerDeps,
  queue: SiteQueue,
): Omit<SitePort, 'status'> {
  const sha256 = (text: string): string => nodeDigest.sha256(text);
  const joinCodeHash = sha256(config.joinCode);

  return {
    async registerEndpoint({ machineId, hostName, joinCode, productKey }) {
      let proof: RegistrationRequest['proof'];
      if (joinCode !== undefined) {
        // Hashes are compared, so that the time it takes tells nothing of the code.
        if (sha256(joinCode.trim()) !== joinCodeHash)
          return refuse(
            'JOIN_CODE_WRONG',
            'this is not the join code of this site',
            'rollcall-site endpoints join-code shows it',
          );
        proof = { by: 'join-code' };
      } else if (productKey !== undefined) {
        const text = ProductKeyText.safeParse(productKey);
        if (!text.success) return refuse('PRODUCT_KEY_WRONG', 'a product key has five groups of five characters');
        proof = { by: 'product-key', keyTextHash: sha256(text.data) };
      } else return refuse('BAD_REQUEST', 'a join code or a product key is needed to register');
      const credential = Buffer.from(chance(credentialBytes)).toString('base64url');
      const newEndpointId = idFrom('endpoint', chance(idRandomBytes));
      const request = { machineId, hostName, proof, credentialHash: sha256(credential), newEndpointId };
      const answer = await queue.ask({ kind: 'register', ...request });
      return answer.ok ? { ok: true, endpointId: answer.endpointId, credential } : answer;
    },
    checkIn: (credential, agent) => queue.ask({ kind: 'check-in', credentialHash: sha256(credential), agent }),
    removeEndpoint: (request) => queue.ask({ kind: 'remove-endpoint', ...request }),
    correctReport: (request) => queue.ask({ kind: 'correct-report', ...request }),
    confirmClock: () => queue.ask({ kind: 'confirm-clock' }),
  };
}
