// The files of the repository that the architecture rules speak about. Owns which folders are read; what may stand in
// them is import-rules.ts and source-rules.ts.
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the repository's root. */
export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

/** Folders that hold code of ours, relative to the root. */
const codeFolders = ['shared', 'agent', 'aggregator', 'installer', 'test', 'scripts'];

const notOurs = new Set(['node_modules', 'dist', 'coverage', 'data', 'vectors']);

/** The code folders that exist below `root`. */
export function codeFoldersOf(root: string): string[] {
  const present = new Set(readdirSync(root));
  return codeFolders.filter((folder) => present.has(folder));
}

/** Every TypeScript file of ours below `root`: relative, with forward slashes, sorted. */
export function sourceFilesOf(root: string): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && !notOurs.has(entry.name)) walk(join(folder, entry.name));
      else if (entry.isFile() && /\.tsx?$/.test(entry.name))
        found.push(relative(root, join(folder, entry.name)).split(sep).join('/'));
    }
  };
  for (const folder of codeFoldersOf(root)) walk(join(root, folder));
  return found.toSorted();
}

/** True for a test and for what only tests use. */
export function isTestCode(path: string): boolean {
  return /\.test\.tsx?$/.test(path) || /(^|\/)testing\//.test(path) || /^(test|scripts)\//.test(path);
}
