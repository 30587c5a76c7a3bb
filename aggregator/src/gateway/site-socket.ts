/**
 * A WebSocket that carries its session, so that one set of listeners serves all sockets, and that says in our codes what the
 * transport finds wrong with a frame. Who the session is belongs to session.ts.
 */
import WebSocket from 'ws';
import type { ByeCode } from '@rollcall/shared/protocol/bye.ts';

/** What a socket tells of. */
export type SocketListener = {
  onFrame(data: Buffer, isBinary: boolean): void;
  /** The answer to a ping, with what the ping brought along. */
  onPong(echo: Buffer): void;
  onClose(): void;
  onBrokenFrame(code: ByeCode): void;
};

/** Closes of RFC 6455, 7.4.1, that ws makes of frames it cannot read. */
const brokenFrames: ReadonlyMap<number, ByeCode> = new Map([
  [1002, 'BAD_FRAME'],
  [1003, 'BAD_FRAME'],
  [1007, 'BAD_FRAME'],
  [1008, 'FRAME_TOO_LARGE'],
  [1009, 'FRAME_TOO_LARGE'],
]);

export class SiteSocket extends WebSocket {
  listener: SocketListener | undefined;

  listen(listener: SocketListener): void {
    this.listener = listener;
    this.on('message', onMessage);
    this.on('pong', onPong);
    this.on('close', onClose);
    this.on('error', onError);
  }

  /** ws closes without a reason after a frame it cannot read, and with the peer's reason after the peer's close. */
  override close(code?: number, reason?: string | Buffer): void {
    const broken = reason === undefined && code !== undefined ? brokenFrames.get(code) : undefined;
    if (broken !== undefined && this.listener !== undefined && this.readyState === this.OPEN)
      this.listener.onBrokenFrame(broken);
    else super.close(code, reason);
  }
}

function onMessage(this: WebSocket, data: WebSocket.RawData, isBinary: boolean): void {
  if (!(this instanceof SiteSocket)) return;
  // With ws's default binary type a message is one Buffer.
  if (Buffer.isBuffer(data)) this.listener?.onFrame(data, isBinary);
}

function onPong(this: WebSocket, echo: Buffer): void {
  if (this instanceof SiteSocket) this.listener?.onPong(echo);
}

function onClose(this: WebSocket): void {
  if (this instanceof SiteSocket) this.listener?.onClose();
}

/** What was wrong is told by the close that follows every error. */
function onError(): void {}
