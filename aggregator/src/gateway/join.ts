/**
 * How a site gets from its hello to its welcome: version, signature, place of its ledger, other connections (architecture,
 * decisions 4 and 5). Refusals that an operator must see to flag the site; its held data is never touched.
 */
import type { SiteFlag } from '@rollcall/shared/api/site.ts';
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { Verifier } from '@rollcall/shared/ledger/crypto.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { byeCodes } from '@rollcall/shared/protocol/bye.ts';
import { type Hello, helloText, type WireHead } from '@rollcall/shared/protocol/hello.ts';
import { welcomeListMax } from '@rollcall/shared/protocol/limits.ts';
import { protocolVersion, protocolVersionMin } from '@rollcall/shared/protocol/version.ts';
import type { SiteIngestState } from '../core/ingest-plan.ts';
import type { SiteSession, Store } from '../store/store.ts';
import type { GatewayLimits } from './limits.ts';
import type { Offers } from './offers.ts';
import type { Registry } from './registry.ts';
import type { OpenSite, Session } from './session.ts';
import { keyReplaced, stateOf } from './site-ingest.ts';

export type JoinParts = {
  store: Pick<Store, 'sites' | 'ingest'>;
  registry: Registry;
  offers: Offers;
  verifier: Verifier;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  limits: Pick<GatewayLimits, 'heartbeatIntervalMs'>;
};

/** A session that joins does not rest. */
type JoiningSite = OpenSite & { state: SiteIngestState };

/** Lets the session in, or ends it with the code of what is wrong. @throws when the store cannot be asked. */
export async function join(parts: JoinParts, session: Session, hello: Hello, nonce: string): Promise<void> {
  if (hello.protocol < protocolVersionMin) return session.end('PROTOCOL_TOO_OLD');
  if (hello.protocol > protocolVersion) return session.end('PROTOCOL_TOO_NEW');
  const { siteId, instanceId, software, head } = hello;
  const { changes } = parts.registry;
  const record = await parts.store.sites.session(siteId);
  if (record === undefined || record.publicKey === null || record.site.enrolledAt === null)
    return session.end('SITE_UNKNOWN');
  const { publicKey } = record;
  if (!parts.verifier.verify(publicKey, helloText(hello, nonce), hello.signature))
    return session.end('SIGNATURE_WRONG');
  const state = stateOf(record, publicKey);
  const { enrolledAt } = record.site;
  const site: JoiningSite = {
    siteId: state.siteId,
    instanceId,
    software,
    publicKey,
    enrolledAt,
    ledgerSeq: head.seq,
    state,
  };
  session.identify(site);
  if (!(await admitLedger(parts, session, site.state, head))) return;
  const isSuspected = record.site.flag === 'CLONE_SUSPECTED';
  const claim = await parts.registry.claim(session, site.siteId, instanceId, isSuspected);
  if (!claim.ok) return endUnclaimed(parts, session, siteId, claim.code);
  // From here on the place is this session's, and whoever changes the site reaches it; it gives it back when it ends.
  const isOld = claim.displaced || parts.registry.changes !== changes;
  const current = isOld ? await readAgain(parts, session, site, head) : record;
  if (current !== undefined) await welcome(parts, session, site, current);
}

async function welcome(
  parts: JoinParts,
  session: Session,
  site: JoiningSite,
  { site: record }: SiteSession,
): Promise<void> {
  const offer = await parts.offers.prepare(record);
  session.open({
    kind: 'welcome',
    serverTime: parts.clock.now(),
    acked: wireHead(site.state),
    leases: offer.leases.slice(0, welcomeListMax).map(({ signed }) => signed),
    settings: offer.settings,
    commands: offer.commands,
    heartbeatIntervalMs: parts.limits.heartbeatIntervalMs,
  });
  if (!session.isOpen) return;
  for (const { signed } of offer.leases.slice(welcomeListMax)) session.send({ kind: 'lease', lease: signed });
  if (record.flag !== null) session.send({ kind: 'notice', code: record.flag, message: noticeOf(record.flag) });
  parts.offers.sent(session, offer);
  parts.logger.info(
    { siteId: site.siteId, software: site.software, acked: site.state.head.seq },
    'a site is connected',
  );
  if (session.changedWhileJoining) await parts.offers.refresh(session);
}

