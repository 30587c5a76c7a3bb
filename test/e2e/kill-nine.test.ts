/**
 * Acceptance A3: the site and the aggregator are killed at 50 random points each, at the same time, while endpoints register and check in,
 * a month ends, its report is sent, the month is closed and the report corrected. Nothing is lost and nothing counts twice.
 * The seed is printed; ROLLCALL_E2E_SEED repeats it (chance is the same, the machine's timing is not).
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CloseResult, Invoice, type InvoiceKind, InvoiceLine } from '@rollcall/shared/api/invoice.ts';
import { localPaths } from '@rollcall/shared/api/local.ts';
import { pageOf } from '@rollcall/shared/api/page.ts';
import { ReportDetail } from '@rollcall/shared/api/report.ts';
import { Site } from '@rollcall/shared/api/site.ts';
import { NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import type { KnownEntry } from '@rollcall/shared/ledger/entry.ts';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { type Api, ApiRefusal } from '../support/api.ts';
import { askLocal, Endpoint, persistently } from '../support/endpoint.ts';
import { findingsOf, type House, inHouse, prices, siteView, type Tenants } from '../support/house.ts';
import { killAtRandom } from '../support/killer.ts';
import { startProgram, until } from '../support/program.ts';
import { recountMonth } from '../support/recount.ts';
import type { SiteSeat } from '../support/site-seat.ts';

const kills = 50;
/** Of the site's kills, so many hit its enrolment. */
const enrolmentKills = 5;
const enrolmentKillMsMax = 900;
const month = '2027-03';
const monthEnd = '2027-03-31T22:00:00.000Z';
/** The month ends when about this many seconds of killing have passed. */
const secondsBefore = 30;
const endpoints = 12;
/** Between two check-ins of one endpoint. */
const restMsMin = 150;
const restMsMax = 900;
const closeEveryMs = 150;

const seed = Number(process.env['ROLLCALL_E2E_SEED'] ?? Date.now() % 2 ** 31);

/** A change of an agent that its endpoint knows to be heard: what it was told, and when it asked first. */
type Heard = { kind: AgentKind | null; askedAt: string; heardAt: string };
type Machine = { endpoint: Endpoint; endpointIds: Set<string>; changes: Heard[] };

