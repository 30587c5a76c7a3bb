import { describe, expect, it } from 'vitest';
import { limitKey, remoteAddressOf } from './remote-address.ts';

const asked = (peer: string | undefined, forwarded?: string | string[]) => ({
  socket: { remoteAddress: peer },
  headers: { 'x-forwarded-for': forwarded },
});

describe('the remote address', () => {
  it.each([
    [
      'the peer where no proxy is trusted, whatever the header says',
      asked('203.0.113.7', '198.51.100.1'),
      0,
      '203.0.113.7',
    ],
    ['IPv4 in IPv6', asked('::ffff:203.0.113.7'), 0, '203.0.113.7'],
    [
      'what our one proxy saw, not what the client made up',
      asked('10.0.0.1', '1.2.3.4, 198.51.100.1'),
      1,
      '198.51.100.1',
    ],
    ['what the outer of two proxies saw', asked('10.0.0.1', '1.2.3.4, 198.51.100.1, 10.0.0.2'), 2, '198.51.100.1'],
    ['several headers are one list', asked('10.0.0.1', ['1.2.3.4', '198.51.100.1']), 1, '198.51.100.1'],
    ['the peer where the header is missing', asked('10.0.0.1'), 1, '10.0.0.1'],
    ['the peer where the list is too short', asked('10.0.0.1', '1.2.3.4'), 2, '10.0.0.1'],
    ['the peer where the entry is no address', asked('10.0.0.1', 'unknown'), 1, '10.0.0.1'],
    ['nobody', asked(undefined), 0, 'unknown'],
  ])('is %s', (_case, request, proxies, address) => {
    expect(remoteAddressOf(request, proxies)).toBe(address);
  });

  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2:ffff:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['unknown', 'unknown'],
  ])('counts %s as %s', (address, key) => {
    expect(limitKey(address)).toBe(key);
  });
});
