/** The cryptography the ledger needs, as a port: Node gives it in `node/crypto.ts`, a browser with Web Crypto can too. */
import { z } from 'zod';

/** SHA-256 in lower-case hexadecimal. */
export const Hash = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in hexadecimal');
export type Hash = z.infer<typeof Hash>;

/** The 32 bytes of an Ed25519 public key (RFC 8032) in base64url without padding. */
export const PublicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'not an Ed25519 public key in base64url');
export type PublicKey = z.infer<typeof PublicKey>;

/** The 64 bytes of an Ed25519 signature (RFC 8032) in base64url without padding. */
export const Signature = z.string().regex(/^[A-Za-z0-9_-]{86}$/, 'not an Ed25519 signature in base64url');
export type Signature = z.infer<typeof Signature>;

export type Digest = { sha256(text: string): Hash };

/** A text is checked as its UTF-8. */
export type Verifier = {
  verify(publicKey: PublicKey, message: string | Uint8Array, signature: Signature): boolean;
};

/** Holds a private key without giving it out. */
export type Signer = { readonly publicKey: PublicKey; sign(message: string): Signature };
