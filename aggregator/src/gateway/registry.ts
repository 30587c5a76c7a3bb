/**
 * Which session each site has: one, or none. Owns the question of two machines with one identity
 * (architecture, decision 5); flagging the site is join.ts.
 */
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import { base32Text } from '@rollcall/shared/domain/id.ts';
import { Replacements } from './replacements.ts';
import type { Session } from './session.ts';

/**
 * `displaced`: an older connection had to end for it, whose last commit may have come after what the caller read.
 * `CLONE_SUSPECTED`: the older one lives. `CHECK_RUNNING`: a third came while the older of two is being asked.
 * `GONE`: the newcomer itself ended meanwhile.
 */
export type Claim =
  | { ok: true; displaced: boolean }
  | { ok: false; code: 'CLONE_SUSPECTED' | 'CHECK_RUNNING' | 'GONE' };

const echoCharacters = 16;

export class Registry {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #aliveCheckMs: number;
  readonly #bySite = new Map<string, Session>();
  readonly #checking = new Set<string>();
  readonly #replacements = new Replacements();
  /** Changes and resets of sites so far. A session that joins has no place yet by which one could reach it: it reads again. */
  changes = 0;

  constructor(clock: Clock, chance: Chance, aliveCheckMs: number) {
    this.#clock = clock;
    this.#chance = chance;
    this.#aliveCheckMs = aliveCheckMs;
  }

  /** Sites that are let in; a session that still joins is not one. */
  get openCount(): number {
    let count = 0;
    for (const session of this.#bySite.values()) if (session.isOpen) count += 1;
    return count;
  }

  /** The site's session, also while it still joins. */
  of(siteId: string): Session | undefined {
    return this.#bySite.get(siteId);
  }

  /**
   * Gives the site's place to an identified session, unless another machine lives in it. `isSuspected`: the site is marked for one,
   * so that the same program, too, has to have gone before it may come back.
   */
  async claim(session: Session, siteId: string, instanceId: string, isSuspected: boolean): Promise<Claim> {
    let displaced = false;
    for (;;) {
      if (session.hasEnded) return { ok: false, code: 'GONE' };
      const other = this.#bySite.get(siteId);
      if (other === undefined) {
        this.#bySite.set(siteId, session);
        return { ok: true, displaced };
      }
      const isSameProgram = other.site?.instanceId === instanceId;
      if (isSameProgram && !isSuspected && !this.#replacements.atLimit(siteId, this.#clock.steadyMs()))
        void this.#replace(other, siteId);
      else {
        if (this.#checking.has(siteId)) return { ok: false, code: 'CHECK_RUNNING' };
        if (await this.#lives(other, siteId)) return { ok: false, code: 'CLONE_SUSPECTED' };
        other.end(isSameProgram ? 'REPLACED' : 'HEARTBEAT_LOST');
      }
      displaced = true;
      this.leave(other);
    }
  }

  leave(session: Session): void {
    const siteId = session.site?.siteId;
    if (siteId !== undefined && this.#bySite.get(siteId) === session) this.#bySite.delete(siteId);
  }

  /** A program that came back has left its old connection; where that still answers, there are two. */
  async #replace(session: Session, siteId: string): Promise<void> {
    if (await session.endReplaced(this.#newEcho())) this.#replacements.note(siteId, this.#clock.steadyMs());
  }

  #newEcho(): string {
    return base32Text(this.#chance(echoCharacters), echoCharacters);
  }

  /** A process that died without a word leaves a socket behind that answers no more: told from a second machine by a ping. */
  async #lives(session: Session, siteId: string): Promise<boolean> {
    this.#checking.add(siteId);
    const cancel = this.#clock.after(this.#aliveCheckMs, () => session.aliveCheckOver());
    try {
      return await session.checkAlive(this.#newEcho());
    } finally {
      cancel();
      this.#checking.delete(siteId);
    }
  }
}
