/** How often a caller may ask: per credential, per address, and in all. Keeps no credential, only its hash. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** Most requests in one minute. */
export type RateLimits = {
  /** With one credential: an endpoint needs a few an hour. */
  perCredential: number;
  /** From one address: a whole branch behind one router may come back at once after a power cut (5,000 endpoints). */
  perAddress: number;
  /**
   * From one address with a wrong join code or product key, and apart from these with a wrong operator token: what a person's
   * typing needs, no guesser's. Wrong credentials do not count: nobody guesses 256 bits, and a room of machines that were imaged
   * anew, or a site restored from a backup, shows stale ones by the dozen.
   */
  failuresPerAddress: number;
  /** From everyone; bounds the memory of the others. */
  inAll: number;
};

export const defaultRateLimits: RateLimits = {
  perCredential: 240,
  perAddress: 6_000,
  failuresPerAddress: 30,
  inAll: 30_000,
};

const windowSeconds = 60;

/** `limited` with the seconds to wait. */
export type RateVerdict = { limited: false } | { limited: true; waitSeconds: number };

/** What was shown and wrong. One kind does not lock out the other. */
export type Shown = 'proof' | 'operator-token';

export class RateGuard {
  readonly #perCredential: RateLimiterMemory;
  readonly #perAddress: RateLimiterMemory;
  readonly #failures: Record<Shown, RateLimiterMemory>;
  readonly #inAll: RateLimiterMemory;

  constructor(limits: RateLimits) {
    const limiter = (keyPrefix: string, points: number): RateLimiterMemory =>
      new RateLimiterMemory({ keyPrefix, points, duration: windowSeconds });
    this.#perCredential = limiter('credential', limits.perCredential);
    this.#perAddress = limiter('address', limits.perAddress);
    this.#failures = {
      proof: limiter('proof', limits.failuresPerAddress),
      'operator-token': limiter('operator-token', limits.failuresPerAddress),
    };
    this.#inAll = limiter('all', limits.inAll);
  }

  /** Counts a request from an address. */
  async request(address: string): Promise<RateVerdict> {
    const all = await spend(this.#inAll, 'all');
    return all.limited ? all : spend(this.#perAddress, addressKey(address));
  }

  /** Counts a request with a credential, by the hash of it. */
  credential(credentialHash: string): Promise<RateVerdict> {
    return spend(this.#perCredential, credentialHash);
  }

  /** Counts a wrong join code, product key or operator token. */
  async failure(shown: Shown, address: string): Promise<void> {
    await spend(this.#failures[shown], addressKey(address));
  }

  /** Whether the address has used up its wrong tries. */
  async failedTooOften(shown: Shown, address: string): Promise<RateVerdict> {
    const failures = this.#failures[shown];
    const spent = await failures.get(addressKey(address));
    if (spent === null || spent.consumedPoints < failures.points) return { limited: false };
    return { limited: true, waitSeconds: spent.msBeforeNext / 1000 };
  }
}

async function spend(limiter: RateLimiterMemory, key: string): Promise<RateVerdict> {
  try {
    await limiter.consume(key);
    return { limited: false };
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return { limited: true, waitSeconds: refusal.msBeforeNext / 1000 };
    throw refusal;
  }
}

/** One key for each IPv4 address and for each /64 of IPv6, since a machine picks the other half of its address itself. */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right].slice(0, 4);
  return `${groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
