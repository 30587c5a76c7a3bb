/** An aggregator's socket for tests: real `ws` on a free port, an honest protocol, and hooks to be dishonest with. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type ChainedEntry, emptyHead, followChain, type Head } from '@rollcall/shared/ledger/chain.ts';
import { generateSigningKey, nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { leaseSignerFromPem } from '@rollcall/shared/node/lease-token.ts';
import { decodeToAggregator, encode } from '@rollcall/shared/protocol/codec.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import type { ToAggregator, ToSite } from '@rollcall/shared/protocol/messages.ts';
import { subprotocol } from '@rollcall/shared/protocol/version.ts';
import type { Welcome } from '@rollcall/shared/protocol/welcome.ts';
import { type WebSocket, WebSocketServer } from 'ws';

const leaseKey = generateSigningKey();

export class SocketAggregator {
  readonly publicKey = leaseKey.publicKey;
  readonly sign = leaseSignerFromPem(leaseKey.privateKeyPem);
  readonly held: ChainedEntry[] = [];
  readonly heard: ToAggregator[] = [];
  sockets: WebSocket[] = [];
  upgrades = 0;
  /** Refused upgrades whose answer the other side has read: it closed in turn. */
  refusalsRead = 0;
  /** Serves these fields in the welcome. */
  welcome: Partial<Welcome> = {};
  /** Answers instead of the honest protocol when it gives something back; null says nothing. */
  answer: (message: ToAggregator, socket: WebSocket) => ToSite[] | null | undefined = () => undefined;
  /** Refuses the upgrade with this status. */
  refuseWith: { status: number; headers: string } | null = null;
  now: () => Instant;
  sitePublicKey: string;
  readonly #http = createServer();
  readonly #server = new WebSocketServer({ noServer: true, handleProtocols: () => subprotocol });

  constructor(sitePublicKey: string, now: () => Instant) {
    this.sitePublicKey = sitePublicKey;
    this.now = now;
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.upgrades++;
      if (this.refuseWith !== null) {
        socket.on('close', () => this.refusalsRead++);
        socket.end(
          `HTTP/1.1 ${this.refuseWith.status} No\r\n${this.refuseWith.headers}Content-Length: 0\r\nConnection: close\r\n\r\n`,
        );
        return;
      }
      this.#server.handleUpgrade(request, socket, head, (accepted) => this.#accept(accepted));
    });
  }

  get head(): Head {
    const last = this.held.at(-1);
    return last === undefined ? emptyHead : { seq: last.entry.seq, hash: last.hash, at: last.entry.at };
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Listens on the given port again after `close`, or on a free one. */
  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#http.listen(port, '127.0.0.1', resolve));
  }

  cut(): void {
    for (const socket of this.sockets.splice(0)) socket.terminate();
  }

  send(message: ToSite | string): void {
    for (const socket of this.sockets) socket.send(typeof message === 'string' ? message : encode(message));
  }

  heardOf<Kind extends ToAggregator['kind']>(kind: Kind): Extract<ToAggregator, { kind: Kind }>[] {
    return this.heard.filter((message): message is Extract<ToAggregator, { kind: Kind }> => message.kind === kind);
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
  }

  #accept(socket: WebSocket): void {
    this.sockets.push(socket);
    const nonce = 'N'.repeat(43);
    socket.on('message', (data: Buffer) => {
      const decoded = decodeToAggregator(data.toString('utf8'));
      if (!decoded.ok) throw new Error(`the site sent what is no message: ${decoded.code}`);
      this.heard.push(decoded.message);
      const answers = this.answer(decoded.message, socket);
      for (const message of answers === undefined ? this.#honest(decoded.message, nonce) : (answers ?? []))
        socket.send(encode(message));
    });
    socket.send(encode({ kind: 'challenge', nonce, serverTime: this.now(), protocolMin: 1, protocolMax: 1 }));
  }

  #honest(message: ToAggregator, nonce: string): ToSite[] {
    switch (message.kind) {
      case 'hello': {
        const { signature, kind: _kind, ...hello } = message;
        if (!nodeVerifier.verify(this.sitePublicKey, helloText(hello, nonce), signature))
          return [{ kind: 'bye', code: 'SIGNATURE_WRONG', retryAfterMs: null, message: 'wrong' }];
        const acked = { seq: this.head.seq, hash: this.head.hash };
        const settings = { staleAfterDays: 30 };
        return [
          {
            kind: 'welcome',
            serverTime: this.now(),
            acked,
            leases: [],
            settings,
            commands: [],
            heartbeatIntervalMs: 30_000,
            ...this.welcome,
          },
        ];
      }
      case 'append': {
        const followed = followChain(this.head, message.entries, nodeDigest);
        if (!followed.ok)
          return [
            {
              kind: 'reject',
              code: followed.code,
              expected: { seq: this.head.seq, hash: this.head.hash },
              message: followed.message,
            },
          ];
        this.held.push(...followed.entries);
        return [{ kind: 'ack', seq: this.head.seq, serverTime: this.now() }];
      }
      case 'status':
      case 'bye':
        return [];
    }
  }
}
