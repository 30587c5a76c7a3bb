/** Free ports for servers that must come back to the same one after a restart. */
import { createServer } from 'node:net';

/** Below the ports that systems take for outgoing connections: one of those could sit on ours while its program is restarted. */
const firstPort = 20_000;
const lastPort = 31_999;

/** Each process of tests begins elsewhere. */
let next = firstPort + ((process.pid * 37) % (lastPort - firstPort));

/** A port on which nobody listens, not given out before by this process. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < lastPort - firstPort; tries++) {
    const port = next;
    next = next >= lastPort ? firstPort : next + 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${firstPort} to ${lastPort} is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
