/** The least server of WebSockets: what an idle connection costs when nobody does anything with it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { answerAll } from './child.ts';

export type BareRequest = { kind: 'start' } | { kind: 'memory' };

answerAll(async (request: BareRequest) => {
  if (request.kind === 'start') {
    const server = createServer();
    const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: 1024 * 1024 });
    sockets.on('connection', (socket) => {
      socket.on('message', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { port: (server.address() as AddressInfo).port };
  }
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return process.memoryUsage();
});
