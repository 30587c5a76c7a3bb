/**
 * Judges what became of a simulated world: the ledgers of the sites against what was answered, the aggregator's store against
 * the ledgers, and both against the plain recount of the ground truth. Each breach names what broke, where, and its checker.
 * Money is judged by `invoice-check.ts`.
 */
import { type ChainedEntry, emptyHead } from '@rollcall/shared/ledger/chain.ts';
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { LedgerAudit } from '@rollcall/shared/ledger/ledger-audit.ts';
import { type DeployedAgentsReport, isSignedBy, recountReport } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest, nodeVerifier } from '@rollcall/shared/node/crypto.ts';
import { instantFromMs } from '@rollcall/shared/domain/instant.ts';
import { type Kind, kinds, type RecountedPeak } from './ground-truth.ts';
import { checkInvoices } from './invoice-check.ts';
import { type Recount, type Recounts, recountSite } from './recount.ts';
import type { Breach, Checker } from './site-record.ts';
import type { SimulatedSite, WorldEnd } from './world.ts';

const rowsPerRead = 500;

/** All that is wrong with a world; nothing, if the product is right. */
export async function breachesOf(world: WorldEnd): Promise<Breach[]> {
  const breaches: Breach[] = [];
  await world.aggregator.checkAcknowledged();
  breaches.push(...world.aggregator.breaches);
  const recounts: Recounts = new Map();
  for (const site of world.sites) {
    const recount = recountSite(site, world.nowMs);
    recounts.set(site.record.siteId, recount);
    breaches.push(
      ...site.record.breaches,
      ...checkAnswers(site),
      ...checkOnce(site),
      ...checkReports(site, recount, world.nowMs),
    );
    for (const what of site.endpoints.unserved())
      breaches.push({ checker: 'everyone-is-served', siteId: site.record.siteId, what });
    breaches.push(...(await checkHeld(world, site, recount)));
  }
  breaches.push(...(await checkInvoices(world, recounts)));
  return breaches;
}

type Says = (checker: Checker, what: string) => void;

function gathering(siteId: string): { breaches: Breach[]; says: Says } {
  const breaches: Breach[] = [];
  return { breaches, says: (checker, what) => breaches.push({ checker, siteId, what }) };
}

/** Every call that was answered stands in the ledger as it was answered. */
function checkAnswers({ record, disk }: SimulatedSite): Breach[] {
  const { breaches, says } = gathering(record.siteId);
  const history = new Map<string, { atMs: number; kind: Kind | null }[]>();
  for (const { entry } of disk.entries) {
    const change = changeOf(entry);
    if (change !== null)
      history.set(change.endpointId, [
        ...(history.get(change.endpointId) ?? []),
        { atMs: Date.parse(entry.at), kind: change.kind },
      ]);
  }
  // Backwards, since what an endpoint was told at an instant holds until it was told something else at that instant; a site in
  // doubt of its time may also have dated later calls before earlier ones.
  const earliestLaterMs = new Map<string, number>();
  for (const call of record.calls.toReversed()) {
    const { endpointId, machineId, atMs, kind, answered } = call;
    const laterMs = earliestLaterMs.get(endpointId);
    if (laterMs === undefined && call.by === 'endpoint') {
      const heardAt = disk.soft.registrations.get(endpointId)?.lastHeardAt ?? null;
      if (heardAt !== instantFromMs(atMs))
        says(
          'acknowledged-is-kept',
          `${machineId} was taken at ${instantFromMs(atMs)}, and was last heard at ${heardAt}`,
        );
    }
    earliestLaterMs.set(endpointId, Math.min(atMs, laterMs ?? Number.POSITIVE_INFINITY));
    if (!answered || (laterMs !== undefined && laterMs <= atMs)) continue;
    const stands = history.get(endpointId)?.findLast((change) => change.atMs <= atMs)?.kind ?? null;
    if (stands !== kind)
      says(
        'acknowledged-is-kept',
        `${machineId} was told ${kind} at ${instantFromMs(atMs)}, and its ledger says ${stands}`,
      );
  }
  return breaches;
}

function changeOf(entry: KnownEntry): { endpointId: string; kind: Kind | null } | null {
  if (entry.kind === 'agent-deployed' || entry.kind === 'agent-changed')
    return { endpointId: entry.body.endpointId, kind: entry.body.agentKind };
  if (entry.kind === 'agent-removed') return { endpointId: entry.body.endpointId, kind: null };
  return null;
}

