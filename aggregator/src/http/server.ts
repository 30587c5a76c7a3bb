/** The listening server: limits of time and size below the application, WebSocket upgrades on the same port, and an orderly end. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { refuse, RollcallError } from '@rollcall/shared/domain/problem.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { type ProblemCode, problemOf } from './problem.ts';
import { problemMediaType } from '@rollcall/shared/api/problem.ts';

export type ServerOptions = {
  host: string;
  port: number;
  /** For a request to arrive whole, headers and body. */
  requestTimeoutMs: number;
  connectionsMax: number;
};

export type HttpServer = {
  port: number;
  /** Takes no new connection, waits for the requests under way, and cuts what is left after `withinMs`. */
  stop(withinMs: number): Promise<void>;
};

const headerBytesMax = 16 * 1024;
const headersMax = 100;
/** Longer than the idle limit of common load balancers (60 s): they, not we, close an idle connection. */
const keepAliveTimeoutMs = 65_000;

type Handlers = {
  fetch: (request: Request, env: { incoming: IncomingMessage }) => Response | Promise<Response>;
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
};

/**
 * Listens.
 * @throws RollcallError `PORT_TAKEN`, `ADDRESS_UNUSABLE`: one sentence that says which.
 */
export async function listen({ fetch, upgrade }: Handlers, options: ServerOptions): Promise<HttpServer> {
  const listener = getRequestListener((request, env) => {
    // The other half of the union is HTTP/2, which this server does not speak.
    return fetch(request, { incoming: env.incoming as IncomingMessage });
  });
  const silent = new SilentConnections();
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: Math.min(10_000, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(2_000, options.requestTimeoutMs),
      keepAliveTimeout: keepAliveTimeoutMs,
    },
    (request, response) => {
      silent.forget(request.socket);
      void listener(request, response);
    },
  );
  server.maxHeadersCount = headersMax;
  server.maxConnections = options.connectionsMax;
  server.on('connection', (socket) => silent.add(socket));
  server.on('upgrade', (request, socket, head) => {
    silent.forget(request.socket);
    upgrade(request, socket, head);
  });
  server.on('clientError', answerBrokenRequest);
  await bind(server, options);
  return { port: (server.address() as AddressInfo).port, stop: (withinMs) => stop(server, silent, withinMs) };
}

function bind(server: Server, { host, port }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(
        new RollcallError(
          taken ? 'PORT_TAKEN' : 'ADDRESS_UNUSABLE',
          taken
            ? `port ${port} on ${host} is taken by another program`
            : `cannot listen on ${host}, port ${port}: ${cause.code}`,
          {
            retryable: false,
            hint: taken
              ? 'choose another with --port, or stop the other program'
              : 'choose another with --host and --port',
            cause,
          },
        ),
      );
    });
    server.listen({ host, port }, resolve);
  });
}

/** Connections that have not asked anything yet: Node's `closeIdleConnections` passes them over, and waiting for them is in vain. */
class SilentConnections {
  readonly #sockets = new Set<Socket>();
  /** One function for all sockets; the event names its socket by `this`. */
  readonly #onClose = forgetIn(this.#sockets);

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', this.#onClose);
  }

  /** It has spoken. A socket of a site lives long: nothing of ours stays on it. */
  forget(socket: Socket): void {
    if (this.#sockets.delete(socket)) socket.off('close', this.#onClose);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function forgetIn(sockets: Set<Socket>): (this: Socket) => void {
  return function forget() {
    sockets.delete(this);
  };
}

function stop(server: Server, silent: SilentConnections, withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    // Real time, whatever clock the program runs on: what is waited for is real sockets.
    const cancel = systemClock.after(withinMs, () => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
    silent.close();
  });
}

const brokenRequests: Partial<Record<string, [ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', `the headers are longer than ${headerBytesMax} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'the request did not arrive in time'],
};

/** A request that Node's parser gave up on never reaches the application; it is answered here. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, message] = brokenRequests[error.code ?? ''] ?? ['BAD_REQUEST', 'this is not a request of HTTP/1.1'];
  const problem = problemOf(refuse(code, message));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: ${problemMediaType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