/** An older connection's last commit, or a change of the site, may have landed after it was read: it is read once more. */
async function readAgain(
  parts: JoinParts,
  session: Session,
  site: JoiningSite,
  head: WireHead,
): Promise<SiteSession | undefined> {
  const record = await parts.store.sites.session(site.siteId);
  if (record === undefined) {
    session.end('SITE_UNKNOWN');
    return undefined;
  }
  if (record.publicKey !== site.publicKey) {
    session.end('SIGNATURE_WRONG', keyReplaced.message);
    return undefined;
  }
  site.state = stateOf(record, site.publicKey);
  return (await admitLedger(parts, session, site.state, head)) ? record : undefined;
}

/** True when the site's ledger goes on from what is held; a longer one is checked entry by entry when it arrives. */
async function admitLedger(
  parts: JoinParts,
  session: Session,
  state: SiteIngestState,
  head: WireHead,
): Promise<boolean> {
  const place = await placeOfLedger(parts, state, head);
  if (place.ok) return true;
  await flagRefusal(parts, state.siteId, place.code, place.message);
  session.end(place.code, place.message);
  return false;
}

async function placeOfLedger(
  { store }: JoinParts,
  state: SiteIngestState,
  head: WireHead,
): Promise<Outcome<object, 'FORK' | 'LEDGER_BEHIND'>> {
  const held = state.head;
  if (head.seq > held.seq) return { ok: true };
  const heldThere =
    head.seq === held.seq
      ? held.hash
      : head.seq === 0
        ? emptyHead.hash
        : await store.ingest.entryHash(state.siteId, head.seq);
  if (heldThere !== head.hash)
    return refuse('FORK', `the ledger differs from the one held here by entry ${head.seq} at the latest`);
  if (head.seq === held.seq) return { ok: true };
  return refuse('LEDGER_BEHIND', `the ledger ends with entry ${head.seq}, and ${held.seq} are held here`);
}

async function endUnclaimed(
  parts: JoinParts,
  session: Session,
  siteId: string,
  code: 'CLONE_SUSPECTED' | 'CHECK_RUNNING' | 'GONE',
): Promise<void> {
  switch (code) {
    case 'GONE':
      return;
    case 'CHECK_RUNNING':
      session.end('BACKLOG_FULL', 'another connection of this site is being checked');
      return;
    case 'CLONE_SUSPECTED':
      await flagRefusal(
        parts,
        siteId,
        code,
        'two machines with the identity of this site were connected at the same time',
      );
      session.end(code);
  }
}

/** Records that a Site Manager was refused, and tells the connection that is in, if there is one. */
export async function flagRefusal(
  { store, registry, clock, chance, logger }: Pick<JoinParts, 'store' | 'registry' | 'clock' | 'chance' | 'logger'>,
  siteId: string,
  code: SiteFlag,
  message: string,
): Promise<void> {
  logger.warn({ siteId, code, why: message }, 'a site was refused and is flagged');
  registry.of(siteId)?.notify(code, noticeOf(code));
  await store.sites.flagSite(siteId, code, {
    id: idFrom('finding', chance(idRandomBytes)),
    siteId,
    code,
    message: message.slice(0, 500),
    at: clock.now(),
  });
}

/** What the operator at a site that is let in is told about what was not. */
const noticeOf = (flag: string): string =>
  Object.hasOwn(flagNotices, flag) ? flagNotices[flag as SiteFlag] : `this site is marked with ${flag}`;

const flagNotices: Record<SiteFlag, string> = {
  CLONE_SUSPECTED: `another connection was refused: ${byeCodes.CLONE_SUSPECTED.says}`,
  FORK: `a connection was refused: ${byeCodes.FORK.says}`,
  LEDGER_BEHIND: `a connection was refused: ${byeCodes.LEDGER_BEHIND.says}`,
  ENTRY_REFUSED: `entries of this site were refused: ${byeCodes.ENTRY_REFUSED.says}`,
};

const wireHead = ({ head: { seq, hash } }: SiteIngestState): WireHead => ({ seq, hash });