test('kill -9 of both programs at 50 random points each: nothing lost, nothing double', async () => {
  console.log(`kill-nine: ROLLCALL_E2E_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const begins = new Date(Date.parse(monthEnd) - 86_400_000).toISOString();
  await inHouse({ now: begins }, async (house) => {
    const tenants = await house.furnish(month);
    const { id, seat } = await enrolUnderFire(house, tenants, random);
    const startAt = new Date(Date.parse(monthEnd) - secondsBefore * 1000).toISOString();
    await house.aggregator.stop();
    house.clock.set(startAt);
    seat.clock.set(startAt);

    const truth = Array.from({ length: endpoints }, (_, index): Machine => {
      return { endpoint: new Endpoint(`machine-${index}`), endpointIds: new Set(), changes: [] };
    });
    let over = false;
    let siteKills = 0;
    const works = truth.map((machine, index) => live(machine, seat, new SeededRandom(seed + index + 1), () => over));
    const seller = closeAgainAndAgain(house, tenants, () => over);
    const corrected = correctWhenInvoiced(tenants, id, seat, () => siteKills);
    const killing = Promise.all([
      killAtRandom(seat, kills - enrolmentKills, new SeededRandom(random.integer(0, 2 ** 31)), (count) => {
        siteKills = count;
      }),
      killAtRandom(house.aggregator, kills, new SeededRandom(random.integer(0, 2 ** 31)), () => undefined),
    ]);
    try {
      await Promise.all([killing, corrected]);
      // The month is long over by now on any machine; should it not be, its end is waited for.
      await until('the month ends', () => (seat.clock.now() > monthEnd ? true : undefined), { timeoutMs: 60_000 });
    } finally {
      over = true;
      await Promise.allSettled([...works, seller]);
    }
    await Promise.all([...works, seller]);
    const excluded = await corrected;

    await seat.untilStatus(
      'everything is acknowledged',
      ({ connected, ledger }) => connected && ledger.acknowledgedSeq === ledger.seq,
      90_000,
    );
    const ledger = seat.ledger();
    everyCheckInOnce(truth, ledger);
    expect(house.heldTexts(id)).toEqual(seat.ledgerTexts());
    const peaks = await oneReport(tenants, id, ledger, excluded);
    await oneInvoiceAnEdge(tenants, peaks);
    await nothingOdd(tenants, id, seat, ledger);
    await house.aggregator.stop();
    await seat.stop();
    wholeFiles(house, seat);
  });
}, 360_000);

/** Enrols while killed at random points: repeating it is safe whatever was reached. */
async function enrolUnderFire(
  house: House,
  { msp, ids }: Tenants,
  random: SeededRandom,
): Promise<{ id: string; seat: SiteSeat }> {
  const draft = { accountId: ids.account, name: 'Under fire', timeZone: 'Europe/Rome', note: '' };
  const { id } = await msp.post('/sites', draft, Site);
  const seat = await house.siteSeat('under-fire');
  const { token } = await msp.post('/enrolment-tokens', { siteId: id }, NewEnrolmentToken);
  for (let count = 0; count < enrolmentKills; count++) {
    const program = startProgram({
      program: 'rollcall-site',
      arguments: ['enrol', '--server', house.aggregator.url, '--data-folder', seat.dataFolder],
      environment: { ROLLCALL_ENROLMENT_TOKEN: token },
      wallClock: seat.clock,
    });
    await Promise.race([pause(random.integer(0, enrolmentKillMsMax)), program.ended]);
    program.kill('SIGKILL');
    await program.ended;
  }
  const ended = await seat.enrol(house.aggregator.url, token);
  if (ended.code !== 0) expect(ended.output).toContain('is enrolled already');
  return { id, seat };
}

/** One machine's life: registers, and then says again and again what it runs, each time until it is told that it was heard. */
async function live(machine: Machine, seat: SiteSeat, random: SeededRandom, isOver: () => boolean): Promise<void> {
  const { endpoint } = machine;
  const register = async (): Promise<void> => {
    const registered = await persistently(() => endpoint.register(seat.url, { joinCode: seat.joinCode }));
    if (!registered.ok) throw new Error(`${endpoint.hostName} was not registered: ${registered.code}`);
    machine.endpointIds.add(endpoint.endpointId);
  };
  await register();
  let kind: AgentKind | null = null;
  while (!isOver()) {
    // Now and then a machine is set up again, and asks for a new credential.
    if (random.happens(0.05)) await register();
    const wished: AgentKind | null = random.happens(0.5) ? kind : random.pick(['server', 'workstation', null]);
    const askedAt = seat.clock.now();
    const heard = await persistently(async () => {
      const answer = await endpoint.checkIn(seat.url, wished);
      // Before the first lease there is no key: a matter of waiting, too.
      return !answer.ok && answer.code === 'NO_KEY' ? { ...answer, status: 503 } : answer;
    });
    if (!heard.ok) throw new Error(`${endpoint.hostName} was not heard: ${heard.status} ${heard.code}`);
    expect(heard.answer.deployed).toBe(wished !== null);
    if (wished !== kind) machine.changes.push({ kind: wished, askedAt, heardAt: heard.answer.at });
    kind = wished;
    await pause(random.integer(restMsMin, restMsMax));
  }
}

/** Both sellers close the month over and over, as an impatient operator would whose answers never come. */
async function closeAgainAndAgain(
  house: House,
  { vendor, distributor }: Tenants,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    if (house.clock.now() > monthEnd)
      for (const api of [vendor, distributor]) await api.post('/closes', { month }, CloseResult).catch(passing);
    await pause(closeEveryMs);
  }
}

/** Waits for the invoices, then takes one endpoint of the peak out of the report; returns it. */
async function correctWhenInvoiced(
  tenants: Tenants,
  siteId: string,
  seat: SiteSeat,
  siteKills: () => number,
): Promise<string> {
  const detail = await until(
    'the month is invoiced',
    async () => {
      const invoices = await tenants.distributor.list('/invoices', pageOf(Invoice)).catch(passing);
      if (invoices === undefined || invoices.filter(({ state }) => state === 'finalised').length < 2) return undefined;
      return tenants.msp.get(`/sites/${siteId}/reports/${month}`, ReportDetail).catch(passing);
    },
    { timeoutMs: 300_000 },
  );
  console.log(`kill-nine: invoiced after ${siteKills()} kills of the site`);
  const excluded = detail.report?.peaks.server.endpoints[0] ?? detail.report?.peaks.workstation.endpoints[0];
  if (excluded === undefined) throw new Error('nobody was deployed during the month');
  const corrected = await persistently(async () => {
    const request = { month, exclude: [excluded], reason: 'sold with the branch' };
    const answer = await askLocal(seat.url, localPaths.correctReport, request, seat.operatorHeaders());
    if (answer.status === 200) return { ok: true as const };
    return { ok: false as const, status: answer.status, code: answer.text, retryAfter: answer.retryAfter };
  });
  if (!corrected.ok) throw new Error(`the report was not corrected: ${corrected.code}`);
  return excluded;
}

/** What a killed aggregator makes of a call: no answer at all. A refusal is a defect, unless it says to come back. */
function passing(error: unknown): undefined {
  if (error instanceof ApiRefusal && error.status < 500) throw error;
  return undefined;
}

/** Each change that its endpoint was told of stands in the ledger once, in order, dated between question and answer. */
function everyCheckInOnce(truth: readonly Machine[], ledger: readonly KnownEntry[]): void {
  let changes = 0;
  for (const { endpoint, endpointIds, changes: heard } of truth) {
    expect([...endpointIds], `${endpoint.hostName} has one identifier for good`).toEqual([endpoint.endpointId]);
    const written = ledger.flatMap(({ kind, body, at }): { kind: AgentKind | null; at: string }[] => {
      if (kind === 'agent-removed') return body.endpointId === endpoint.endpointId ? [{ kind: null, at }] : [];
      if (kind !== 'agent-deployed' && kind !== 'agent-changed') return [];
      return body.endpointId === endpoint.endpointId ? [{ kind: body.agentKind, at }] : [];
    });
    expect(
      written.map(({ kind }) => kind),
      `${endpoint.hostName}`,
    ).toEqual(heard.map(({ kind }) => kind));
    for (const [index, { askedAt, heardAt }] of heard.entries()) {
      const at = written[index]?.at ?? '';
      expect(at >= askedAt && at <= heardAt, `${endpoint.hostName}: ${askedAt} <= ${at} <= ${heardAt}`).toBe(true);
    }
    changes += heard.length;
  }
  const counted = ledger.filter(({ kind }) => kind.startsWith('agent-')).length;
  expect(counted).toBe(changes);
  // A run in which nothing happened proves nothing.
  expect(changes).toBeGreaterThan(endpoints * 5);
  console.log(`kill-nine: ${changes} changes acknowledged, ${ledger.length} entries`);
}

type Figures = Record<AgentKind, number>;

/** One sealed report and one correction, both what a plain recount says, at the site and at the aggregator. */
async function oneReport(
  { msp }: Tenants,
  siteId: string,
  ledger: readonly KnownEntry[],
  excluded: string,
): Promise<{ first: Figures; corrected: Figures }> {
  const sealed = ledger.filter((entry) => entry.kind === 'month-sealed');
  const corrections = ledger.filter((entry) => entry.kind === 'report-corrected');
  expect([sealed.length, corrections.length]).toEqual([1, 1]);
  const [first, correction] = [sealed[0]?.body, corrections[0]?.body];
  const period = { start: ledger[0]?.at ?? '', end: monthEnd };
  const counted = recountMonth(ledger, period);
  const countedAgain = recountMonth(ledger, period, [excluded]);
  expect(first).toMatchObject({ month, period, revision: 1, peaks: counted });
  expect(correction).toMatchObject({
    month,
    period,
    revision: 2,
    peaks: countedAgain,
    exclusions: [{ endpointId: excluded }],
  });
  const detail = await msp.get(`/sites/${siteId}/reports/${month}`, ReportDetail);
  const figures = (of: typeof counted): Figures => ({ server: of.server.peak, workstation: of.workstation.peak });
  expect(detail).toMatchObject({ status: 'agreeing', revision: 2, reported: figures(countedAgain) });
  expect(detail.revisions.map(({ revision, agreeing, reported }) => ({ revision, agreeing, reported }))).toEqual([
    { revision: 1, agreeing: true, reported: figures(counted) },
    { revision: 2, agreeing: true, reported: figures(countedAgain) },
  ]);
  return { first: figures(counted), corrected: figures(countedAgain) };
}

/** One invoice for each edge, and where the correction changed its figures one credit note; numbers without gaps. */
async function oneInvoiceAnEdge(
  { vendor, distributor, msp }: Tenants,
  { first, corrected }: { first: Figures; corrected: Figures },
): Promise<void> {
  const edges = [
    { seller: vendor, buyer: distributor, price: prices.toDistributor },
    { seller: distributor, buyer: msp, price: prices.toMsp },
  ];
  const differs = first.server !== corrected.server || first.workstation !== corrected.workstation;
  for (const { seller, buyer, price } of edges) {
    const result = await seller.post('/closes', { month }, CloseResult);
    // The last of the closes before may have come just before the correction arrived.
    expect(['unchanged', ...(differs ? ['credited'] : [])]).toContain(result.edges[0]?.outcome);
    expect((await seller.post('/closes', { month }, CloseResult)).edges).toMatchObject([{ outcome: 'unchanged' }]);
    const bought = await buyer.list('/invoices', pageOf(Invoice));
    const sold = await seller.list('/invoices', pageOf(Invoice));
    const documents = bought.filter((invoice) => sold.some(({ id }) => id === invoice.id));
    const of = (kind: InvoiceKind): Invoice[] => documents.filter((invoice) => invoice.kind === kind);
    expect([of('invoice').length, of('credit-note').length, of('debit-note').length]).toEqual([1, differs ? 1 : 0, 0]);
    expect(documents.map(({ number, state }) => `${number} ${state}`).sort()).toEqual([
      ...(differs ? ['CRN-2027-000001 finalised'] : []),
      'INV-2027-000001 finalised',
    ]);
    const net = (figures: Figures): number =>
      figures.server * price.serverUnitPriceMinor + figures.workstation * price.workstationUnitPriceMinor;
    expect(of('invoice')[0]?.netMinor).toBe(net(first));
    expect(documents.reduce((sum, { netMinor }) => sum + netMinor, 0)).toBe(net(corrected));
    await linesAreTheReport(buyer, of('invoice')[0]?.id ?? '', first);
  }
}

async function linesAreTheReport(buyer: Api, invoiceId: string, first: Figures): Promise<void> {
  const lines = await buyer.list(`/invoices/${invoiceId}/lines`, pageOf(InvoiceLine));
  expect(lines.map(({ kind, quantity, basis, revision }) => ({ kind, quantity, basis, revision }))).toEqual([
    { kind: 'server', quantity: first.server, basis: 'report', revision: 1 },
    { kind: 'workstation', quantity: first.workstation, basis: 'report', revision: 1 },
  ]);
}

/** No false alarm: no clone seen, no clock doubted, no figure that differs, the key as it should be. */
async function nothingOdd(
  { msp }: Tenants,
  siteId: string,
  seat: SiteSeat,
  ledger: readonly KnownEntry[],
): Promise<void> {
  const site = await siteView(msp, siteId);
  const status = await seat.status();
  expect(site).toMatchObject({
    flag: null,
    connected: true,
    ledger: { seq: ledger.length },
    deployed: status.deployed,
  });
  expect(status.conditions).toEqual([]);
  expect(status.keys).toMatchObject([{ state: 'active' }]);
  expect(ledger.filter(({ kind }) => kind === 'clock-anomaly' || kind === 'site-enrolled')).toHaveLength(1);
  const findings = await findingsOf(msp, siteId);
  expect(findings.filter(({ code }) => code !== 'REPORT_CORRECTED')).toEqual([]);
}

function wholeFiles(house: House, seat: SiteSeat): void {
  for (const path of [join(house.folder, 'rollcall.db'), join(seat.dataFolder, 'ledger.db')]) {
    const database = new Database(path, { readonly: true });
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    database.close();
  }
}
