/** How many requests a minute: counted per token, and failed sign-ins per address. Windows are kept in this node's memory. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

const windowSeconds = 60;

export type Consumed = { ok: boolean; retryAfterSeconds: number; headers: Record<string, string> };
export type RateLimit = {
  /** Counts one; `ok` is false when it was one too many. */
  consume(key: string): Promise<Consumed>;
  /** Looks without counting. */
  look(key: string): Promise<Consumed>;
};

/** `name` stands in the headers (RateLimit fields for HTTP, IETF draft): `RateLimit: "token";r=599;t=32`. */
export function createRateLimit(name: string, perMinute: number): RateLimit {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: windowSeconds, keyPrefix: name });
  const told = (remaining: number, msBeforeNext: number): Consumed => {
    const seconds = Math.max(1, Math.ceil(msBeforeNext / 1000));
    return {
      ok: remaining >= 0,
      retryAfterSeconds: seconds,
      headers: {
        'ratelimit-policy': `"${name}";q=${perMinute};w=${windowSeconds}`,
        ratelimit: `"${name}";r=${Math.max(0, remaining)};t=${seconds}`,
      },
    };
  };
  return {
    async consume(key) {
      try {
        const { remainingPoints, msBeforeNext } = await limiter.consume(key);
        return told(remainingPoints, msBeforeNext);
      } catch (error) {
        if (error instanceof RateLimiterRes) return told(-1, error.msBeforeNext);
        throw error;
      }
    },
    async look(key) {
      const found = await limiter.get(key);
      return found === null
        ? told(perMinute, windowSeconds * 1000)
        : told(found.consumedPoints >= perMinute ? -1 : found.remainingPoints, found.msBeforeNext);
    },
  };
}
