/** The aggregator's own private keys. They lie in the database as they are: protect the file, or the server, as you would them. */
import type { Engine } from './engine.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { SecretStore } from './store.ts';

export function secretStore(engine: Engine): SecretStore {
  const { db } = engine;
  const read = async (name: string): Promise<string | undefined> =>
    (await engine.first(db.selectFrom('secrets').select('text').where('name', '=', name)))?.text;

  return {
    async privateKeyPem(name, make) {
      const stored = await read(name);
      if (stored !== undefined) return stored;
      // Of two programs that start at once one writes, and both read what it wrote.
      await engine.batch([
        {
          run: db
            .insertInto('secrets')
            .values({ name, text: make() })
            .onConflict((conflict) => conflict.doNothing()),
        },
      ]);
      const written = await read(name);
      if (written === undefined)
        throw new RollcallError('STORE_CONTRADICTION', `the secret ${name} was written and is not there`, {
          retryable: false,
        });
      return written;
    },
  };
}
