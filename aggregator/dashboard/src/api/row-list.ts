// A list as a page holds it: the pages fetched so far, asked for again while somebody looks.
import { useInfiniteQuery } from '@tanstack/react-query';
import type { ApiError } from './client.ts';
import { useConnection } from './connection.ts';
import { refreshIntervalMs } from './query-client.ts';
import { type Collection, readPage } from './resources.ts';

const pageRows = 50;
/** All fetched pages are asked for again at each refresh, so there is an end to them. */
const pagesMax = 20;

/** Most rows a list shows; what lies beyond is in the API and the CLI. */
export const listRowsMax = pageRows * pagesMax;

export type RowList<Row> = {
  /** Undefined until the first answer. */
  rows: Row[] | undefined;
  /** The last answer's instant by the server's clock; "ago" is measured from it. */
  answeredAtMs: number;
  /** The same by this machine's clock, for "updated at". */
  updatedAtMs: number;
  /** Of the last attempt; rows of an earlier one stay. */
  error: ApiError | null;
  refreshing: boolean;
  refresh: () => void;
  /** Null when there is no next page, `full` when there is one but the list is at its limit. */
  more: { kind: 'page'; load: () => void; loading: boolean } | { kind: 'full' } | null;
};

export function useRowList<Row>(of: Collection<Row>): RowList<Row> {
  const { client } = useConnection();
  const query = useInfiniteQuery<
    Awaited<ReturnType<typeof readPage<Row>>>,
    ApiError,
    { rows: Row[]; answeredAtMs: number; next: string | null },
    [string, string],
    string | null
  >({
    queryKey: ['list', of.path],
    queryFn: ({ pageParam, signal }) => readPage(client, of, { limit: pageRows, cursor: pageParam }, signal),
    initialPageParam: null,
    getNextPageParam: ({ value }, pages) => (pages.length < pagesMax ? value.nextCursor : null),
    select: ({ pages }) => ({
      rows: pages.flatMap(({ value }) => value.rows),
      answeredAtMs: pages[0]?.answeredAtMs ?? 0,
      next: pages.at(-1)?.value.nextCursor ?? null,
    }),
    refetchInterval: refreshIntervalMs,
  });
  const { data, error, isFetching, isFetchingNextPage, hasNextPage } = query;
  return {
    rows: data?.rows,
    answeredAtMs: data?.answeredAtMs ?? 0,
    updatedAtMs: query.dataUpdatedAt,
    error,
    refreshing: isFetching && !isFetchingNextPage,
    refresh: () => void query.refetch(),
    more: moreOf(),
  };

  function moreOf(): RowList<Row>['more'] {
    if (hasNextPage) return { kind: 'page', load: () => void query.fetchNextPage(), loading: isFetchingNextPage };
    // The server has a next page, the list takes no more.
    return typeof data?.next === 'string' ? { kind: 'full' } : null;
  }
}
