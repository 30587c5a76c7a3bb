/** Closing a month over HTTP: the seller's act, for all its buyers at once. */
import { ClosePreview, CloseRequest, CloseResult, DueClose } from '@rollcall/shared/api/invoice.ts';
import { PageQuery, pageOf } from '@rollcall/shared/api/page.ts';
import { Month } from '@rollcall/shared/domain/month.ts';
import { z } from 'zod';
import { dueCloses } from '../jobs/due-closes.ts';
import { closeMonth, type MonthCloseDeps, previewClose } from '../jobs/month-close.ts';
import type { Api } from './operation.ts';

const tag = 'closes';

export function closeRoutes(api: Api, deps: MonthCloseDeps): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/closes',
      action: 'month.close',
      tag,
      summary: 'Shows what closing a month would do now, and which reports are missing',
      query: z.object({ month: Month, withoutMissing: z.enum(['true', 'false']).default('false') }),
      answer: ClosePreview,
      refusals: ['MONTH_NOT_OVER'],
    },
    async ({ caller, query }) => {
      const previewed = await previewClose(deps, caller.scope, {
        month: query.month,
        withoutMissing: query.withoutMissing === 'true',
      });
      return previewed.ok ? { ok: true, answer: previewed.preview } : previewed;
    },
  );

  api.json(
    {
      method: 'get',
      path: '/api/v1/closes/due',
      action: 'month.close',
      tag,
      summary: 'Lists the months and buyers that wait for the own organisation to close them, the newest month first',
      description:
        'A month is due while it is over and has no invoice, or while its figures are no longer what was billed; what closing would do stands beside it. A page may hold fewer rows than asked for, even none, while there is a next one.',
      query: PageQuery,
      answer: pageOf(DueClose),
    },
    async ({ caller, query }) => ({ ok: true, answer: await dueCloses(deps, caller.scope, query) }),
  );

  api.json(
    {
      method: 'post',
      path: '/api/v1/closes',
      action: 'month.close',
      tag,
      summary: 'Closes a month for every agreement in which the own organisation sells',
      description:
        'The first close that has all it needs finalises the invoice; a later one answers changed reports with one credit or debit note. Closing again with nothing changed does nothing. What goes wrong with one buyer is told as `failed` on its row, and the others are closed.',
      body: CloseRequest,
      answer: CloseResult,
      refusals: ['MONTH_NOT_OVER'],
    },
    async ({ caller, body }) => {
      const closed = await closeMonth(deps, caller.scope, body);
      return closed.ok ? { ok: true, answer: closed.result } : closed;
    },
  );
}
