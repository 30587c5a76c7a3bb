/**
 * Who this Site Manager is: the files of the data folder that enrolment makes and everything else reads. Owns their names,
 * their form and that a half-done enrolment leaves a usable folder; the ledger beside them is `ledger/`.
 *
 *   site.json              what the aggregator said at enrolment; it names the key in use, so replacing it switches keys at once
 *   site-key-<…>.pem       the private key, named for the fingerprint of its public half
 *   site-key.pending.pem   made before the enrolment call and kept until it succeeded, so that a retry shows the same key
 *   join-code              what a managed agent shows to register; its operator hands it out
 *   local-api.json         where the running service listens and what the commands show to it, new at each start
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { base32Text, SiteId } from '@rollcall/shared/domain/id.ts';
import { Name } from '@rollcall/shared/domain/name.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { SiteSettings } from '@rollcall/shared/domain/site-settings.ts';
import { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import { PublicKey, type Signer } from '@rollcall/shared/ledger/crypto.ts';
import { generateSigningKey, nodeDigest, signerFromPem, systemChance } from '@rollcall/shared/node/crypto.ts';
import { z } from 'zod';
import { AggregatorUrl } from './config.ts';
import { readFileIfThere, removeFile, writeDurableFile } from './durable-file.ts';

export const SiteFile = z.object({
  version: z.literal(1),
  siteId: SiteId,
  siteName: Name,
  timeZone: TimeZone,
  aggregatorUrl: AggregatorUrl,
  /** Keys that sign leases, newest first. */
  aggregatorPublicKeys: z.array(PublicKey).min(1).max(10),
  publicKey: PublicKey,
  /** As they were at enrolment; the ledger has the ones that hold. */
  settings: SiteSettings,
});
export type SiteFile = z.infer<typeof SiteFile>;

/** Bytes of chance in the operator token. */
const operatorTokenBytes = 32;
/** 100 bits of chance. */
const joinCodeCharacters = 20;

export type SiteIdentity = { site: SiteFile; signer: Signer };

/** Is there an enrolled site in this folder? */
export const isEnrolled = (dataFolder: string): boolean => existsSync(join(dataFolder, 'site.json'));

/** @throws RollcallError `NOT_ENROLLED`, `IDENTITY_BROKEN`, `DATA_FOLDER_UNUSABLE`. */
export function readSiteFile(dataFolder: string): SiteFile {
  const text = readFileIfThere(join(dataFolder, 'site.json'));
  if (text === undefined)
    throw new RollcallError('NOT_ENROLLED', `there is no enrolled site in ${dataFolder}`, {
      retryable: false,
      hint: 'enrol it with `rollcall-site enrol`, or name its data folder with --data-folder',
    });
  try {
    const value: unknown = JSON.parse(text);
    return SiteFile.parse(value);
  } catch (cause) {
    throw identityBroken(`${join(dataFolder, 'site.json')} is not as enrolment wrote it`, cause);
  }
}

/** The identity in use. @throws RollcallError as `readSiteFile`. */
export function readIdentity(dataFolder: string): SiteIdentity {
  const site = readSiteFile(dataFolder);
  const path = keyPath(dataFolder, site.publicKey);
  const signer = readKey(path);
  if (signer === undefined) throw identityBroken(`the private key ${path} is missing`, undefined);
  if (signer.publicKey !== site.publicKey)
    throw identityBroken(`the private key ${path} is not the one of this site`, undefined);
  return { site, signer };
}

/** The key to enrol with: the one of an attempt that did not end well, so that repeating it is safe, or a new one. */
export function keyForEnrolment(dataFolder: string): Signer {
  const pending = pendingKeyPath(dataFolder);
  const started = readKey(pending);
  // The key in use is left over from an enrolment that ended well but for removing this file.
  const inUse = isEnrolled(dataFolder) ? readSiteFile(dataFolder).publicKey : undefined;
  if (started !== undefined && started.publicKey !== inUse) return started;
  const { privateKeyPem } = generateSigningKey();
  writeDurableFile(pending, privateKeyPem);
  return signerFromPem(privateKeyPem);
}

