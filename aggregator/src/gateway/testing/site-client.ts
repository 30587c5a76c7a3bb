/** A Site Manager's end of the socket for tests: a real `ws` client that signs, sends what it is told to, and keeps what comes. */
import type { Head } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { decodeToSite, encode } from '@rollcall/shared/protocol/codec.ts';
import { type Hello, helloText, type WireHead } from '@rollcall/shared/protocol/hello.ts';
import type { ToAggregator, ToSite } from '@rollcall/shared/protocol/messages.ts';
import { protocolVersion, sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import WebSocket from 'ws';

type Kind = ToSite['kind'];
type Of<K extends Kind> = Extract<ToSite, { kind: K }>;

/** Longest wait for anything before a test is told what came instead. */
const waitMs = 8_000;

export type Identity = { siteId: string; signer: Signer; head: Head };

export class SiteClient {
  readonly socket: WebSocket;
  readonly received: ToSite[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #unread: ToSite[] = [];
  #wake: () => void = () => undefined;

  constructor(
    port: number,
    options: { path?: string; protocols?: string[]; autoPong?: boolean; headers?: Record<string, string> } = {},
  ) {
    const { path = sitePaths.socket, protocols = [subprotocol], autoPong = true, headers = {} } = options;
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, {
      autoPong,
      headers,
      perMessageDeflate: false,
    });
    this.socket.on('message', (data) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('a message is one Buffer');
      const read = decodeToSite(data.toString('utf8'));
      if (!read.ok) throw new Error(`the gateway sent what no site can read: ${read.message}`);
      this.received.push(read.message);
      this.#unread.push(read.message);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#wake();
      });
    });
    // A refused handshake is seen by those who wait for it.
    this.socket.on('error', () => this.#wake());
  }

  /** Connects and goes through the handshake to the welcome. */
  static async join(port: number, identity: Identity, changes: Partial<Hello> = {}): Promise<SiteClient> {
    const client = new SiteClient(port);
    await client.hello(identity, changes);
    await client.next('welcome');
    return client;
  }

  /** Answers the challenge; `changes` are signed with the rest, `signature` among them stands as it is. */
  async hello({ siteId, signer, head }: Identity, changes: Partial<Hello> = {}): Promise<void> {
    const { nonce } = await this.next('challenge');
    const wireHead: WireHead = { seq: head.seq, hash: head.hash };
    const unsigned = {
      siteId,
      instanceId: '0'.repeat(16),
      head: wireHead,
      protocol: protocolVersion,
      software: 'test 1',
      ...changes,
    };
    this.send({ kind: 'hello', ...unsigned, signature: changes.signature ?? signer.sign(helloText(unsigned, nonce)) });
  }

  send(message: ToAggregator | string): void {
    this.socket.send(typeof message === 'string' ? message : encode(message));
  }

  append(entries: readonly LedgerEntry[]): void {
    this.send({ kind: 'append', entries: [...entries] });
  }

  /** The next message of a kind; others before it are passed over, except a bye, which nobody may overlook. */
  async next<K extends Kind>(kind: K): Promise<Of<K>> {
    return (await this.nextOf(kind)) as Of<K>;
  }

  async nextOf(...kinds: Kind[]): Promise<ToSite> {
    for (;;) {
      const message = this.#unread.shift();
      if (message === undefined) {
        await this.#more(kinds);
        continue;
      }
      if (kinds.includes(message.kind)) return message;
      if (message.kind === 'bye')
        throw new Error(`waited for ${kinds.join(', ')}, got bye ${message.code}: ${message.message}`);
    }
  }

  /** The code of the bye, after which the socket closes by itself. */
  async bye(): Promise<string> {
    const { code } = await this.next('bye');
    return code;
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  async #more(kinds: readonly Kind[]): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED)
      throw new Error(`waited for ${kinds.join(', ')}, the socket closed; received ${this.#told()}`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`waited ${waitMs} ms for ${kinds.join(', ')}; received ${this.#told()}`)),
        waitMs,
      );
    });
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([woken, late]).finally(() => clearTimeout(timer));
  }

  #told(): string {
    return this.received.map(({ kind }) => kind).join(', ') || 'nothing';
  }
}
