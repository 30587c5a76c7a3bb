/**
 * What a site is told on top of acknowledgements: settings, leases, commands. Owns when they are read and sent, at the welcome,
 * when something changed, and again before a lease wears off; which keys get a lease is core/leases.ts.
 */
import type { Site } from '@rollcall/shared/api/site.ts';
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import type { Digest } from '@rollcall/shared/ledger/crypto.ts';
import type { LeaseSigner } from '@rollcall/shared/node/lease-token.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { SiteCommand } from '@rollcall/shared/protocol/command.ts';
import { welcomeListMax } from '@rollcall/shared/protocol/limits.ts';
import { leasesDue, renewalIntervalMs } from '../core/leases.ts';
import type { Store } from '../store/store.ts';
import type { GatewayLimits } from './limits.ts';
import type { Records } from './records.ts';
import type { Session } from './session.ts';
import { keyReplaced } from './site-ingest.ts';

export type OfferParts = {
  store: Pick<Store, 'sites' | 'keys'>;
  clock: Clock;
  chance: Chance;
  digest: Digest;
  logger: Logger;
  leaseSigner: LeaseSigner;
  leaseMs: number;
  limits: Pick<GatewayLimits, 'commandResendMs'>;
  records: Records;
  /** Steady milliseconds as of the last sweep. */
  sweptMs(): number;
};

export type Offer = { settings: SiteSettings; leases: { lease: Lease; signed: string }[]; commands: SiteCommand[] };

export class Offers {
  readonly #parts: OfferParts;
  /** Sessions that are being told something, and whether there is more to tell by now. */
  readonly #running = new Map<Session, { again: boolean }>();
  #due: Session[] = [];
  #working = false;

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** Reads and signs what a site should know. */
  async prepare(site: Site): Promise<Offer> {
    const { store, clock, digest, leaseMs, leaseSigner } = this.#parts;
    const keys = await store.keys.keysOfSite(site.id);
    const leases: Offer['leases'] = [];
    for (const lease of leasesDue({ siteId: site.id, closedAt: site.closedAt }, keys, clock.now(), leaseMs, digest))
      leases.push({ lease, signed: await leaseSigner(lease) });
    return { settings: site.settings, leases, commands: await store.keys.pendingCommands(site.id, welcomeListMax) };
  }

  /** Remembers the leases that were sent, and sets when the session is looked at again. */
  sent(session: Session, offer: Offer): void {
    const sweptMs = this.#parts.sweptMs();
    for (const { lease } of offer.leases)
      this.#parts.records.lease({ keyId: lease.keyId, issuedAt: lease.issuedAt, until: lease.until });
    const [random = 0] = this.#parts.chance(1);
    // Between a half and three quarters of the longest interval, so that sites that came together are not renewed together.
    const renewalMs = renewalIntervalMs(this.#parts.leaseMs) * (0.5 + random / 1024);
    session.offerDueMs =
      sweptMs + (offer.commands.length > 0 ? Math.min(renewalMs, this.#parts.limits.commandResendMs) : renewalMs);
  }

  /** Tells an open session what is new, now. Never throws: what failed is tried again after a while. */
  async refresh(session: Session): Promise<void> {
    const running = this.#running.get(session);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const turn = { again: true };
    this.#running.set(session, turn);
    try {
      while (turn.again && session.isOpen) {
        turn.again = false;
        await this.#tell(session);
      }
    } catch (error) {
      this.#parts.logger.warn({ err: error, siteId: session.site?.siteId }, 'a site could not be told what is new');
      session.offerDueMs = this.#parts.sweptMs() + this.#parts.limits.commandResendMs;
    } finally {
      this.#running.delete(session);
    }
  }

  /** Takes sessions whose offer is due and works through them one after the other. */
  enqueue(session: Session): void {
    session.offerDueMs = Number.POSITIVE_INFINITY;
    this.#due.push(session);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#due.length > 0) {
      const due = this.#due;
      this.#due = [];
      for (const session of due) await this.refresh(session);
    }
    this.#working = false;
  }

  async #tell(session: Session): Promise<void> {
    const { site } = session;
    const record = site === null ? undefined : await this.#parts.store.sites.session(site.siteId);
    if (site === null || record === undefined) return;
    if (record.publicKey !== site.publicKey) return session.end('SIGNATURE_WRONG', keyReplaced.message);
    const offer = await this.prepare(record.site);
    session.tellSettings(offer.settings);
    for (const { signed } of offer.leases) session.send({ kind: 'lease', lease: signed });
    for (const command of offer.commands) session.send({ kind: 'command', command });
    this.sent(session, offer);
  }
}
