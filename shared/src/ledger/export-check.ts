/**
 * Checks an export file as its bytes come by: form, digests, chain, every report in it, the file's own signature. Names the
 * first thing that is wrong. The file's form is `export-file.ts`; what the entries say of each other is `ledger-audit.ts`.
 */
import type { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { emptyHead, followChain, type Head } from './chain.ts';
import type { Digest, PublicKey, Verifier } from './crypto.ts';
import {
  EntryLine,
  exportFormat,
  type ExportHeader,
  exportLineBytesMax,
  exportSignedText,
  HeaderLine,
  TrailerLine,
} from './export-file.ts';
import { LedgerAudit, type LedgerProblemCode } from './ledger-audit.ts';
import type { DeployedAgentsReport } from './report.ts';

/** `reports` in the order of the ledger, corrections after what they correct, without their evidence rows. */
export type VerifiedExport = { ok: true; header: ExportHeader; head: Head; reports: DeployedAgentsReport[] };

/**
 * `NOT_AN_EXPORT`: another kind of file. `ENTRY_CHANGED`: the bytes of an entry are not those that were written.
 * `ENTRY_OUT_OF_PLACE`: an entry does not follow the one before it. `HEADER_CHANGED`, `TRAILER_CHANGED`: the same of the
 * first and the last line. `TRUNCATED`: the file ends too early. `SIGNATURE_WRONG`: somebody else signed the file.
 */
export type BrokenExport = {
  ok: false;
  code:
    | 'NOT_AN_EXPORT'
    | 'HEADER_CHANGED'
    | 'ENTRY_CHANGED'
    | 'ENTRY_OUT_OF_PLACE'
    | 'TRAILER_CHANGED'
    | 'TRUNCATED'
    | 'SIGNATURE_WRONG'
    | LedgerProblemCode;
  /** Number of the first wrong entry; absent where header or trailer is wrong. */
  seq?: number;
  /** Line of the file, from 1. */
  line: number;
  message: string;
};

const lineFeed = 10;

/** Feed it the file's bytes in order, then ask for the verdict. Holds at most one line and what the reports need. */
export class ExportCheck {
  readonly #digest: Digest;
  readonly #verifier: Verifier;
  readonly #audit: LedgerAudit;
  // The byte order mark is not skipped: it is three bytes that the site never wrote.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #lines = 0;
  #header: ExportHeader | undefined;
  #headerDigest = '';
  #head: Head = emptyHead;
  #complete = false;
  #broken: BrokenExport | undefined;

  constructor(digest: Digest, verifier: Verifier) {
    this.#digest = digest;
    this.#verifier = verifier;
    this.#audit = new LedgerAudit(digest, verifier);
  }

  /** Takes the next bytes. False once the file is known to be wrong: more bytes change nothing then. */
  push(chunk: Uint8Array): boolean {
    let start = 0;
    while (this.#broken === undefined && start < chunk.length) {
      const end = chunk.indexOf(lineFeed, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      this.#pendingBytes += piece.length;
      if (this.#complete || this.#pendingBytes > exportLineBytesMax) this.#broken = this.#unreadable(this.#lines + 1);
      else if (end === -1) this.#pending.push(piece.slice());
      else {
        const bytes = this.#pending.length === 0 ? piece : joined([...this.#pending, piece], this.#pendingBytes);
        this.#pending = [];
        this.#pendingBytes = 0;
        this.#lines++;
        this.#broken = this.#readLine(bytes);
      }
      start = end === -1 ? chunk.length : end + 1;
    }
    return this.#broken === undefined;
  }

  /** The verdict once the file has ended. `expectedKey`: the key its reader knows the site by, learnt elsewhere. */
  finish(expectedKey?: PublicKey): VerifiedExport | BrokenExport {
    if (this.#broken !== undefined) return this.#broken;
    const line = this.#lines + 1;
    if (this.#header === undefined) return this.#unreadable(line);
    if (!this.#complete) {
      if (this.#pendingBytes === 0) {
        const message = `the file ends after entry ${this.#head.seq} of ${this.#header.entries} without its closing line`;
        return { ok: false, code: 'TRUNCATED', line, message };
      }
      return this.#unreadable(line);
    }
    if (this.#audit.publicKey !== this.#header.publicKey)
      return keyWrong('the key in the header is not the one the ledger says the site enrolled with');
    if (this.#audit.siteId !== this.#header.siteId)
      return { ok: false, code: 'HEADER_CHANGED', line: 1, message: 'the header names another site than the entries' };
    if (expectedKey !== undefined && this.#header.publicKey !== expectedKey)
      return keyWrong('the file is signed by another key than the one given');
    return { ok: true, header: this.#header, head: this.#head, reports: this.#audit.reports };
  }

  #readLine(bytes: Uint8Array): BrokenExport | undefined {
    let text: string;
    try {
      text = this.#utf8.decode(bytes);
    } catch {
      return this.#unreadable(this.#lines);
    }
    if (this.#header === undefined) return this.#readHeader(text);
    return this.#head.seq < this.#header.entries ? this.#readEntry(text) : this.#readTrailer(text, this.#header);
  }

  #readHeader(text: string): BrokenExport | undefined {
    const read = readCanonical(text, HeaderLine);
    if (read === undefined) return this.#unreadable(1, text.includes(exportFormat));
    this.#headerDigest = this.#digest.sha256(canonicalJson(read.header));
    if (this.#headerDigest !== read.digest)
      return { ok: false, code: 'HEADER_CHANGED', line: 1, message: 'the header does not match its digest' };
    this.#header = read.header;
    return undefined;
  }

  #readEntry(text: string): BrokenExport | undefined {
    const seq = this.#head.seq + 1;
    const broken = (code: BrokenExport['code'], message: string): BrokenExport => {
      return { ok: false, code, seq, line: this.#lines, message };
    };
    const read = readCanonical(text, EntryLine);
    if (read === undefined) return this.#unreadable(this.#lines);
    if (this.#digest.sha256(canonicalJson(read.entry)) !== read.digest)
      return broken('ENTRY_CHANGED', `entry ${seq} does not match its digest`);
    const followed = followChain(this.#head, [read.entry], this.#digest);
    if (!followed.ok) return broken('ENTRY_OUT_OF_PLACE', followed.message);
    const problem = this.#audit.read(read.entry, this.#head);
    if (problem !== undefined) return broken(problem.code, problem.message);
    this.#head = followed.head;
    return undefined;
  }

  #readTrailer(text: string, header: ExportHeader): BrokenExport | undefined {
    const read = readCanonical(text, TrailerLine);
    if (read === undefined) return this.#unreadable(this.#lines);
    const { signature, ...facts } = read.trailer;
    const broken = (code: BrokenExport['code'], message: string): BrokenExport => {
      return { ok: false, code, line: this.#lines, message };
    };
    if (this.#digest.sha256(canonicalJson(read.trailer)) !== read.digest)
      return broken('TRAILER_CHANGED', 'the closing line does not match its digest');
    if (!this.#verifier.verify(header.publicKey, exportSignedText(facts), signature))
      return broken('SIGNATURE_WRONG', 'the signature of the file is not that of the site in its header');
    if (facts.headerDigest !== this.#headerDigest)
      return { ok: false, code: 'HEADER_CHANGED', line: 1, message: 'the header is not the one that was signed' };
    if (facts.entries !== header.entries || facts.headHash !== this.#head.hash)
      return broken('SIGNATURE_WRONG', `the entries are not the ${facts.entries} that were signed`);
    this.#complete = true;
    return undefined;
  }

  /** The verdict on bytes that are no line of an export, by the place where they stand. */
  #unreadable(line: number, isExport = false): BrokenExport {
    if (this.#header === undefined) {
      const message = isExport
        ? 'the header is not in canonical form, or its form is broken'
        : `the file is not an export of a ledger: its first line is not a header of the form ${exportFormat}`;
      return { ok: false, code: isExport ? 'HEADER_CHANGED' : 'NOT_AN_EXPORT', line, message };
    }
    if (this.#complete)
      return { ok: false, code: 'TRAILER_CHANGED', line, message: 'something follows the closing line' };
    const seq = this.#head.seq + 1;
    if (seq > this.#header.entries)
      return { ok: false, code: 'TRAILER_CHANGED', line, message: 'the closing line is not as it was written' };
    return {
      ok: false,
      code: 'ENTRY_CHANGED',
      seq,
      line,
      message: `entry ${seq} is not in canonical form, or its form is broken`,
    };
  }
}

const keyWrong = (message: string): BrokenExport => ({ ok: false, code: 'KEY_WRONG', line: 1, message });

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

/** Reads a line in canonical form by its schema; undefined when it is anything else. */
function readCanonical<Schema extends z.ZodType>(line: string, schema: Schema): z.infer<Schema> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const read = schema.safeParse(value);
    return read.success && canonicalJson(read.data) === line ? read.data : undefined;
  } catch (error) {
    // What JSON or its canonical form cannot hold; anything else is ours.
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
