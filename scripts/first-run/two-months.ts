/**
 * The first run: makes the tenants, enrols the sites by token over the real socket, and lives through two months by running
 * the product's own code on a manual clock: the same aggregator, Site Managers, sockets and SQLite files, only faster.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { createAggregator } from '@rollcall/aggregator/aggregator.ts';
import { AggregatorConfig } from '@rollcall/aggregator/config.ts';
import { joinCode, newOperatorToken, readIdentity } from '@rollcall/agent/identity.ts';
import { createLocalApp } from '@rollcall/agent/local-api/app.ts';
import { listenLocally } from '@rollcall/agent/local-api/server.ts';
import { createSiteManager, type SiteManager } from '@rollcall/agent/site-manager.ts';
import { software } from '@rollcall/agent/software.ts';
import { Account } from '@rollcall/shared/api/account.ts';
import { Agreement } from '@rollcall/shared/api/agreement.ts';
import { CloseResult } from '@rollcall/shared/api/invoice.ts';
import { localPaths, RegisterResponse } from '@rollcall/shared/api/local.ts';
import { Me } from '@rollcall/shared/api/me.ts';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import { Site } from '@rollcall/shared/api/site.ts';
import { NewApiToken, NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { type Instant, instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Month, monthPeriod } from '@rollcall/shared/domain/month.ts';
import { systemChance } from '@rollcall/shared/node/crypto.ts';
import { createLogger, type Logger } from '@rollcall/shared/node/logger.ts';
import { ManualClock } from '@rollcall/shared/testing/manual-clock.ts';
import pino from 'pino';
import { runProgram } from '../../test/support/program.ts';
import { Api } from '../../test/support/api.ts';
import type { Place } from './place.ts';
import { type Machine, type SiteStory, sites as stories, tenants } from './story.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Machines check in each day at about this time, UTC. */
const checkInHour = 6;
/** The longest a site may go without showing that it lives: fewer pings to live through. */
const heartbeatSeconds = 300;
/** Last contacts are for people to see; nobody looks on while months pass in seconds. */
const contactIntervalMs = 6 * 3_600_000;
/** Steps the clock moves by: an acknowledgement is waited for a minute, and must have had its turn before that is over. */
const stepMs = 50_000;
/** By which it moves while a site has lost its connection and waits to try again. */
const retryStepMs = 1_000;
/** Turns of the event loop a ping and its answer need within one process. */
const turnsPerStep = 6;
const syncTimeoutMs = 10_000;

/** What was made: enough to show it again at the next start. */
export type Made = { months: [Month, Month]; siteIds: string[]; names: string[] };

type LivingSite = {
  story: SiteStory;
  dataFolder: string;
  manager: SiteManager;
  localApiUrl: string;
  credentials: Map<string, string>;
  close: () => Promise<void>;
};

