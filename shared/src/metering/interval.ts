/**
 * Owns the interval in which an agent stood deployed, and its meeting with a period (domain.md, section 2, "Precise
 * counting"). Making intervals from ledger entries belongs to `ledger/`.
 */
import { z } from 'zod';
import { AgentKind } from '../domain/agent-kind.ts';
import { Instant } from '../domain/instant.ts';
import type { Period } from '../domain/month.ts';

/** Longest identifier of an endpoint that is metered. */
const endpointCharactersMax = 128;

/**
 * An agent deployed on an endpoint at `deployedAt <= t < removedAt`; null while it still is. The intervals of one endpoint
 * do not overlap: whoever makes them sees to it, and metering counts every interval it is given.
 */
export const DeployedInterval = z
  .object({
    endpoint: z.string().min(1).max(endpointCharactersMax),
    kind: AgentKind,
    deployedAt: Instant,
    removedAt: Instant.nullable(),
  })
  .refine(({ deployedAt, removedAt }) => removedAt === null || removedAt >= deployedAt, {
    path: ['removedAt'],
    error: 'must not be before deployedAt',
  });
export type DeployedInterval = z.infer<typeof DeployedInterval>;

/** What `from <= t < to` (without end where `to` is null) and the period have in common; null where that is nothing. */
export function clipToPeriod(from: Instant, to: Instant | null, period: Period): Period | null {
  const start = from > period.start ? from : period.start;
  const end = to === null || to > period.end ? period.end : to;
  return start < end ? { start, end } : null;
}
