/** What the HTTP API asks of the gateway on this node; all calls return at once, the sockets follow. */
import type { Status } from '@rollcall/shared/protocol/status.ts';

export type GatewayPort = {
  isConnected(siteId: string): boolean;
  connectedCount(): number;
  /** The latest picture a connected site sent; gone with its socket. */
  statusOf(siteId: string): Status | undefined;
  /** Commands were queued, settings changed, or a key was made: a connected site is told now, another when it calls. */
  siteChanged(siteId: string): void;
  /** The flag was lifted or the site enrolled anew: the present socket, if any, is closed so that it comes back clean. */
  siteReset(siteId: string): void;
};