export async function liveTwoMonths(
  place: Place,
  months: [Month, Month],
  until: Instant,
  tell: (line: string) => void,
): Promise<Made> {
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  const [zone] = stories.map((story) => story.timeZone);
  if (zone === undefined) throw new Error('the story has no site');
  const start = monthPeriod(months[0], zone).start;
  const clock = new ManualClock(start);
  const logger = createLogger(
    { name: 'first-run', level: 'warn' },
    pino.destination({ dest: place.aggregatorLogFile, mkdir: true, sync: true }),
  );

  tell('making the vendor');
  await mustRun('rollcall', [
    'setup',
    '--name',
    tenants.vendor.name,
    '--country',
    tenants.vendor.country,
    '--currency',
    tenants.vendor.currency,
    '--database',
    place.database,
    '--token-file',
    place.tokenFile('vendor'),
  ]);
  const config = AggregatorConfig.parse({
    database: place.database,
    port: place.aggregatorPort,
    heartbeatSeconds,
    logLevel: 'warn',
    requestsPerTokenPerMinute: 1_000_000,
  });
  const aggregator = await createAggregator(config, { logger, clock, gatewayLimits: { contactIntervalMs } });
  const living: LivingSite[] = [];
  try {
    tell('making the distributor, the MSP, the account and its two sites');
    const vendor = new Api(place.aggregatorUrl, readFileSync(place.tokenFile('vendor'), 'utf8').trim());
    const { distributor, msp, siteIds } = await makeTenants(vendor, place, months[0]);
    for (const [index, story] of stories.entries()) {
      tell(`enrolling the site "${story.name}" by token`);
      living.push(
        await enrolAndStart(
          msp,
          siteIds[index] as string,
          story,
          place.sites[index] as Place['sites'][number],
          place,
          clock,
          logger,
        ),
      );
    }
    const advanceTo = async (instant: Instant): Promise<void> => {
      while (clock.now() < instant) {
        clock.advance(Math.min(stepMs, msOfInstant(instant) - msOfInstant(clock.now())));
        for (let i = 0; i < turnsPerStep; i++) await turn();
        await synchronised(living, clock);
      }
    };
    const startMs = msOfInstant(start);
    const firstEnd = monthPeriod(months[0], zone).end;
    let firstClosed = false;
    tell(`living through ${months[0]} and ${months[1]} on a manual clock`);
    for (let day = 0; ; day++) {
      const checkInAt = instantFromMs(startMs + day * dayMs + checkInHour * hourMs);
      if (checkInAt > until) break;
      await advanceTo(checkInAt);
      for (const site of living) await checkInAll(site, day);
      if (!firstClosed && clock.now() > firstEnd) {
        await vendor.post('/closes', { month: months[0] }, CloseResult);
        await distributor.post('/closes', { month: months[0] }, CloseResult);
        firstClosed = true;
      }
    }
    await advanceTo(until);
    return { months, siteIds, names: stories.map((story) => story.name) };
  } finally {
    for (const site of living) await site.close();
    await aggregator.stop();
  }
}

async function makeTenants(
  vendor: Api,
  place: Place,
  validFrom: Month,
): Promise<{ distributor: Api; msp: Api; siteIds: string[] }> {
  const me = await vendor.get('/me', Me);
  const distributor = await vendor.post(
    '/organisations',
    { kind: 'distributor', parentId: me.organisation.id, ...tenants.distributor },
    Organisation,
  );
  const distributorApi = await tokenFor(vendor, distributor.id, 'distributor', place);
  const msp = await distributorApi.post(
    '/organisations',
    { kind: 'msp', parentId: distributor.id, ...tenants.msp },
    Organisation,
  );
  const mspApi = await tokenFor(distributorApi, msp.id, 'msp', place);
  const terms = {
    programme: 'metered-peak',
    timeZone: 'Europe/Rome',
    missingReportPolicy: 'hold',
    currency: 'EUR',
    validFrom,
  } as const;
  await vendor.post('/agreements', { ...terms, ...tenants.toDistributor, buyerId: distributor.id }, Agreement);
  await distributorApi.post('/agreements', { ...terms, ...tenants.toMsp, buyerId: msp.id }, Agreement);
  const account = await mspApi.post('/accounts', { mspId: msp.id, ...tenants.account }, Account);
  const siteIds: string[] = [];
  for (const { name, timeZone } of stories)
    siteIds.push((await mspApi.post('/sites', { accountId: account.id, name, timeZone, note: '' }, Site)).id);
  return { distributor: distributorApi, msp: mspApi, siteIds };
}

async function tokenFor(api: Api, organisationId: string, who: 'distributor' | 'msp', place: Place): Promise<Api> {
  const { token } = await api.post('/api-tokens', { organisationId, name: 'first sign-in' }, NewApiToken);
  writeFileSync(place.tokenFile(who), `${token}\n`, { mode: 0o600 });
  return new Api(place.aggregatorUrl, token);
}

