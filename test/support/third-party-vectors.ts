// Where the test vectors of others lie (Ed25519, JSON canonicalisation), which are not part of this repository. Owns the
// place; what is in the files is parsed by the tests that read them.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** ROLLCALL_VECTORS, or the folder `shared/vectors` beside the clone. */
const folder = process.env['ROLLCALL_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

/** Absolute path of the vectors, undefined where there are none: then say so by `describe.skipIf` and the absence. */
export function thirdPartyVectors(): string | undefined {
  return existsSync(folder) ? folder : undefined;
}

/** The sentence to print where the vectors are missing, undefined where they are there. */
export function thirdPartyVectorsAbsence(): string | undefined {
  if (thirdPartyVectors() !== undefined) return undefined;
  return `no third-party vectors in ${folder}, so the tests on them are skipped; ROLLCALL_VECTORS names another folder.`;
}
