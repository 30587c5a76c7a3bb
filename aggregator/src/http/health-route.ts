/** Whether this node lives and can work: what a load balancer and `npm start` ask. */
import { Health } from '@rollcall/shared/api/health.ts';
import type { Store } from '../store/store.ts';
import type { Api } from './operation.ts';

/** 200 when the store answers; a store that does not is thrown as STORE_UNAVAILABLE and told as 503. */
export function healthRoute(api: Api, store: Pick<Store, 'ping'>, version: string): void {
  api.open(
    {
      method: 'get',
      path: '/health',
      tag: 'operation',
      summary: 'Tells whether the aggregator can work',
      answer: Health,
    },
    async () => {
      await store.ping();
      const health: Health = { status: 'ok', version };
      return { ok: true, answer: health };
    },
  );
}
