/** Files that are there whole or not at all, also after a power cut: the small ones of the data folder, and what is handed out. */
import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { makePrivateFolder } from '@rollcall/shared/node/private-folder.ts';

/**
 * Writes a file of the data folder with mode 0600: into a new file beside it, synced, renamed over it, folder synced.
 * @throws RollcallError `DATA_FOLDER_UNUSABLE` with the path and what to do.
 */
export function writeDurableFile(path: string, content: string): void {
  const fresh = `${path}.new`;
  try {
    makePrivateFolder(dirname(path));
    // The folder is ours: what lies there is left over from a crash.
    rmSync(fresh, { force: true });
    replaceFile(path, fresh, 0o600, [content]);
  } catch (cause) {
    throw folderUnusable(`cannot write ${path}`, cause);
  }
}

/**
 * Writes a file anywhere, for others to read: whole or not at all, and through nothing that lies there. `chance` makes the name of
 * the new file one that nobody has.
 * @throws RollcallError `FILE_UNWRITABLE` also where something else than a plain file has the name.
 */
export function writeFileForOthers(path: string, pieces: Iterable<string>, chance: string): void {
  try {
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there !== undefined && !there.isFile())
      throw fileUnwritable(path, there.isSymbolicLink() ? 'it is a link' : 'it is not a plain file', undefined);
    replaceFile(path, `${path}.${chance}.new`, 0o644, pieces);
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw fileUnwritable(path, reasonOf(cause), cause);
  }
}

/** The new file must not be there: one that is may be another's, or a link to it. */
function replaceFile(path: string, fresh: string, mode: number, pieces: Iterable<string>): void {
  const file = openSync(fresh, 'wx', mode);
  try {
    try {
      for (const piece of pieces) writeFileSync(file, piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
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
  ENOENT: 'its folder is not there',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
};

function reasonOf(cause: unknown): string {
  const code = codeOf(cause);
  return reasons[code] ?? (code === '' ? String(cause) : code);
}

const folderUnusable = (what: string, cause: unknown): RollcallError =>
  new RollcallError('DATA_FOLDER_UNUSABLE', `${what}: ${reasonOf(cause)}`, {
    retryable: false,
    hint: 'run as the user the Site Manager runs as, or name its data folder with --data-folder',
    cause,
  });

const fileUnwritable = (path: string, why: string, cause: unknown): RollcallError =>
  new RollcallError('FILE_UNWRITABLE', `cannot write ${path}: ${why}`, {
    retryable: false,
    hint: 'name another file with -o; without it, or with -o -, standard output is written',
    ...(cause === undefined ? {} : { cause }),
  });
