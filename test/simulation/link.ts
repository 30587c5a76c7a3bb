/**
 * The network between a site and the aggregator: whether it is there, and connections over it that delay, cut and, where
 * they are loose, drop, duplicate and reorder frames. What a frame means is known to neither.
 */
import { decodeToAggregator, decodeToSite, encode } from '@rollcall/shared/protocol/codec.ts';
import type { ToAggregator, ToSite } from '@rollcall/shared/protocol/messages.ts';
import type { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import type { EventQueue } from './event-queue.ts';
import { type FaultLog, minuteMs, networkOdds } from './faults.ts';

/** Who hears what at one end of a connection; calls after `closed` do not come. */
export type ConnectionEnd<Message> = { heard(message: Message): void | Promise<void>; closed(): void };

/** `isCalm`: from now on nothing goes wrong. `throughCodec`: frames travel as text. */
export type NetworkParts = {
  queue: EventQueue;
  random: SeededRandom;
  faults: FaultLog;
  throughCodec: boolean;
  isCalm: boolean;
};

type Direction<Message> = { end: ConnectionEnd<Message>; open: boolean; lastArrivalMs: number };

export class Connection {
  readonly #parts: NetworkParts;
  readonly #toSite: Direction<ToSite>;
  #toAggregator: Direction<ToAggregator> | undefined;
  readonly #isLoose: boolean;
  readonly #meanDelayMs: number;
  #isCut = false;

  constructor(parts: NetworkParts, site: ConnectionEnd<ToSite>) {
    this.#parts = parts;
    this.#isLoose = !parts.isCalm && parts.random.happens(networkOdds.looseConnection);
    this.#meanDelayMs = parts.random.integer(5, 120);
    this.#toSite = { end: site, open: true, lastArrivalMs: 0 };
    // A lost frame of a loose connection is never told of: such a connection is an exchange that ends by itself.
    if (this.#isLoose) parts.queue.after(parts.random.integer(10, 20 * 60) * minuteMs, () => this.cut('told'));
  }

  /** Whether signs of life still pass. */
  get isAlive(): boolean {
    return !this.#isCut;
  }

  /** Whether the site's machine would answer a ping of the aggregator. */
  get answers(): boolean {
    return !this.#isCut && this.#toSite.open;
  }

  accept(aggregator: ConnectionEnd<ToAggregator>): void {
    this.#toAggregator = { end: aggregator, open: true, lastArrivalMs: 0 };
  }

  toSite(message: ToSite): void {
    const { throughCodec } = this.#parts;
    this.#carry(this.#toSite, () => (throughCodec ? reread(decodeToSite(encode(message))) : message));
  }

  toAggregator(message: ToAggregator): void {
    const { throughCodec } = this.#parts;
    if (this.#toAggregator !== undefined)
      this.#carry(this.#toAggregator, () => (throughCodec ? reread(decodeToAggregator(encode(message))) : message));
  }

  /** One end closes: it hears nothing more, the other end learns of it after what was sent before. */
  closeBySite(): void {
    this.#toSite.open = false;
    this.#tell(this.#toAggregator);
  }

  closeByAggregator(): void {
    if (this.#toAggregator !== undefined) this.#toAggregator.open = false;
    this.#tell(this.#toSite);
  }

  /** An end died without a word; the other one learns of it only by the silence. */
  dieAtSite(): void {
    this.#toSite.open = false;
    this.#isCut = true;
  }

  /** The connection is cut; what is under way is lost. `silently`: neither end is told. `half`: one of them is. */
  cut(how: 'told' | 'silently' | 'site-told' | 'aggregator-told'): void {
    if (this.#isCut) return;
    this.#isCut = true;
    const soonMs = this.#parts.random.integer(1, 2_000);
    if (how === 'told' || how === 'site-told') this.#tell(this.#toSite, soonMs);
    if (how === 'told' || how === 'aggregator-told') this.#tell(this.#toAggregator, soonMs);
  }

  /** Cut in one of the ways in which networks do it. */
  cutSomehow(): void {
    if (this.#isCut) return;
    const { random, faults } = this.#parts;
    faults.add('connection-cut');
    if (!random.happens(networkOdds.silentCut)) return this.cut('told');
    faults.add('connection-cut-silently');
    this.cut(random.pick(['silently', 'site-told', 'aggregator-told'] as const));
  }

  #carry<Message>(direction: Direction<Message>, read: () => Message): void {
    const { random, faults, isCalm } = this.#parts;
    if (this.#isCut || !direction.open) return;
    if (!isCalm && random.happens(networkOdds.cutAtFrame)) return this.cutSomehow();
    if (!this.#isLoose) return this.#deliver(direction, read, Math.max(this.#arrivalMs(), direction.lastArrivalMs));
    if (random.happens(networkOdds.frameDropped)) return faults.add('frame-dropped');
    const isLate = random.happens(networkOdds.frameReordered);
    if (isLate) faults.add('frame-reordered');
    this.#deliver(direction, read, this.#arrivalMs() + (isLate ? random.integer(200, 5_000) : 0));
    if (!random.happens(networkOdds.frameDuplicated)) return;
    faults.add('frame-duplicated');
    this.#deliver(direction, read, this.#arrivalMs() + random.integer(0, 5_000));
  }

  #arrivalMs(): number {
    const { queue, random, faults, isCalm } = this.#parts;
    let delayMs = 1 + Math.floor(random.next() * 2 * this.#meanDelayMs);
    if (!isCalm && random.happens(networkOdds.frameDelayed)) {
      faults.add('frame-delayed');
      delayMs += random.integer(500, 8_000);
    }
    return queue.nowMs + delayMs;
  }

  #deliver<Message>(direction: Direction<Message>, read: () => Message, arrivalMs: number): void {
    direction.lastArrivalMs = Math.max(direction.lastArrivalMs, arrivalMs);
    this.#parts.queue.at(arrivalMs, () => (this.#isCut || !direction.open ? undefined : direction.end.heard(read())));
  }

  #tell<Message>(direction: Direction<Message> | undefined, delayMs = 0): void {
    if (direction === undefined) return;
    const { queue } = this.#parts;
    queue.at(Math.max(queue.nowMs + delayMs, this.#isCut ? 0 : direction.lastArrivalMs), () => {
      if (!direction.open) return;
      direction.open = false;
      this.#isCut = true;
      direction.end.closed();
    });
  }
}

/** The line of one site: there, or out until a time. */
export class Line {
  readonly #parts: NetworkParts;
  #outUntilMs = 0;
  #hangs = false;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  get outUntilMs(): number {
    return this.#outUntilMs;
  }

  /** While the line is out: attempts hang instead of being refused. */
  get hangs(): boolean {
    return this.#hangs;
  }

  isOut(): boolean {
    return this.#parts.queue.nowMs < this.#outUntilMs;
  }

  /** The line goes out, and what runs over it is cut. */
  goOut(forMs: number): void {
    const { queue, random } = this.#parts;
    this.#outUntilMs = Math.max(this.#outUntilMs, queue.nowMs + forMs);
    this.#hangs = random.happens(networkOdds.hangingConnect);
  }

  /** From now on nothing goes wrong. */
  repair(): void {
    this.#outUntilMs = 0;
  }
}

function reread<Message>(read: { ok: true; message: Message } | { ok: false; code: string; message: string }): Message {
  if (!read.ok) throw new Error(`a frame of ours could not be read: ${read.code} ${read.message}`);
  return read.message;
}
