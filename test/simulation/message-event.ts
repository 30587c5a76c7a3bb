/** What the aggregator's messages mean to a site: the same reading that the product's uplink makes of them. */
import type { SiteEvent } from '@rollcall/agent/core/site.ts';
import type { Lease } from '@rollcall/shared/domain/lease.ts';
import type { ToSite } from '@rollcall/shared/protocol/messages.ts';

/** The event of a message read at a steady time; `lease` reads the text of one. */
export function siteEventOf(
  message: Exclude<ToSite, { kind: 'challenge' | 'bye' | 'reject' }>,
  heardSteadyMs: number,
  lease: (text: string) => Lease,
): SiteEvent<'welcomed' | 'acknowledged' | 'lease' | 'settings' | 'command' | 'notice'> {
  switch (message.kind) {
    case 'welcome': {
      const { serverTime, acked, settings, commands } = message;
      return {
        kind: 'welcomed',
        serverTime,
        heardSteadyMs,
        acknowledgedSeq: acked.seq,
        leases: message.leases.map(lease),
        settings,
        commands,
      };
    }
    case 'ack':
      return { kind: 'acknowledged', seq: message.seq, serverTime: message.serverTime, heardSteadyMs };
    case 'lease':
      return { kind: 'lease', lease: lease(message.lease) };
    case 'settings':
      return { kind: 'settings', settings: message.settings };
    case 'command':
      return { kind: 'command', command: message.command };
    case 'notice':
      return { kind: 'notice', code: message.code, message: message.message };
  }
}
