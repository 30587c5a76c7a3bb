/** The socket of the local API: limits of connections and time, a clear word when it cannot be had, an orderly end. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { Hono } from 'hono';

/** Most connections at once; endpoints open one for a request and close it. */
const connectionsMax = 2_000;
const headerBytesMax = 8 * 1024;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 15_000;
const keepAliveTimeoutMs = 5_000;
/** Time for requests under way when the program stops; what is left is cut. */
const closeGraceMs = 3_000;

export type LocalServer = {
  /** Where it listens, for a client on this machine: `http://127.0.0.1:7411`. */
  readonly url: string;
  close(): Promise<void>;
};

/** @throws RollcallError `PORT_TAKEN`, `ADDRESS_UNUSABLE`. */
export async function listenLocally(
  app: Hono,
  place: { host: string; port: number },
  clock: Clock,
): Promise<LocalServer> {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
    (incoming, outgoing) => void listener(incoming, outgoing),
  );
  server.maxConnections = connectionsMax;
  const address = await listen(server, place);
  return { url: urlOf(address), close: () => close(server, clock) };
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, host, port)));
    server.listen({ host, port }, () => {
      const address = server.address();
      if (address === null || typeof address === 'string')
        reject(new TypeError('a TCP server has an address with a port'));
      else resolve(address);
    });
  });
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): RollcallError {
  if (cause.code === 'EADDRINUSE')
    return new RollcallError('PORT_TAKEN', `port ${port} on ${host} is taken by another program`, {
      retryable: false,
      hint: 'stop that program (perhaps another Site Manager runs already), or choose another port with --local-api-port',
      cause,
    });
  const why =
    cause.code === 'EACCES'
      ? 'this user may not open it'
      : `the address cannot be used (${cause.code ?? cause.message})`;
  return new RollcallError('ADDRESS_UNUSABLE', `cannot listen on ${host} port ${port}: ${why}`, {
    retryable: false,
    hint: 'choose an address of this machine with --local-api-host and a port above 1023 with --local-api-port',
    cause,
  });
}

/** An unspecified address is listened on everywhere, but is no address to go to. */
function urlOf({ address, port, family }: AddressInfo): string {
  if (address === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (address === '::') return `http://[::1]:${port}`;
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`;
}

function close(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(closeGraceMs, () => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}