/** No machine stands deployed twice at once, no command was applied twice. */
function checkOnce({ record, disk }: SimulatedSite): Breach[] {
  const { breaches, says } = gathering(record.siteId);
  const deployed = new Map<string, string>();
  const commands = new Set<string>();
  for (const { entry } of disk.entries) {
    if (entry.kind === 'agent-deployed') {
      const { machineId, endpointId } = entry.body;
      if ([...deployed.values()].includes(machineId))
        says('nothing-twice', `entry ${entry.seq} deploys ${machineId}, which is deployed`);
      deployed.set(endpointId, machineId);
    } else if (entry.kind === 'agent-removed') {
      deployed.delete(entry.body.endpointId);
    } else if (entry.kind === 'command-applied') {
      if (commands.has(entry.body.commandId))
        says('nothing-twice', `entry ${entry.seq} applies ${entry.body.commandId} again`);
      commands.add(entry.body.commandId);
    }
  }
  return breaches;
}

/** One report for each month of the site's life that is over, true to the ground truth, and verifiable by anybody. */
function checkReports(site: SimulatedSite, recounts: ReadonlyMap<string, Recount>, nowMs: number): Breach[] {
  const { record, disk, signer } = site;
  const { breaches, says } = gathering(record.siteId);
  const sealed: DeployedAgentsReport[] = [];
  const latest = new Map<string, DeployedAgentsReport>();
  for (const { entry } of disk.entries) {
    if (entry.kind === 'month-sealed') sealed.push(entry.body);
    if (entry.kind === 'month-sealed' || entry.kind === 'report-corrected') latest.set(entry.body.month, entry.body);
  }
  const expected = [...recounts.keys()];
  const reported = sealed.map(({ month }) => month);
  if (expected.join(' ') !== reported.join(' '))
    says('one-report-a-month', `sealed are ${differenceOf(expected, reported)}`);
  const intervals = record.truth.intervals(nowMs).map(({ machineId, kind, fromMs, toMs }) => ({
    endpoint: site.endpoints.endpointIds.get(machineId) ?? machineId,
    kind,
    deployedAt: instantFromMs(fromMs),
    removedAt: Number.isFinite(toMs) ? instantFromMs(toMs) : null,
  }));
  for (const report of [...sealed, ...[...latest.values()].filter(({ revision }) => revision > 1)]) {
    const recount = recounts.get(report.month);
    if (recount === undefined) continue;
    const figures = report.revision === 1 ? recount.sealed : recount.corrected;
    for (const kind of kinds) comparePeak(site, report, kind, figures[kind], says);
    const { startMs, endMs } = record.truth.period(report.month);
    if (report.period.start !== instantFromMs(startMs) || report.period.end !== instantFromMs(endMs))
      says('counts-agree', `the report of ${report.month} is for ${report.period.start} to ${report.period.end}`);
    if (!isSignedBy(report, signer.publicKey, nodeVerifier))
      says('reports-verify', `the report of ${report.month} is not signed by the site`);
    for (const { field, reported: said, recounted } of recountReport(report, intervals, nodeDigest))
      says(
        'reports-verify',
        `${field} of ${report.month} (revision ${report.revision}) is ${said}, recounted ${recounted}`,
      );
  }
  const audit = auditOf(disk.entries);
  if (audit !== undefined) says('reports-verify', audit);
  return breaches;
}

function comparePeak(
  site: SimulatedSite,
  report: DeployedAgentsReport,
  kind: Kind,
  recounted: RecountedPeak,
  says: Says,
): void {
  const { peak, at, endpoints } = report.peaks[kind];
  const recountedAt = recounted.atMs === null ? null : instantFromMs(recounted.atMs);
  const witness = recounted.machines.map((machineId) => site.endpoints.endpointIds.get(machineId) ?? machineId).sort();
  if (peak !== recounted.peak || at !== recountedAt || endpoints.join() !== witness.join())
    says(
      'counts-agree',
      `${kind} of ${report.month} (revision ${report.revision}) is ${peak} at ${at}, and by the plain recount ${recounted.peak} at ${recountedAt}`,
    );
}

function auditOf(entries: readonly ChainedEntry<KnownEntry>[]): string | undefined {
  const audit = new LedgerAudit(nodeDigest, nodeVerifier);
  let head = emptyHead;
  for (const { entry, hash } of entries) {
    const problem = audit.read(entry, head);
    if (problem !== undefined) return `${problem.code}: ${problem.message}`;
    head = { seq: entry.seq, hash, at: entry.at };
  }
  return undefined;
}

