/** Whose request it is, as far as the network tells: the peer's address, or the one a trusted proxy names. */
import { isIP, isIPv6 } from 'node:net';

type Asked = { socket: { remoteAddress?: string | undefined }; headers: Record<string, string | string[] | undefined> };

/**
 * The client's address. `trustedProxies` is how many proxies of ours stand in front: each appends to X-Forwarded-For, so the
 * entry that many from the right is the first one a client cannot have made up.
 */
export function remoteAddressOf(asked: Asked, trustedProxies: number): string {
  const peer = asked.socket.remoteAddress ?? 'unknown';
  if (trustedProxies === 0) return plain(peer);
  const header = asked.headers['x-forwarded-for'];
  const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').map((hop) => hop.trim());
  const named = hops.at(-trustedProxies);
  return named !== undefined && isIP(named) !== 0 ? plain(named) : plain(peer);
}

/** What limits are counted by: an IPv6 customer owns a whole /64, and changes addresses within it at will. */
export function limitKey(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const all = address.includes('::')
    ? [...groups, ...Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => '0'), ...after]
    : groups;
  return `${all
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

/** IPv4 in IPv6's clothes is IPv4. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
