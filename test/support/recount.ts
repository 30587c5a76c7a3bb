/**
 * The count of a month a second time, in the plainest way: every span of every endpoint, and for every instant at which one begins
 * the number that stand. Shares no code with the product's metering.
 */
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';

type Kind = 'server' | 'workstation';
type Span = { endpoint: string; kind: Kind; from: string; to: string };
export type Recount = Record<Kind, { peak: number; at: string | null; endpoints: string[] }>;

const never = '9999-12-31T23:59:59.999Z';

export function recountMonth(
  entries: readonly KnownEntry[],
  period: { start: string; end: string },
  excluded: readonly string[] = [],
): Recount {
  const spans: Span[] = [];
  const openSpan = (endpoint: string): Span | undefined =>
    spans.find((span) => span.endpoint === endpoint && span.to === never);
  for (const entry of entries) {
    const { at } = entry;
    if (entry.kind === 'agent-deployed')
      spans.push({ endpoint: entry.body.endpointId, kind: entry.body.agentKind, from: at, to: never });
    if (entry.kind === 'agent-removed' || entry.kind === 'agent-changed') {
      const span = openSpan(entry.body.endpointId);
      if (span === undefined) throw new Error(`${entry.body.endpointId} is not deployed at entry ${entry.seq}`);
      if (entry.kind === 'agent-removed' || entry.body.agentKind !== span.kind) span.to = at;
      if (entry.kind === 'agent-changed' && entry.body.agentKind !== span.kind)
        spans.push({ endpoint: entry.body.endpointId, kind: entry.body.agentKind, from: at, to: never });
    }
  }
  const counted = spans.filter(({ endpoint }) => !excluded.includes(endpoint));
  return { server: highest(counted, 'server', period), workstation: highest(counted, 'workstation', period) };
}

function highest(spans: readonly Span[], kind: Kind, period: { start: string; end: string }): Recount[Kind] {
  const ofKind = spans.filter((span) => span.kind === kind);
  const instants = [period.start, ...ofKind.map(({ from }) => from)]
    .filter((instant) => instant >= period.start && instant < period.end)
    .sort();
  let best: Recount[Kind] = { peak: 0, at: null, endpoints: [] };
  for (const at of instants) {
    const endpoints = ofKind.filter(({ from, to }) => from <= at && at < to).map(({ endpoint }) => endpoint);
    if (endpoints.length > best.peak) best = { peak: endpoints.length, at, endpoints: endpoints.sort() };
  }
  return best;
}
