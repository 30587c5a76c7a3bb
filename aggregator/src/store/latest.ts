/** Picks, of many facts about many things, the latest of each. */
export function latestOfEach<Fact>(
  facts: readonly Fact[],
  idOf: (fact: Fact) => string,
  at: (fact: Fact) => string,
): Fact[] {
  const latest = new Map<string, Fact>();
  for (const fact of facts) {
    const known = latest.get(idOf(fact));
    if (known === undefined || at(fact) >= at(known)) latest.set(idOf(fact), fact);
  }
  return [...latest.values()];
}
