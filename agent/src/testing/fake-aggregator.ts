/**
 * An aggregator for tests of the Site Manager: the real enrolment route and the real socket, holding one site in memory.
 * It admits, leases one key and acknowledges everything; what an aggregator refuses is set by the test.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@rollcall/shared/domain/clock.ts';
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { emptyHead } from '@rollcall/shared/ledger/chain.ts';
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import type { LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { generateSigningKey, nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { leaseSignerFromPem } from '@rollcall/shared/node/lease-token.ts';
import { decodeToAggregator, encode } from '@rollcall/shared/protocol/codec.ts';
import { EnrolRequest, type EnrolResponse, enrolText } from '@rollcall/shared/protocol/enrol.ts';
import { helloText } from '@rollcall/shared/protocol/hello.ts';
import { heartbeatIntervalMs } from '@rollcall/shared/protocol/limits.ts';
import { sitePaths, subprotocol } from '@rollcall/shared/protocol/version.ts';
import { type WebSocket, WebSocketServer } from 'ws';

const leaseLengthMs = 14 * 86_400_000;

export const fakeSite = { siteId: 'site_0000000000000000000a', siteName: 'Rome office', timeZone: 'Europe/Rome' };
export const fakeProductKey = '7k3mq-7k3mq-7k3mq-7k3mq-7k3mq';

/** What the enrolment route answers instead of enrolling. */
export type EnrolAnswer = { status: number; body: string; headers?: Record<string, string> };

export type FakeAggregator = {
  url: string;
  /** Requests that were signed as they say. */
  enrolments: EnrolRequest[];
  /** Entries held, in order. */
  entries: LedgerEntry[];
  /** Set to refuse enrolments. */
  refuseEnrol: EnrolAnswer | undefined;
  close(): Promise<void>;
};

export async function startFakeAggregator(clock: Clock): Promise<FakeAggregator> {
  const { privateKeyPem, publicKey } = generateSigningKey();
  const signLease = leaseSignerFromPem(privateKeyPem);
  let siteKey = '';
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const {
        status,
        body,
        headers = {},
      } = request.url === sitePaths.enrol ? enrol(String(Buffer.concat(chunks))) : notFound;
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(body);
    });
  });

  const fake: FakeAggregator = {
    url: '',
    enrolments: [],
    entries: [],
    refuseEnrol: undefined,
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };

  function enrol(text: string): EnrolAnswer {
    if (fake.refuseEnrol !== undefined) return fake.refuseEnrol;
    const request = EnrolRequest.parse(JSON.parse(text));
    if (!nodeVerifier.verify(request.publicKey, enrolText(request), request.signature))
      return { status: 400, body: JSON.stringify({ code: 'SIGNATURE_WRONG' }) };
    fake.enrolments.push(request);
    siteKey = request.publicKey;
    const answer: EnrolResponse = {
      ...fakeSite,
      aggregatorPublicKeys: [publicKey],
      settings: { staleAfterDays: 30 },
      serverTime: clock.now(),
    };
    return { status: 200, body: JSON.stringify(answer) };
  }

  const sockets = new WebSocketServer({ server, path: sitePaths.socket, handleProtocols: () => subprotocol });
  sockets.on('connection', (socket) => {
    const nonce = generateSigningKey().publicKey;
    socket.send(encode({ kind: 'challenge', nonce, serverTime: clock.now(), protocolMin: 1, protocolMax: 1 }));
    socket.on('message', (data: Buffer) => void answer(socket, nonce, String(data)));
  });

  async function answer(socket: WebSocket, nonce: string, frame: string): Promise<void> {
    const decoded = decodeToAggregator(frame);
    if (!decoded.ok) throw new Error(decoded.message);
    const { message } = decoded;
    if (message.kind === 'hello') {
      if (!nodeVerifier.verify(siteKey, helloText(message, nonce), message.signature)) return socket.close(4421);
      const lease = await signLease(currentLease());
      const acked = { seq: heldSeq(), hash: heldHash() };
      socket.send(
        encode({
          kind: 'welcome',
          serverTime: clock.now(),
          acked,
          leases: [lease],
          settings: { staleAfterDays: 30 },
          commands: [],
          heartbeatIntervalMs,
        }),
      );
    } else if (message.kind === 'append') {
      fake.entries.push(...message.entries.filter(({ seq }) => seq > heldSeq()));
      socket.send(encode({ kind: 'ack', seq: heldSeq(), serverTime: clock.now() }));
    }
    return undefined;
  }

  const heldSeq = (): number => fake.entries.at(-1)?.seq ?? 0;
  const heldHash = (): string =>
    fake.entries.length === 0 ? emptyHead.hash : nodeDigest.sha256(canonicalJson(fake.entries.at(-1)));
  const currentLease = () => ({
    siteId: fakeSite.siteId,
    keyId: 'key_0000000000000000000a',
    product: 'metered-agent' as const,
    keyTextHash: nodeDigest.sha256(fakeProductKey),
    keyHint: fakeProductKey.slice(-5),
    issuedAt: clock.now(),
    until: instantFromMs(msOfInstant(clock.now()) + leaseLengthMs),
  });

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
}

const notFound: EnrolAnswer = { status: 404, body: '{"code":"NOT_FOUND","detail":"there is nothing here"}' };
