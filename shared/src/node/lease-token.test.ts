import { CompactSign } from 'jose';
import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Lease } from '../domain/lease.ts';
import { generateSigningKey } from './crypto.ts';
import { leaseSignerFromPem, verifyLease } from './lease-token.ts';

const aggregator = generateSigningKey();
const stranger = generateSigningKey();
const lease: Lease = {
  siteId: `site_${'a'.repeat(20)}`,
  keyId: `key_${'b'.repeat(20)}`,
  product: 'metered-agent',
  keyTextHash: 'ab'.repeat(32),
  keyHint: 'abcde',
  issuedAt: '2026-03-01T00:00:00.000Z',
  until: '2026-03-15T00:00:00.000Z',
};

const signAs = (privateKeyPem: string, header: { alg: 'EdDSA'; typ?: string }, claims: unknown): Promise<string> =>
  new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader(header)
    .sign(createPrivateKey(privateKeyPem));

describe('a lease', () => {
  it('signed by the aggregator is read back whole, also by its older keys', async () => {
    const token = await leaseSignerFromPem(aggregator.privateKeyPem)(lease);
    expect(await verifyLease(token, [stranger.publicKey, aggregator.publicKey])).toEqual({ ok: true, lease });
  });

  it('signed by anyone else is refused', async () => {
    const token = await leaseSignerFromPem(stranger.privateKeyPem)(lease);
    expect(await verifyLease(token, [aggregator.publicKey])).toMatchObject({
      ok: false,
      code: 'LEASE_SIGNATURE_WRONG',
    });
  });

  it('with one changed character is refused', async () => {
    const token = await leaseSignerFromPem(aggregator.privateKeyPem)(lease);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const forged = Buffer.from(JSON.stringify({ ...lease, until: '2036-03-15T00:00:00.000Z' })).toString('base64url');
    expect(await verifyLease(`${header}.${forged}.${signature}`, [aggregator.publicKey])).toMatchObject({ ok: false });
    expect(
      await verifyLease(`${header}.${payload}.${signature.slice(0, -4)}AAAA`, [aggregator.publicKey]),
    ).toMatchObject({ ok: false });
  });

  it('without a signature (alg none) is refused', async () => {
    const payload = Buffer.from(JSON.stringify(lease)).toString('base64url');
    const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'rollcall-lease+jwt' })).toString('base64url');
    expect(await verifyLease(`${header}.${payload}.AA`, [aggregator.publicKey])).toMatchObject({ ok: false });
  });

  it.each([
    ['another type of token', { alg: 'EdDSA', typ: 'JWT' } as const, lease],
    ['no lease at all', { alg: 'EdDSA', typ: 'rollcall-lease+jwt' } as const, { siteId: 'x' }],
  ])('that is %s is refused though the aggregator signed it', async (_case, header, claims) => {
    const token = await signAs(aggregator.privateKeyPem, header, claims);
    expect(await verifyLease(token, [aggregator.publicKey])).toMatchObject({ ok: false, code: 'LEASE_MALFORMED' });
  });
});
