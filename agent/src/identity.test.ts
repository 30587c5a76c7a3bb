import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSigningKey } from '@rollcall/shared/node/crypto.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeDurableFile } from './durable-file.ts';
import {
  isEnrolled,
  joinCode,
  keyForEnrolment,
  newOperatorToken,
  readIdentity,
  readLocalApiFile,
  readSiteFile,
  saveIdentity,
  signerOf,
  type SiteFile,
} from './identity.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-identity-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const siteFile = (publicKey: string): SiteFile => ({
  version: 1,
  siteId: 'site_0000000000000000000a',
  siteName: 'Rome office',
  timeZone: 'Europe/Rome',
  aggregatorUrl: 'https://rollcall.example.com',
  aggregatorPublicKeys: [generateSigningKey().publicKey],
  publicKey,
  settings: { staleAfterDays: 30 },
});

function enrol(): SiteFile {
  const site = siteFile(keyForEnrolment(folder).publicKey);
  saveIdentity(folder, site);
  return site;
}

const keyFile = (): string => join(folder, readdirSync(folder).find((name) => /^site-key-.*\.pem$/.test(name)) ?? '');

describe('the identity of a site', () => {
  test('is read as it was saved, with the private key of its public key', () => {
    const site = enrol();
    const { site: read, signer } = readIdentity(folder);
    expect(read).toEqual(site);
    expect(signer.publicKey).toBe(site.publicKey);
    expect(isEnrolled(folder)).toBe(true);
  });

  test('keeps the key of a try that failed for the next', () => {
    expect(keyForEnrolment(folder).publicKey).toBe(keyForEnrolment(folder).publicKey);
    expect(isEnrolled(folder)).toBe(false);
  });

  test('keeps it too when the last try ended between the key’s file and site.json', () => {
    const first = enrol();
    const pending = keyForEnrolment(folder);
    const before = readFileSync(join(folder, 'site.json'), 'utf8');
    const pem = readFileSync(join(folder, 'site-key.pending.pem'), 'utf8');
    saveIdentity(folder, siteFile(pending.publicKey));
    // The power went before site.json was replaced.
    writeFileSync(join(folder, 'site.json'), before);
    writeFileSync(join(folder, 'site-key.pending.pem'), pem);
    expect(readIdentity(folder).signer.publicKey).toBe(first.publicKey);
    expect(keyForEnrolment(folder).publicKey).toBe(pending.publicKey);
  });

  test('takes a new key once the pending one is in use', () => {
    const key = keyForEnrolment(folder);
    const pem = readFileSync(join(folder, 'site-key.pending.pem'), 'utf8');
    saveIdentity(folder, siteFile(key.publicKey));
    // The power went before the pending file was removed.
    writeFileSync(join(folder, 'site-key.pending.pem'), pem);
    expect(keyForEnrolment(folder).publicKey).not.toBe(key.publicKey);
  });

  test('keeps the keys a site had, for exports of those times', () => {
    const [first, second] = [enrol(), enrol()];
    expect(second.publicKey).not.toBe(first.publicKey);
    for (const { publicKey } of [first, second]) expect(signerOf(folder, publicKey)?.publicKey).toBe(publicKey);
    expect(signerOf(folder, generateSigningKey().publicKey)).toBeUndefined();
  });

  test.each<[what: string, damage: () => void, message: string]>([
    ['site.json that is no JSON', () => writeFileSync(join(folder, 'site.json'), '{'), 'is not as enrolment wrote it'],
    [
      'site.json of another form',
      () => writeFileSync(join(folder, 'site.json'), '{"version":2}'),
      'is not as enrolment wrote it',
    ],
    ['a key that is gone', () => rmSync(keyFile()), 'is missing'],
    ['a key that is none', () => writeFileSync(keyFile(), 'PRIVATE'), 'is not a private key of Ed25519'],
    [
      'another key in its place',
      () => writeFileSync(keyFile(), generateSigningKey().privateKeyPem),
      'is not the one of this site',
    ],
  ])('%s is told with what to do', (_, damage, message) => {
    enrol();
    damage();
    expect(() => readIdentity(folder)).toThrow(
      expect.objectContaining({
        code: 'IDENTITY_BROKEN',
        message: expect.stringContaining(message),
        hint: expect.stringContaining('enrol --again'),
      }),
    );
  });

  test('a folder without one is told', () => {
    expect(() => readSiteFile(folder)).toThrow(expect.objectContaining({ code: 'NOT_ENROLLED' }));
  });
});

describe('the secrets of a data folder', () => {
  test('are made once and stay; the token of the operator is another one at each start', () => {
    expect(newOperatorToken()).not.toBe(newOperatorToken());
    expect(newOperatorToken()).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(joinCode(folder)).toBe(joinCode(folder));
    expect(joinCode(folder)).toMatch(/^([0-9a-hjkmnp-tv-z]{5}-){3}[0-9a-hjkmnp-tv-z]{5}$/);
    expect(joinCode(folder)).not.toBe(joinCode(mkdtempSync(join(folder, 'other-'))));
  });
});

describe('where the service listens', () => {
  test.each([
    ['nothing', undefined],
    ['no JSON', '{'],
    ['another form', `{"url":"file:///etc/passwd","pid":1,"operatorToken":"${'x'.repeat(43)}"}`],
    ['no token', '{"url":"http://127.0.0.1:7411","pid":1}'],
  ])('%s means that it does not run', (_, text) => {
    if (text !== undefined) writeFileSync(join(folder, 'local-api.json'), text);
    expect(readLocalApiFile(folder)).toBeUndefined();
  });
});

describe('a durable file', () => {
  test('replaces the one before whole and leaves nothing beside it', () => {
    const path = join(folder, 'a', 'b');
    writeDurableFile(path, 'x'.repeat(10_000));
    writeFileSync(`${path}.new`, 'left over from a crash');
    writeDurableFile(path, 'second');
    expect(readFileSync(path, 'utf8')).toBe('second');
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test('that cannot be written is told with path and what to do', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => writeDurableFile(join(folder, 'file', 'below'), 'x')).toThrow(
      expect.objectContaining({ code: 'DATA_FOLDER_UNUSABLE', hint: expect.stringContaining('--data-folder') }),
    );
  });
});
