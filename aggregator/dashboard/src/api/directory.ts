// Names of what other rows refer to by identifier alone. One request serves most tenants; what is not in it is asked for
// one by one, and kept as long as the sign-in lasts, since names hardly change.
import { pageLimitMax } from '@rollcall/shared/api/page.ts';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useConnection } from './connection.ts';
import { refreshIntervalMs } from './query-client.ts';
import { type Collection, readOne, readPage } from './resources.ts';

const namesStaleMs = 10 * 60_000;

/** A name that could not be read is asked for again with the rows, one that was read is not. */
const untilRead = (query: { state: { status: string } }): number | false =>
  query.state.status === 'error' ? refreshIntervalMs : false;

/** The name of each identifier, as far as it is known by now. Asks for nothing while `ids` is empty. */
export function useNames<Row extends { id: string; name: string }>(
  of: Collection<Row>,
  ids: readonly string[],
): ReadonlyMap<string, string> {
  const { client } = useConnection();
  const index = useQuery({
    queryKey: ['names', of.path],
    queryFn: async ({ signal }) => {
      const { value } = await readPage(client, of, { limit: pageLimitMax, cursor: null }, signal);
      return new Map(value.rows.map((row) => [row.id, row.name]));
    },
    enabled: ids.length > 0,
    staleTime: namesStaleMs,
    refetchInterval: untilRead,
  });
  const missing = index.data === undefined ? [] : [...new Set(ids)].filter((id) => !index.data.has(id));
  const single = useQueries({
    queries: missing.map((id) => ({
      queryKey: ['name', of.path, id],
      queryFn: async ({ signal }: { signal: AbortSignal }) => (await readOne(client, of, id, signal)).value,
      staleTime: namesStaleMs,
      refetchInterval: untilRead,
    })),
  });
  const names = new Map(index.data);
  for (const { data } of single) if (data !== undefined) names.set(data.id, data.name);
  return names;
}
