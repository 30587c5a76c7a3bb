/**
 * Who may open a socket at all, decided before the upgrade: path, method, subprotocol, how many and how fast. Answers refusals
 * in plain HTTP with a problem (RFC 9457) and, where waiting helps, Retry-After. Who the site is comes after (join.ts).
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Problem } from '@rollcall/shared/api/problem.ts';
import { sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { limitKey, remoteAddressOf } from '../http/remote-address.ts';
import type { GatewayLimits } from './limits.ts';

type AdmissionRefusal = {
  status: 404 | 405 | 426 | 429 | 503;
  code:
    | 'NOT_FOUND'
    | 'METHOD_NOT_ALLOWED'
    | 'SUBPROTOCOL_NEEDED'
    | 'RATE_LIMITED'
    | 'TOO_MANY_CONNECTIONS'
    | 'GOING_AWAY';
  title: string;
  headers?: Record<string, string>;
};

/** `address`: what to give the place back with, by `release`. */
export type Admitted = { ok: true; address: string } | ({ ok: false } & AdmissionRefusal);

const statusTexts = {
  404: 'Not Found',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
} as const;

/** Seconds after which room may have come free. */
const roomRetrySeconds = 10;

export class Admission {
  readonly #limits: GatewayLimits;
  readonly #trustedProxies: number;
  readonly #handshakes: AddressRate;
  readonly #perAddress = new Map<string, number>();
  #total = 0;
  #closing = false;

  constructor(limits: GatewayLimits, trustedProxies: number) {
    this.#limits = limits;
    this.#trustedProxies = trustedProxies;
    this.#handshakes = new AddressRate(limits.handshakesPerMinuteMax);
  }

  /** From now on nobody is let in. */
  close(): void {
    this.#closing = true;
  }

  /** Takes a place for the connection, or says why not. */
  async admit(request: IncomingMessage): Promise<Admitted> {
    const wrong = wrongRequest(request);
    if (wrong !== undefined) return { ok: false, ...wrong };
    if (this.#closing)
      return full('GOING_AWAY', 'this aggregator stops; another one takes over, or this one comes back', 503, 2);
    const address = limitKey(remoteAddressOf(request, this.#trustedProxies));
    const waitMs = await this.#handshakes.waitMs(address);
    if (waitMs > 0)
      return full('RATE_LIMITED', 'too many connections were opened from this address', 429, Math.ceil(waitMs / 1000));
    if (this.#total >= this.#limits.connectionsMax)
      return full('TOO_MANY_CONNECTIONS', 'all places are taken', 503, roomRetrySeconds);
    const ofAddress = this.#perAddress.get(address) ?? 0;
    if (ofAddress >= this.#limits.connectionsPerAddressMax)
      return full('TOO_MANY_CONNECTIONS', 'this address has as many connections as it may', 429, roomRetrySeconds);
    this.#total += 1;
    this.#perAddress.set(address, ofAddress + 1);
    return { ok: true, address };
  }

  release(address: string): void {
    this.#total -= 1;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }
}

/** So many a minute from one address, as `limitKey` names it. */
export class AddressRate {
  readonly #limiter: RateLimiterMemory;

  constructor(perMinute: number) {
    this.#limiter = new RateLimiterMemory({ points: perMinute, duration: 60 });
  }

  /** 0 when one more may come, else the milliseconds until then. */
  async waitMs(address: string): Promise<number> {
    try {
      await this.#limiter.consume(address);
      return 0;
    } catch (refused) {
      if (refused instanceof RateLimiterRes) return Math.max(1, refused.msBeforeNext);
      throw refused;
    }
  }
}

/** Answers an upgrade that is not admitted, and ends the connection. */
export function answerRefusal(socket: Duplex, refusal: AdmissionRefusal): void {
  const { status, code, title, headers = {} } = refusal;
  const body = JSON.stringify({ type: 'about:blank', title, status, code } satisfies Problem);
  const head = {
    Connection: 'close',
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${statusTexts[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}

function wrongRequest({ url = '', method, headers }: IncomingMessage): AdmissionRefusal | undefined {
  if (url.split('?')[0] !== sitePaths.socket)
    return { status: 404, code: 'NOT_FOUND', title: 'there is no socket at this path' };
  if (method !== 'GET')
    return { status: 405, code: 'METHOD_NOT_ALLOWED', title: 'a socket is opened with GET', headers: { Allow: 'GET' } };
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (headers.upgrade?.toLowerCase() === 'websocket' && offered.includes(subprotocol)) return undefined;
  return {
    status: 426,
    code: 'SUBPROTOCOL_NEEDED',
    title: `this socket speaks ${subprotocol}`,
    headers: { Upgrade: 'websocket', 'Sec-WebSocket-Protocol': subprotocol },
  };
}

const full = (code: AdmissionRefusal['code'], title: string, status: 429 | 503, retrySeconds: number): Admitted => ({
  ok: false,
  status,
  code,
  title,
  headers: { 'Retry-After': String(retrySeconds) },
});
