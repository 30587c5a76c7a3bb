/**
 * How often a site's connection was replaced while its socket still answered: what two machines with one memory (a virtual machine
 * cloned while it ran) do to each other, and no program that merely lost its line does.
 */

/** Replacements within the window after which one more is looked at like a second machine. */
const replacementsMax = 3;
const windowMs = 60_000;

export class Replacements {
  /** Instants of the last few, by site; the site that was replaced longest ago stands first. */
  readonly #bySite = new Map<string, number[]>();

  note(siteId: string, nowMs: number): void {
    const recent = this.#recent(siteId, nowMs);
    this.#bySite.delete(siteId);
    this.#bySite.set(siteId, [...recent, nowMs].slice(-replacementsMax));
    for (const [oldest, instants] of this.#bySite) {
      if ((instants.at(-1) ?? 0) > nowMs - windowMs) break;
      this.#bySite.delete(oldest);
    }
  }

  /** True when one more would be too many. */
  atLimit(siteId: string, nowMs: number): boolean {
    return this.#recent(siteId, nowMs).length >= replacementsMax;
  }

  #recent(siteId: string, nowMs: number): number[] {
    return (this.#bySite.get(siteId) ?? []).filter((ms) => ms > nowMs - windowMs);
  }
}
