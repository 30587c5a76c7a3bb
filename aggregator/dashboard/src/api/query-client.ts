// How answers are kept and asked for again: one cache a sign-in, thrown away with it.
import { QueryCache, QueryClient } from '@tanstack/react-query';
import { ApiError } from './client.ts';

/** Lists are asked for again this often while the page is visible; hidden, it asks nothing. */
export const refreshIntervalMs = 15_000;

const retriesMax = 2;
const retryDelayMaxMs = 10_000;

/** `onUnauthenticated`: the server no longer takes the token; called with what it said. */
export function createQueryClient(onUnauthenticated: (error: ApiError) => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        if (error instanceof ApiError && error.status === 401) onUnauthenticated(error);
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        gcTime: 5 * 60_000,
        retry: (failures, error) => failures < retriesMax && error instanceof ApiError && error.retryable,
        retryDelay: (failures, error) => {
          const wanted = error instanceof ApiError ? error.retryAfterMs : null;
          return Math.min(wanted ?? 1000 * 2 ** failures, retryDelayMaxMs);
        },
      },
    },
  });
}
