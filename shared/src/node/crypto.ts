/** Node's cryptography behind the ledger's port: SHA-256, Ed25519 keys and signatures, chance. Keys at rest are the caller's. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import type { Digest, PublicKey, Signature, Signer, Verifier } from '../ledger/crypto.ts';

/** DER prefix of an Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4); the 32 key bytes follow. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
/** Sites that sign at the same time. More would keep a key for each of thousands that connect once and stay. */
const publicKeysCachedMax = 256;
const publicKeys = new Map<PublicKey, KeyObject>();

export const nodeDigest: Digest = { sha256: (text) => hash('sha256', text, 'hex') };

export const nodeVerifier: Verifier = {
  /** False for a wrong signature and for a key or signature of the wrong length alike; never throws on input. */
  verify(publicKey, message, signature) {
    const signatureBytes = Buffer.from(signature, 'base64url');
    // Node skips what is no base64url and ignores left-over bits; a signature has one spelling only.
    if (signatureBytes.toString('base64url') !== signature) return false;
    try {
      const messageBytes = typeof message === 'string' ? Buffer.from(message, 'utf8') : message;
      return verify(null, messageBytes, publicKeyObject(publicKey), signatureBytes);
    } catch {
      return false;
    }
  },
};

/** Makes a new Ed25519 key pair; the private half as PKCS #8 PEM. */
export function generateSigningKey(): { privateKeyPem: string; publicKey: PublicKey } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    publicKey: rawPublicKey(publicKey),
  };
}

/** A signer from a PKCS #8 PEM. @throws when the PEM is not an Ed25519 private key. */
export function signerFromPem(privateKeyPem: string): Signer {
  const key = createPrivateKey(privateKeyPem);
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`needs an Ed25519 key, got ${key.asymmetricKeyType}`);
  return {
    publicKey: rawPublicKey(createPublicKey(key)),
    sign: (message): Signature => sign(null, Buffer.from(message, 'utf8'), key).toString('base64url'),
  };
}

/** The key object of a raw public key in base64url, cached: one site signs many times. */
export function publicKeyObject(publicKey: PublicKey): KeyObject {
  const cached = publicKeys.get(publicKey);
  if (cached !== undefined) return cached;
  const raw = Buffer.from(publicKey, 'base64url');
  if (raw.length !== 32) throw new TypeError('an Ed25519 public key has 32 bytes');
  const key = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  if (publicKeys.size >= publicKeysCachedMax) publicKeys.clear();
  publicKeys.set(publicKey, key);
  return key;
}

/** Bytes of chance from the operating system. */
export const systemChance = (bytes: number): Uint8Array => randomBytes(bytes);

const rawPublicKey = (key: KeyObject): PublicKey =>
  key.export({ type: 'spki', format: 'der' }).subarray(spkiPrefix.length).toString('base64url');
