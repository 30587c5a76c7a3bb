/** Small files that are there whole or not at all, also after a power cut, and can be read by their owner only. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { makePrivateFolder } from '@rollcall/shared/node/private-folder.ts';

/**
 * Writes a file with mode 0600: into a new file beside it, synced, renamed over it, folder synced.
 * @throws RollcallError `DATA_FOLDER_UNUSABLE` with the path and what to do.
 */
export function writeDurableFile(path: string, content: string): void {
  const folder = dirname(path);
  const fresh = `${path}.new`;
  try {
    makePrivateFolder(folder);
    rmSync(fresh, { force: true });
    const file = openSync(fresh, 'wx', 0o600);
    try {
      writeSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
    syncFolder(folder);
  } catch (cause) {
    throw folderUnusable(`cannot write ${path}`, cause);
  }
}

/** The file's text; undefined when there is none. @throws RollcallError `DATA_FOLDER_UNUSABLE`. */
export function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw folderUnusable(`cannot read ${path}`, cause);
  }
}

/** Removes a file if it is there. @throws RollcallError `DATA_FOLDER_UNUSABLE`. */
export function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw folderUnusable(`cannot remove ${path}`, cause);
  }
}

function syncFolder(folder: string): void {
  // Windows has no handle of a folder to sync; its file system orders the rename by itself.
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

const reasons: Record<string, string> = {
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
};

function folderUnusable(what: string, cause: unknown): RollcallError {
  const code = codeOf(cause);
  return new RollcallError(
    'DATA_FOLDER_UNUSABLE',
    `${what}: ${reasons[code] ?? (code === '' ? String(cause) : code)}`,
    {
      retryable: false,
      hint: 'run as the user the Site Manager runs as, or name its data folder with --data-folder',
      cause,
    },
  );
}
