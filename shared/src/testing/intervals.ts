/** Arbitrary intervals of deployed agents around a period, for the properties of metering. */
import fc from 'fast-check';
import { agentKinds } from '../domain/agent-kind.ts';
import { type Instant, instantFromMs, msOfInstant } from '../domain/instant.ts';
import type { Period } from '../domain/month.ts';
import type { DeployedInterval } from '../metering/interval.ts';

/**
 * Intervals of up to eight endpoints, those of one endpoint never overlapping. All begin and end on few instants, some
 * before the period, on its bounds and after it, so that swaps, changes of kind and empty intervals are common.
 */
export function arbitraryIntervals(period: Period): fc.Arbitrary<DeployedInterval[]> {
  const instants = instantsAround(period);
  const ofEndpoint = fc.record({
    // Each pair of neighbours bounds one interval; an odd one out, or the last if so drawn, has no end.
    bounds: fc.array(fc.constantFrom(...instants), { maxLength: 6 }),
    kinds: fc.array(fc.constantFrom(...agentKinds), { minLength: 3, maxLength: 3 }),
    lastStays: fc.boolean(),
  });
  return fc.array(ofEndpoint, { maxLength: 8 }).map((endpoints) =>
    endpoints.flatMap(({ bounds, kinds, lastStays }, index) => {
      const sorted = bounds.toSorted();
      return kinds.flatMap((kind, turn): DeployedInterval[] => {
        const deployedAt = sorted[turn * 2];
        if (deployedAt === undefined) return [];
        const end = sorted[turn * 2 + 1];
        const removedAt = end === undefined || (lastStays && turn * 2 + 2 >= sorted.length) ? null : end;
        return [{ endpoint: `m${index}`, kind, deployedAt, removedAt }];
      });
    }),
  );
}

/** Two before the period, both bounds with a millisecond either side, six within, two after. */
function instantsAround(period: Period): Instant[] {
  const [startMs, endMs] = [msOfInstant(period.start), msOfInstant(period.end)];
  const stepMs = Math.floor((endMs - startMs) / 7);
  const steps = [-2, -1, 1, 2, 3, 4, 5, 6, 8, 9].map((step) => startMs + step * stepMs);
  const bounds = [startMs, endMs].flatMap((ms) => [ms - 1, ms, ms + 1]);
  return [...steps, ...bounds].toSorted((a, b) => a - b).map(instantFromMs);
}
