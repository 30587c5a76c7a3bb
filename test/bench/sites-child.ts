/** Many sites in one child process: real `ws` clients that shake hands, then send frames made beforehand and wait for the ack. */
import { signerFromPem } from '@rollcall/shared/node/crypto.ts';
import { decodeToSite, encode } from '@rollcall/shared/protocol/codec.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { protocolVersion, sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import WebSocket, { type RawData } from 'ws';
import { BenchLedger, type BenchSite, benchBegin } from './estate.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { answerAll } from './child.ts';

export type SitesRequest =
  | { kind: 'connect'; port: number; sites: BenchSite[] }
  /** Plain sockets to a bare server, which says nothing. */
  | { kind: 'connect-bare'; port: number; count: number }
  /** Makes `frames` frames of `entriesPerFrame` entries for each site; `ahead` of them go out before an ack is awaited. */
  | { kind: 'prepare'; frames: number; entriesPerFrame: number }
  | { kind: 'send'; ahead: number }
  /** Each site tells its status, as it does when counts change. */
  | { kind: 'tell-status' };

type Site = { socket: WebSocket; ledger: BenchLedger; frames: { text: string; lastSeq: number }[] };

/** Handshakes under way at once: a signature each, on both sides. */
const connectingMax = 50;
const sites: Site[] = [];
const bare: WebSocket[] = [];

answerAll(async (request: SitesRequest) => {
  switch (request.kind) {
    case 'connect':
      for (let from = 0; from < request.sites.length; from += connectingMax)
        sites.push(
          ...(await Promise.all(
            request.sites
              .slice(from, from + connectingMax)
              .map((site, index) => connect(request.port, site, addressOf(sites.length + index))),
          )),
        );
      return { connected: sites.length };
    case 'connect-bare':
      for (let from = 0; from < request.count; from += connectingMax)
        bare.push(
          ...(await Promise.all(
            Array.from({ length: Math.min(connectingMax, request.count - from) }, () => connectBare(request.port)),
          )),
        );
      return { connected: bare.length };
    case 'prepare':
      for (const site of sites)
        site.frames = Array.from({ length: request.frames }, () => {
          const entries = site.ledger.next(request.entriesPerFrame);
          return { text: encode({ kind: 'append', entries }), lastSeq: entries.at(-1)?.seq ?? 0 };
        });
      return { entries: sites.length * request.frames * request.entriesPerFrame };
    case 'tell-status': {
      const none = { server: 0, workstation: 0 };
      for (const { socket } of sites)
        socket.send(
          encode({
            kind: 'status',
            at: benchBegin,
            deployed: { server: 0, workstation: 3 },
            active: none,
            lastCheckInAt: benchBegin,
          }),
        );
      return {};
    }
    case 'send': {
      const began = performance.now();
      await Promise.all(sites.map((site) => sendAll(site, request.ahead)));
      return { ms: performance.now() - began };
    }
  }
});

/** Sites come from many addresses, as they do; one may hold and open only so many connections. */
const addressOf = (index: number): string => `127.0.1.${1 + Math.floor(index / 200)}`;

function connect(port: number, site: BenchSite, localAddress: string): Promise<Site> {
  return new Promise((resolve, reject) => {
    const signer = signerFromPem(site.privateKeyPem);
    const socket = new WebSocket(`ws://127.0.0.1:${port}${sitePaths.socket}`, subprotocol, {
      perMessageDeflate: false,
      localAddress,
    });
    socket.once('error', reject);
    socket.on('message', (data) => {
      const read = decodeToSite(textOf(data));
      if (!read.ok) return reject(new Error(read.message));
      const { message } = read;
      if (message.kind === 'challenge') {
        const unsigned = {
          siteId: site.siteId,
          instanceId: '0'.repeat(16),
          head: { seq: emptyHead.seq, hash: emptyHead.hash },
          protocol: protocolVersion,
          software: 'bench 1',
        };
        socket.send(encode({ kind: 'hello', ...unsigned, signature: signer.sign(helloText(unsigned, message.nonce)) }));
      } else if (message.kind === 'welcome') {
        socket.removeAllListeners('message');
        resolve({ socket, ledger: new BenchLedger(site), frames: [] });
      } else if (message.kind === 'bye') reject(new Error(`${message.code}: ${message.message}`));
    });
  });
}

function connectBare(port: number): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    socket.once('error', reject);
    socket.once('open', () => resolve(socket));
  });
}

/** `ws` gives a text frame as one buffer unless told otherwise. */
const textOf = (data: RawData): string => (data as Buffer).toString('utf8');

/** Resolves when the last frame was acknowledged. */
function sendAll({ socket, frames }: Site, ahead: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let acknowledged = 0;
    const sendNext = (): void => {
      const frame = frames[sent];
      if (frame === undefined) return;
      sent++;
      socket.send(frame.text);
    };
    socket.removeAllListeners('message');
    socket.on('message', (data) => {
      const read = decodeToSite(textOf(data));
      if (!read.ok || read.message.kind === 'reject' || read.message.kind === 'bye')
        return reject(new Error(textOf(data)));
      if (read.message.kind !== 'ack') return;
      while (acknowledged < frames.length && (frames[acknowledged]?.lastSeq ?? Infinity) <= read.message.seq)
        acknowledged++;
      if (acknowledged === frames.length) return resolve();
      sendNext();
    });
    for (let i = 0; i < ahead; i++) sendNext();
  });
}
