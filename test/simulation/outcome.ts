/** What is told of a world once it was judged: plain figures and breaches, so that worlds can be lived through in other threads. */
import { breachesOf } from './checks.ts';
import type { FaultKind } from './faults.ts';
import type { Breach } from './site-record.ts';
import { World, type WorldPlan } from './world.ts';

export type Outcome = {
  seed: number;
  siteYears: number;
  events: number;
  entries: number;
  reports: number;
  corrections: number;
  commits: number;
  /** What closes did, by outcome; documents by kind and basis of their lines. */
  closes: Record<string, number>;
  /** Months that a site in doubt of its clock sealed before they were over: by design, made up for by the next contact. */
  sealedInDoubt: number;
  faults: Record<FaultKind, number>;
  breaches: Breach[];
};

/** Lives through a world and judges it. */
export async function outcomeOf(plan: WorldPlan): Promise<Outcome> {
  const end = await new World(plan).live();
  try {
    const breaches = await breachesOf(end);
    const entries = end.sites.flatMap(({ disk }) => disk.entries);
    const countOf = (kind: string): number => entries.filter(({ entry }) => entry.kind === kind).length;
    return {
      seed: end.seed,
      siteYears: end.siteYears,
      events: end.events,
      entries: entries.length,
      reports: countOf('month-sealed'),
      corrections: countOf('report-corrected'),
      commits: end.aggregator.commits,
      closes: end.closes,
      sealedInDoubt: end.sites.reduce((sum, { record }) => sum + record.sealedInDoubt, 0),
      faults: end.faults.counts,
      breaches,
    };
  } finally {
    await end.dispose();
  }
}

/** Outcomes of several worlds as one: figures added up, breaches with their seeds. */
export function total(outcomes: readonly Outcome[]): Omit<Outcome, 'seed' | 'breaches'> {
  const sum = (figure: (outcome: Outcome) => number): number =>
    outcomes.reduce((all, outcome) => all + figure(outcome), 0);
  const sums = <Name extends string>(record: (outcome: Outcome) => Record<Name, number>): Record<Name, number> => {
    const all: Record<string, number> = {};
    for (const outcome of outcomes)
      for (const [name, count] of Object.entries<number>(record(outcome))) all[name] = (all[name] ?? 0) + count;
    return all;
  };
  return {
    siteYears: sum(({ siteYears }) => siteYears),
    events: sum(({ events }) => events),
    entries: sum(({ entries }) => entries),
    reports: sum(({ reports }) => reports),
    corrections: sum(({ corrections }) => corrections),
    commits: sum(({ commits }) => commits),
    closes: sums(({ closes }) => closes),
    sealedInDoubt: sum(({ sealedInDoubt }) => sealedInDoubt),
    faults: sums(({ faults }) => faults),
  };
}

/** A breach as a failing run tells it. */
export const describe = (seed: number, { checker, siteId, what }: Breach): string =>
  `seed ${seed}: ${checker}: ${siteId === null ? '' : `${siteId}: `}${what} (again: ROLLCALL_SIM_SEED=${seed})`;
