/** One process writes a data folder. Readers of its ledger are not kept out. */
import { join } from 'node:path';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { holdFile } from '@rollcall/shared/node/file-lock.ts';

/** Takes the lock; the result gives it back. @throws RollcallError `ALREADY_RUNNING`, `DATABASE_UNUSABLE`. */
export function lockFolder(dataFolder: string): () => void {
  const release = holdFile(join(dataFolder, 'site.lock'));
  if (release !== undefined) return release;
  throw new RollcallError('ALREADY_RUNNING', `another Site Manager is running on ${dataFolder}`, {
    retryable: true,
    hint: 'stop it first, or give this one a data folder of its own',
  });
}
