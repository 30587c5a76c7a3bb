/** For tests: a fresh, migrated store on a SQLite file of its own, gone when the test says so. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from './open-store.ts';
import type { Store } from './store.ts';

export type TemporaryStore = {
  store: Store;
  databaseUrl: string;
  /** Closes the store and removes its folder. */
  dispose(): Promise<void>;
};

export async function openTemporaryStore(): Promise<TemporaryStore> {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-store-'));
  const databaseUrl = `sqlite:${join(folder, 'rollcall.db')}`;
  const store = await openStore(databaseUrl);
  await store.migrate();
  return {
    store,
    databaseUrl,
    async dispose() {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
