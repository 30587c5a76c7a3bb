// Every case of Project Wycheproof for Ed25519, through the verifier that reports, exports and handshakes are checked by.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { thirdPartyVectors } from '../support/third-party-vectors.ts';

const Hex = z.string().regex(/^([0-9a-f]{2})*$/);
const Vectors = z.object({
  algorithm: z.literal('EDDSA'),
  numberOfTests: z.int(),
  testGroups: z.array(
    z.object({
      publicKey: z.object({ curve: z.literal('edwards25519'), pk: Hex }),
      tests: z.array(
        z.object({ tcId: z.int(), comment: z.string(), msg: Hex, sig: Hex, result: z.enum(['valid', 'invalid']) }),
      ),
    }),
  ),
});

const base64url = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');
const folder = thirdPartyVectors('ed25519');

describe.skipIf(folder === undefined)('Ed25519 signatures (Wycheproof)', () => {
  const read = (): z.infer<typeof Vectors> =>
    Vectors.parse(JSON.parse(readFileSync(join(folder ?? '', 'wycheproof-ed25519.json'), 'utf8')));

  test('every valid one is accepted and every other is refused', () => {
    const { testGroups, numberOfTests } = read();
    const wrong: string[] = [];
    const seen = { valid: 0, invalid: 0 };
    for (const { publicKey, tests } of testGroups)
      for (const { tcId, comment, msg, sig, result } of tests) {
        seen[result]++;
        const accepted = nodeVerifier.verify(base64url(publicKey.pk), Buffer.from(msg, 'hex'), base64url(sig));
        if (accepted !== (result === 'valid')) wrong.push(`${tcId} (${comment}): ${result}, accepted: ${accepted}`);
      }
    expect(wrong).toEqual([]);
    expect(seen.valid + seen.invalid).toBe(numberOfTests);
    expect(seen.valid).toBeGreaterThan(0);
    expect(seen.invalid).toBeGreaterThan(0);
  });

  test('a valid signature spelt in another way is refused', () => {
    const [group] = read().testGroups;
    const valid = group?.tests.find(({ result }) => result === 'valid');
    if (group === undefined || valid === undefined) throw new Error('the vectors hold no valid case');
    const [key, message, signature] = [
      base64url(group.publicKey.pk),
      Buffer.from(valid.msg, 'hex'),
      base64url(valid.sig),
    ];
    // 64 bytes end in two bits of the last character; the other four must be zero.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.at(-1) ?? '');
    const sameBytes = signature.slice(0, -1) + alphabet[last + 1];
    expect(Buffer.from(sameBytes, 'base64url').equals(Buffer.from(signature, 'base64url'))).toBe(true);
    expect(nodeVerifier.verify(key, message, signature)).toBe(true);
    for (const spelling of [
      sameBytes,
      `${signature}==`,
      ` ${signature}`,
      Buffer.from(valid.sig, 'hex').toString('base64'),
    ])
      expect(nodeVerifier.verify(key, message, spelling)).toBe(false);
  });
});