/** What the aggregator holds is the site's ledger, and its own count the plain recount. */
async function checkHeld(
  { store, tenants: { root }, nowMs }: WorldEnd,
  site: SimulatedSite,
  recounts: ReadonlyMap<string, Recount>,
): Promise<Breach[]> {
  const { siteId } = site.record;
  const { breaches, says } = gathering(siteId);
  const { entries } = site.disk;
  const seen = new Set<string>();
  let held = 0;
  for (;;) {
    const rows = await store.ingest.entries(root, siteId, held, rowsPerRead);
    if (rows === undefined || rows.length === 0) break;
    for (const { seq, hash, text } of rows) {
      const own = entries[seq - 1];
      if (seen.has(hash)) says('nothing-twice', `entry ${seq} stands at the aggregator under an earlier number too`);
      seen.add(hash);
      if (seq !== held + 1) says('nothing-twice', `entry ${held} is followed by entry ${seq} at the aggregator`);
      if (own === undefined)
        says('nothing-twice', `the aggregator holds entry ${seq}, and the ledger ends with ${entries.length}`);
      else if (own.hash !== hash || own.text !== text)
        says('acknowledged-is-kept', `entry ${seq} is another one at the aggregator`);
      held = seq;
    }
  }
  if (held < entries.length)
    says('acknowledged-is-kept', `entries ${held + 1} to ${entries.length} have not arrived, long after all faults`);
  const sent = site.disk.soft.acknowledgedSeq;
  if (sent > held) says('acknowledged-is-kept', `the site believes entry ${sent} to be held, and ${held} are`);
  const corrections = site.disk.entries
    .filter(({ entry }) => entry.kind === 'report-corrected')
    .map(({ entry }) => entry.body as DeployedAgentsReport);
  for (const [month, recount] of recounts) {
    const revisions = (await store.reports.revisions(root, siteId, month)) ?? [];
    const expected = 1 + corrections.filter((report) => report.month === month).length;
    if (revisions.length !== expected || revisions.some(({ revision }, index) => revision !== index + 1))
      says(
        'one-report-a-month',
        `the aggregator holds revisions ${revisions.map(({ revision }) => revision).join()} of ${month}, and ${expected} were made`,
      );
    const first = revisions[0];
    for (const kind of kinds)
      if (first !== undefined && first.report.peaks[kind].peak !== recount.sealed[kind].peak)
        says(
          'counts-agree',
          `${kind} of ${month} is ${first.report.peaks[kind].peak} at the aggregator, and by the plain recount ${recount.sealed[kind].peak}`,
        );
    if (revisions.some(({ agreeing }) => !agreeing))
      says('counts-agree', `the aggregator found the report of ${month} to differ from its own count`);
  }
  await checkOwnCount(store, root, siteId, recounts, instantFromMs(nowMs), says);
  return breaches;
}

/** The aggregator's own count, as it stands beside each report. */
async function checkOwnCount(
  store: WorldEnd['store'],
  root: WorldEnd['tenants']['root'],
  siteId: string,
  recounts: ReadonlyMap<string, Recount>,
  now: string,
  says: Says,
): Promise<void> {
  const { rows } = await store.reports.reportRows(root, { siteId }, now, { limit: rowsPerRead });
  const over = rows.filter(({ status }) => status !== 'running');
  if (over.length !== recounts.size)
    says('one-report-a-month', `the aggregator lists ${over.length} months that are over, and ${recounts.size} are`);
  for (const { month, counted, status } of over) {
    const recount = recounts.get(month);
    if (recount === undefined) continue;
    if (status !== 'agreeing') says('counts-agree', `the month ${month} is ${status}`);
    for (const kind of kinds)
      if (counted[kind] !== recount.sealed[kind].peak)
        says(
          'counts-agree',
          `the aggregator's own count of ${kind} in ${month} is ${counted[kind]}, and by the plain recount ${recount.sealed[kind].peak}`,
        );
  }
}

function differenceOf(expected: readonly string[], found: readonly string[]): string {
  const missing = expected.filter((month) => !found.includes(month));
  const extra = found.filter((month, index) => !expected.includes(month) || found.indexOf(month) !== index);
  return `${found.length} months instead of ${expected.length}: missing ${missing.join() || 'none'}, too many ${extra.join() || 'none'}`;
}