/**
 * Makes the enrolled identity the one in use. Each step leaves a folder that works: as before until `site.json` is replaced,
 * as after from then on.
 */
export function saveIdentity(dataFolder: string, site: SiteFile): void {
  const pending = pendingKeyPath(dataFolder);
  const privateKeyPem = readFileIfThere(pending);
  if (privateKeyPem === undefined)
    throw identityBroken(`the private key ${pending} vanished during enrolment`, undefined);
  writeDurableFile(keyPath(dataFolder, site.publicKey), privateKeyPem);
  joinCode(dataFolder);
  writeDurableFile(join(dataFolder, 'site.json'), `${JSON.stringify(SiteFile.parse(site), null, 2)}\n`);
  removeFile(pending);
}

/** The signer of a key this site has or had; undefined when its file is gone. */
export const signerOf = (dataFolder: string, publicKey: PublicKey): Signer | undefined =>
  readKey(keyPath(dataFolder, publicKey));

/**
 * What commands show to a running service, for as long as it runs: whoever takes over the port of one that was killed gets
 * nothing that opens the next one.
 */
export const newOperatorToken = (): string => Buffer.from(systemChance(operatorTokenBytes)).toString('base64url');

/** What a managed agent shows to register: four groups of five characters, read aloud without doubt; made if it is not there. */
export const joinCode = (dataFolder: string): string =>
  secretFile(join(dataFolder, 'join-code'), () => {
    const text = base32Text(systemChance(joinCodeCharacters), joinCodeCharacters);
    return (text.match(/.{5}/g) ?? []).join('-');
  });

function secretFile(path: string, make: () => string): string {
  const kept = readFileIfThere(path)?.trim();
  if (kept !== undefined && kept !== '') return kept;
  const fresh = make();
  writeDurableFile(path, `${fresh}\n`);
  return fresh;
}

/** Address and token stand in one file, replaced whole: a token never goes to the address of another run. */
const LocalApiFile = z.object({
  url: z.url({ protocol: /^http$/ }),
  pid: z.int().positive(),
  operatorToken: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
type LocalApiFile = z.infer<typeof LocalApiFile>;

/** Says where the running service listens, and what it is asked with. */
export const writeLocalApiFile = (dataFolder: string, place: LocalApiFile): void =>
  writeDurableFile(join(dataFolder, 'local-api.json'), `${JSON.stringify(place)}\n`);

export const removeLocalApiFile = (dataFolder: string): void => removeFile(join(dataFolder, 'local-api.json'));

/** Where the service listens, or last did; undefined when it never ran or ended well. */
export function readLocalApiFile(dataFolder: string): LocalApiFile | undefined {
  const text = readFileIfThere(join(dataFolder, 'local-api.json'));
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return LocalApiFile.safeParse(value).data;
  } catch {
    return undefined;
  }
}

/** Short name of a public key for people to compare: the first 16 characters of its SHA-256, in fours. */
export const fingerprint = (publicKey: PublicKey): string =>
  (keyHash(publicKey).slice(0, 16).match(/.{4}/g) ?? []).join('-');

const keyHash = (publicKey: PublicKey): string => nodeDigest.sha256(publicKey);
const keyPath = (dataFolder: string, publicKey: PublicKey): string =>
  join(dataFolder, `site-key-${keyHash(publicKey).slice(0, 16)}.pem`);
const pendingKeyPath = (dataFolder: string): string => join(dataFolder, 'site-key.pending.pem');

function readKey(path: string): Signer | undefined {
  const privateKeyPem = readFileIfThere(path);
  if (privateKeyPem === undefined) return undefined;
  try {
    return signerFromPem(privateKeyPem);
  } catch {
    // The cause is left out: an error of the cryptography may quote the key.
    throw identityBroken(`${path} is not a private key of Ed25519`, undefined);
  }
}

const identityBroken = (message: string, cause: unknown): RollcallError =>
  new RollcallError('IDENTITY_BROKEN', message, {
    retryable: false,
    hint: 'restore the file from a backup of this machine, or enrol again with `rollcall-site enrol --again` and a new token',
    cause,
  });
