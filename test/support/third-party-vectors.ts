// Test vectors of third parties. They are not ours to distribute, so they lie outside the repository: in ../shared/vectors
// beside it, or where ROLLCALL_VECTORS says.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

const root = process.env['ROLLCALL_VECTORS'] || join(repositoryRoot, '../shared/vectors');

/** The sentence to print at the end of a run where the vectors are missing; undefined where they are there. */
export function thirdPartyVectorsAbsence(): string | undefined {
  return existsSync(root)
    ? undefined
    : `no third-party vectors in ${resolve(root)}, so the tests on them were skipped; ROLLCALL_VECTORS names another folder.`;
}

/** The folder of one collection; undefined, and said so loudly, when it is not on this machine. */
export function thirdPartyVectors(collection: string): string | undefined {
  const folder = resolve(root, collection);
  if (existsSync(folder)) return folder;
  console.warn(
    `SKIPPED: no third-party test vectors "${collection}" in ${folder}; name their folder in ROLLCALL_VECTORS to run them`,
  );
  return undefined;
}
