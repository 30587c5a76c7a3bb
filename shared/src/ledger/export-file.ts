/**
 * The export file of a site's ledger: what anyone can check without a network (architecture, "One idea"). Owns its form and
 * its writing; checking one is `export-check.ts`.
 * One JSON object a line, each line ending in \n and standing in canonical form, so that a change of any byte shows:
 *   1. header  `{"digest":…,"header":{format, siteId, siteName, publicKey, entries, exportedAt}}`
 *   2. entries `{"digest":…,"entry":{seq, at, kind, body, prev}}`, from number 1 on, as many as the header says
 *   3. trailer `{"digest":…,"trailer":{entries, headHash, headerDigest, signature}}`
 * `digest` is the SHA-256 of the canonical JSON of what stands beside it; the signature covers the trailer's other fields.
 */
import { z } from 'zod';
import { SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Name } from '../domain/name.ts';
import { canonicalJson } from './canonical-json.ts';
import { type Digest, Hash, PublicKey, Signature, type Signer } from './crypto.ts';
import { LedgerEntry } from './entry.ts';
import { entryBytesMax } from './entry-size.ts';

export const exportFormat = 'rollcall.ledger-export.v1';

/** Longest line in bytes: the digest stands beside the entry. */
export const exportLineBytesMax = entryBytesMax + 1024;

export const ExportHeader = z.object({
  format: z.literal(exportFormat),
  siteId: SiteId,
  siteName: Name,
  /** The key the site signs with at the end of these entries. */
  publicKey: PublicKey,
  /** Entries in the file: by it every line is known for header, entry or trailer before it is read. */
  entries: z.int().positive(),
  exportedAt: Instant,
});
export type ExportHeader = z.infer<typeof ExportHeader>;

/** What the trailer's signature covers. */
const TrailerFacts = z.object({ entries: z.int().positive(), headHash: Hash, headerDigest: Hash });
type TrailerFacts = z.infer<typeof TrailerFacts>;

export const HeaderLine = z.object({ digest: Hash, header: ExportHeader });
export const EntryLine = z.object({ digest: Hash, entry: LedgerEntry });
export const TrailerLine = z.object({ digest: Hash, trailer: TrailerFacts.extend({ signature: Signature }) });

/** The text signed at the end of an export. */
export const exportSignedText = (facts: TrailerFacts): string => `${exportFormat}\n${canonicalJson(facts)}`;

/**
 * Writes the lines of an export, each with its \n.
 * @throws RangeError unless `entries` are those from 1 to `header.entries`, or when `signer` is not the header's: an
 * export that nobody could verify is an error of the program.
 */
export function* exportLines(
  header: ExportHeader,
  entries: Iterable<LedgerEntry>,
  digest: Digest,
  signer: Signer,
): Generator<string, void, undefined> {
  if (signer.publicKey !== header.publicKey) throw new RangeError('the signer has another key than the header names');
  const headerDigest = digest.sha256(canonicalJson(header));
  yield exportLine('header', header, headerDigest);
  let seq = 0;
  let headHash = '';
  for (const entry of entries) {
    seq++;
    if (entry.seq !== seq) throw new RangeError(`an export needs entry ${seq} here, got ${entry.seq}`);
    headHash = digest.sha256(canonicalJson(entry));
    yield exportLine('entry', entry, headHash);
  }
  if (seq !== header.entries) throw new RangeError(`the header announces ${header.entries} entries, got ${seq}`);
  const facts: TrailerFacts = { entries: seq, headHash, headerDigest };
  const trailer = { ...facts, signature: signer.sign(exportSignedText(facts)) };
  yield exportLine('trailer', trailer, digest.sha256(canonicalJson(trailer)));
}

const exportLine = (name: 'header' | 'entry' | 'trailer', value: unknown, valueDigest: Hash): string =>
  `${canonicalJson({ digest: valueDigest, [name]: value })}\n`;