async function enrolAndStart(
  msp: Api,
  siteId: string,
  story: SiteStory,
  { dataFolder }: Place['sites'][number],
  place: Place,
  clock: ManualClock,
  logger: Logger,
): Promise<LivingSite> {
  const { token } = await msp.post('/enrolment-tokens', { siteId }, NewEnrolmentToken);
  await mustRun('rollcall-site', ['enrol', '--server', place.aggregatorUrl, '--data-folder', dataFolder], {
    ROLLCALL_ENROLMENT_TOKEN: token,
  });
  const { site, signer } = readIdentity(dataFolder);
  const manager = await createSiteManager(
    {
      dataFolder,
      aggregatorUrl: place.aggregatorUrl,
      aggregatorPublicKeys: site.aggregatorPublicKeys,
      joinCode: joinCode(dataFolder),
      software,
    },
    {
      clock,
      chance: systemChance,
      logger,
      signer,
      onFatal: (error) => {
        throw error;
      },
    },
  );
  const server = await listenLocally(
    createLocalApp({ site: manager, operatorToken: newOperatorToken(), clock, logger }),
    { host: '127.0.0.1', port: 0 },
    clock,
  );
  const living = {
    story,
    dataFolder,
    manager,
    localApiUrl: server.url,
    credentials: new Map<string, string>(),
    close: async () => {
      await server.close();
      await manager.stop();
    },
  };
  await keyArrived(living);
  return living;
}

/** The first lease brings the key; without it nothing may be deployed. */
async function keyArrived({ manager, story }: LivingSite): Promise<void> {
  const deadline = performance.now() + syncTimeoutMs;
  while (!manager.status().keys.some((key) => key.state === 'active')) {
    if (performance.now() > deadline) throw new Error(`no key arrived at ${story.name}`);
    await turn();
  }
}

/** Everything the sites wrote has been acknowledged; the clock stands still meanwhile, but for a site that waits to connect again. */
async function synchronised(living: readonly LivingSite[], clock: ManualClock): Promise<void> {
  const deadline = performance.now() + syncTimeoutMs;
  for (const { manager, story } of living)
    for (;;) {
      const { ledger, connected } = manager.status();
      if (connected && ledger.acknowledgedSeq === ledger.seq) break;
      if (performance.now() > deadline)
        throw new Error(`${story.name} was not synchronised: ${JSON.stringify({ ledger, connected })}`);
      if (!connected) clock.advance(retryStepMs);
      for (let i = 0; i < turnsPerStep; i++) await turn();
    }
}

async function checkInAll(site: LivingSite, day: number): Promise<void> {
  // What leaves goes first, as people swap machines.
  const leaving = site.story.machines.filter(({ untilDay }) => untilDay === day);
  for (const machine of leaving) await checkIn(site, machine, null);
  for (const machine of site.story.machines) {
    const { fromDay, untilDay, silentFromDay, serverFromDay } = machine;
    if (
      day < fromDay ||
      (untilDay !== undefined && day >= untilDay) ||
      (silentFromDay !== undefined && day >= silentFromDay)
    )
      continue;
    await checkIn(site, machine, serverFromDay !== undefined && day >= serverFromDay ? 'server' : machine.kind);
  }
}

async function checkIn(
  site: LivingSite,
  { machineId, hostName }: Machine,
  kind: Machine['kind'] | null,
): Promise<void> {
  let credential = site.credentials.get(machineId);
  if (credential === undefined) {
    const registered = await post(`${site.localApiUrl}${localPaths.register}`, {
      machineId,
      hostName,
      joinCode: joinCode(site.dataFolder),
    });
    ({ credential } = RegisterResponse.parse(registered));
    site.credentials.set(machineId, credential);
  }
  const agent = kind === null ? null : { kind, product: 'metered-agent', agentVersion: '1.0.0', hostName };
  await post(`${site.localApiUrl}${localPaths.checkIn}`, { agent }, { Authorization: `Bearer ${credential}` });
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

async function mustRun(
  program: 'rollcall' | 'rollcall-site',
  args: string[],
  environment: Record<string, string> = {},
): Promise<void> {
  const { code, output } = await runProgram({ program, arguments: args, environment });
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}:\n${output}`);
}
