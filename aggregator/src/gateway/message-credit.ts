/** What one session may send that leads to nothing durable: a bucket of messages that refills with time. */
import type { GatewayLimits } from './limits.ts';

/** Characters of a frame that weigh as one message more. */
const charactersPerMessage = 64 * 1024;

type CreditLimits = Pick<GatewayLimits, 'idleMessagesPerSecond' | 'idleMessagesBurst'>;

export class MessageCredit {
  readonly #limits: CreditLimits;
  #messages: number;
  #asOfMs: number;

  constructor(limits: CreditLimits, nowMs: number) {
    this.#limits = limits;
    this.#messages = limits.idleMessagesBurst;
    this.#asOfMs = nowMs;
  }

  /** Takes the weight of a message off; false when there was not so much. */
  pay(characters: number, nowMs: number): boolean {
    const { idleMessagesPerSecond, idleMessagesBurst } = this.#limits;
    const refilled = this.#messages + ((nowMs - this.#asOfMs) / 1000) * idleMessagesPerSecond;
    this.#messages = Math.min(idleMessagesBurst, refilled) - weight(characters);
    this.#asOfMs = nowMs;
    return this.#messages >= 0;
  }

  /** Gives back what a message cost that is paid for otherwise. */
  giveBack(characters: number): void {
    this.#messages += weight(characters);
  }
}

const weight = (characters: number): number => 1 + Math.floor(characters / charactersPerMessage);
