/**
 * One WebSocket to the aggregator, made small: it opens, brings frames and signs of life, takes frames, and ends once. What
 * frames mean and when to try again is core/sync.ts.
 */
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { frameBytesMax, handshakeTimeoutMs } from '@rollcall/shared/protocol/limits.ts';
import { sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import WebSocket from 'ws';

export type SocketEvents = {
  opened(): void;
  /** The text of a frame; null for a binary one, which this protocol does not have. */
  frame(text: string | null): void;
  alive(): void;
  /** Once; `retryAfterMs` where an HTTP answer refused the upgrade and said when to come back. */
  closed(end: { why: string; retryAfterMs: number | null }): void;
};

export type SiteSocket = {
  send(text: string): void;
  ping(): void;
  /** Ends it; no event comes after. Resolves when the other side closed too, or after a short wait. */
  end(closeCode: number, lastFrame: string): Promise<void>;
};

/** From our closing of a socket to tearing it down. */
const closeTimeoutMs = 1_000;

/** Address of the socket of an aggregator at `http(s)://…`. */
export function socketUrl(aggregatorUrl: string): string {
  const url = new URL(aggregatorUrl);
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
  url.pathname = url.pathname.replace(/\/+$/, '') + sitePaths.socket;
  return url.href;
}

export function openSiteSocket(url: string, clock: Clock, events: SocketEvents): SiteSocket {
  const socket = new WebSocket(url, [subprotocol], {
    maxPayload: frameBytesMax,
    perMessageDeflate: false,
    handshakeTimeout: handshakeTimeoutMs,
    followRedirects: false,
  });
  let ended = false;
  const endOnce = (why: string, retryAfterMs: number | null): void => {
    if (ended) return;
    ended = true;
    events.closed({ why, retryAfterMs });
  };
  const whileOpen = (call: () => void) => (): void => {
    if (!ended) call();
  };
  socket.on(
    'open',
    whileOpen(() => events.opened()),
  );
  socket.on(
    'ping',
    whileOpen(() => events.alive()),
  );
  socket.on(
    'pong',
    whileOpen(() => events.alive()),
  );
  socket.on('message', (data: WebSocket.RawData, isBinary: boolean) => {
    if (!ended) events.frame(isBinary ? null : textOf(data));
  });
  socket.on('unexpected-response', (request, response) => {
    const status = response.statusCode ?? 0;
    request.destroy();
    endOnce(`the aggregator answered the upgrade with ${status}`, retryAfterOf(response.headers['retry-after']));
  });
  socket.on('error', (error) => endOnce(error.message, null));
  socket.on('close', (code) => endOnce(`closed with ${code}`, null));
  return {
    send: (text) => socket.send(text, ignoreSendError),
    ping: () => socket.ping(undefined, undefined, ignoreSendError),
    end(closeCode, lastFrame) {
      const wasOpen = socket.readyState === WebSocket.OPEN && !ended;
      ended = true;
      if (!wasOpen) {
        socket.terminate();
        return Promise.resolve();
      }
      socket.send(lastFrame, ignoreSendError);
      socket.close(closeCode);
      return new Promise((resolve) => {
        const cancel = clock.after(closeTimeoutMs, () => {
          socket.terminate();
          resolve();
        });
        socket.on('close', () => {
          cancel();
          resolve();
        });
      });
    },
  };
}

/** A frame that cannot be sent belongs to a socket that is closing; `close` tells of that. */
const ignoreSendError = (): void => undefined;

function textOf(data: WebSocket.RawData): string {
  if (Buffer.isBuffer(data)) return data.toString('utf8');
  return Array.isArray(data) ? Buffer.concat(data).toString('utf8') : Buffer.from(data).toString('utf8');
}

/** Whole seconds only (RFC 9110, 10.2.3); the date form would need a clock that is right. */
const retryAfterOf = (header: string | undefined): number | null =>
  header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : null;
