import { expect, test } from 'vitest';
import { worldOf, worldsFromEnvironment } from './config.ts';
import { type FaultKind, faultKinds } from './faults.ts';
import { describe, outcomeOf, total } from './outcome.ts';
import { liveAll } from './world-threads.ts';

const plans = worldsFromEnvironment(process.env);
const isWholeRun = plans.length > 1;
const startedMs = performance.now();
const outcomes = await liveAll(plans);
const sum = total(outcomes);
console.log(
  [
    `simulated ${sum.siteYears.toFixed(0)} site-years in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: worlds ${outcomes.map(({ seed }) => seed).join(' ')}`,
    `${sum.events} events, ${sum.entries} entries in ${sum.commits} appends, ${sum.reports} reports, ${sum.corrections} corrections, ${sum.sealedInDoubt} sealed in doubt`,
    `closes: ${listed(sum.closes)}`,
    `faults: ${listed(sum.faults)}`,
  ].join('\n'),
);

test('no checker is broken in any world', () => {
  const told = outcomes.flatMap(({ seed, breaches }) => breaches.map((breach) => describe(seed, breach)));
  expect(told.slice(0, 50)).toEqual([]);
});

test.runIf(isWholeRun)('at least 1,000 site-years were lived through', () => {
  expect(sum.siteYears).toBeGreaterThanOrEqual(1_000);
});

test.runIf(isWholeRun).each(faultKinds)('the fault %s really happened', (kind: FaultKind) => {
  expect(sum.faults[kind]).toBeGreaterThan(0);
});

test.runIf(isWholeRun).each(['finalised', 'held', 'unchanged', 'credited', 'debited'])('closes were %s', (outcome) => {
  expect(sum.closes[outcome]).toBeGreaterThan(0);
});

test.runIf(isWholeRun)('reports were sealed, corrected, and sealed in doubt of the time', () => {
  expect(sum.reports).toBeGreaterThan(10_000);
  expect(sum.corrections).toBeGreaterThan(0);
  expect(sum.sealedInDoubt).toBeGreaterThan(0);
});

test('the same seed makes the same world', async () => {
  const plan = { ...worldOf(3), sites: 3, days: 130 };
  const [first, second] = [await outcomeOf(plan), await outcomeOf(plan)];
  expect(second).toEqual(first);
});

function listed(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
