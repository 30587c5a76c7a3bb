/**
 * What waits for a seller to close it: months without an invoice, and months whose figures are no longer what was billed. Each is
 * decided by the same code as the close itself, so that the list and the close cannot disagree; nothing is written.
 */
import type { DueClose } from '@rollcall/shared/api/invoice.ts';
import type { Page, PageQuery } from '@rollcall/shared/api/page.ts';
import { OrganisationId } from '@rollcall/shared/domain/id.ts';
import { msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { Month, monthOf, previousMonth } from '@rollcall/shared/domain/month.ts';
import { z } from 'zod';
import type { Scope } from '../core/scope.ts';
import { decodeCursor, encodeCursor } from '../store/cursor.ts';
import { type MonthCloseDeps, previewEdge } from './month-close.ts';

/** Most months and buyers looked at for one page, and the time after which a page ends early; each look reads a month of sites. */
const looksMax = 100;
const lookMsMax = 2_000;

/** A month, and the buyer after whom it goes on; empty where the month is still whole. */
const DueCursor = z.tuple([Month, z.union([OrganisationId, z.literal('')])]);

const due: ReadonlySet<DueClose['outcome']> = new Set(['finalised', 'held', 'credited', 'debited', 'failed']);

/**
 * The newest month first, within it by buyer. A page holds at most `limit` rows and may hold fewer while there is a next.
 * @throws RollcallError `CURSOR_INVALID`; `STORE_UNAVAILABLE`, retryable.
 */
export async function dueCloses(deps: MonthCloseDeps, seller: Scope, page: PageQuery): Promise<Page<DueClose>> {
  const { store, clock } = deps;
  const startedMs = msOfInstant(clock.now());
  const rows: DueClose[] = [];
  let looks = 0;
  const isFull = (): boolean =>
    rows.length === page.limit || looks >= looksMax || msOfInstant(clock.now()) - startedMs >= lookMsMax;
  // No month that UTC has not come to is over in any zone.
  const newest: [Month, string] = [monthOf(clock.now(), 'UTC'), ''];
  let [month, afterBuyerId] = page.cursor === undefined ? newest : decodeCursor(DueCursor, page.cursor);
  const oldest = await store.billing.firstBillableMonth(seller);
  if (oldest === undefined) return { rows, nextCursor: null };

  for (; month >= oldest; month = previousMonth(month)) {
    for (const edge of await store.billing.agreementsInForce(seller.organisationId, month)) {
      if (edge.buyer.id <= afterBuyerId) continue;
      if (isFull()) return { rows, nextCursor: encodeCursor([month, afterBuyerId]) };
      const { told } = await previewEdge(deps, seller, edge, { month, withoutMissing: false });
      looks++;
      afterBuyerId = edge.buyer.id;
      if (due.has(told.outcome)) rows.push({ ...told, month });
    }
    looks++;
    afterBuyerId = '';
    if (isFull() && month > oldest) return { rows, nextCursor: encodeCursor([previousMonth(month), '']) };
  }
  return { rows, nextCursor: null };
}
