/** The composition root: builds the parts of the aggregator, hands each what it needs, and ends them in order. */
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { generateSigningKey, signerFromPem, systemChance } from '@rollcall/shared/node/crypto.ts';
import { leaseSignerFromPem } from '@rollcall/shared/node/lease-token.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { AggregatorConfig } from './config.ts';
import { createPdfPress } from './delivery/pdf-press.ts';
import { createGateway, type Gateway } from './gateway/gateway.ts';
import type { GatewayLimits } from './gateway/limits.ts';
import { createApp } from './http/app.ts';
import { listen } from './http/server.ts';
import { openStore } from './store/open-store.ts';
import type { Store } from './store/store.ts';
import { softwareVersion } from './version.ts';

const hourMs = 3_600_000;

/** Part of a request's time that one of its reads may take. */
const readTimePart = 0.8;

export type AggregatorDeps = {
  logger: Logger;
  clock?: Clock;
  chance?: Chance;
  /** Called once when it cannot go on (another process has taken the database over); the process should end. */
  onFatal?: (error: Error) => void;
  /** Limits that no setting names, for who runs it in another time than ours. */
  gatewayLimits?: Partial<GatewayLimits>;
};

type Parts = Required<Pick<AggregatorDeps, 'logger' | 'clock' | 'chance'>>;

export type Aggregator = {
  /** Where it listens. */
  url: string;
  port: number;
  store: Store;
  gateway: Gateway;
  /** Takes nothing new, says goodbye to the sites, stores what they sent, closes the store. Again: waits for the same end. */
  stop(): Promise<void>;
};

/**
 * Starts an aggregator.
 * @throws RollcallError with one clear sentence: `DATABASE_UNUSABLE`, `DATABASE_IN_USE`, `DATABASE_NEWER`, `STORE_UNAVAILABLE`,
 * `PORT_TAKEN`, `ADDRESS_UNUSABLE`.
 */
export async function createAggregator(
  config: AggregatorConfig,
  { logger, clock = systemClock, chance = systemChance, onFatal, gatewayLimits = {} }: AggregatorDeps,
): Promise<Aggregator> {
  // A read gives up before the request does that waits for it, and has then ended at the database, too.
  const readTimeoutMs = Math.round(config.requestTimeoutSeconds * 1000 * readTimePart);
  const store = await openStore(config.database, { logger, readTimeoutMs });
  let gateway: Gateway | undefined;
  try {
    // Before the schema is touched: the one that serves now may be of another version.
    await store.occupy((error) => onFatal?.(error));
    await store.migrate();
    gateway = await openGateway(config, store, { logger, clock, chance }, gatewayLimits);
    return await serve(config, store, gateway, { logger, clock, chance });
  } catch (error) {
    await gateway?.stop();
    await store.close();
    throw error;
  }
}

async function openGateway(
  config: AggregatorConfig,
  store: Store,
  deps: Parts,
  limits: Partial<GatewayLimits>,
): Promise<Gateway> {
  const privateKeyPem = await store.secrets.privateKeyPem('lease-signing', () => generateSigningKey().privateKeyPem);
  return createGateway({
    ...deps,
    store,
    leaseSigner: leaseSignerFromPem(privateKeyPem),
    aggregatorPublicKeys: [signerFromPem(privateKeyPem).publicKey],
    leaseMs: config.leaseHours * hourMs,
    trustedProxies: config.trustProxy,
    limits: {
      connectionsMax: config.sitesConnectedMax,
      connectionsPerAddressMax: config.sitesPerAddressMax,
      handshakesPerMinuteMax: config.handshakesPerMinute,
      enrolmentsPerMinuteMax: config.enrolmentsPerMinute,
      heartbeatIntervalMs: config.heartbeatSeconds * 1000,
      ...limits,
    },
  });
}

async function serve(config: AggregatorConfig, store: Store, gateway: Gateway, deps: Parts): Promise<Aggregator> {
  const { logger, clock, chance } = deps;
  let stopped: Promise<void> | undefined;
  const requestTimeoutMs = config.requestTimeoutSeconds * 1000;
  // The port is known once it listens; the address is asked for by requests alone, and these come later.
  let { port } = config;
  const ownUrl = (): string => `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  const press = createPdfPress();
  const app = createApp(
    {
      store,
      gateway,
      clock,
      chance,
      logger,
      press,
      enrol: (request, remoteAddress) => gateway.enrol(request, remoteAddress),
    },
    {
      version: softwareVersion,
      publicUrl: () => config.publicUrl ?? ownUrl(),
      trustedProxies: config.trustProxy,
      dashboardFolder: config.dashboardFolder,
      limits: {
        bodyBytesMax: config.bodyBytesMax,
        handlerTimeoutMs: requestTimeoutMs,
        requestsPerTokenPerMinute: config.requestsPerTokenPerMinute,
        failedSignInsPerAddressPerMinute: config.failedSignInsPerMinute,
      },
      isStopping: () => stopped !== undefined,
    },
  );
  const server = await listen(
    {
      fetch: (request, env) => app.fetch(request, env),
      upgrade: (request, socket, head) => gateway.handleUpgrade(request, socket, head),
    },
    {
      host: config.host,
      port: config.port,
      requestTimeoutMs,
      connectionsMax: config.sitesConnectedMax + httpConnectionsMax,
    },
  );
  port = server.port;
  const stop = async (): Promise<void> => {
    logger.info('stopping');
    // Sites first hear that we go and what they sent is stored; requests under way end meanwhile.
    await Promise.all([server.stop(config.stopTimeoutSeconds * 1000), gateway.stop()]);
    await press.close();
    await store.close();
    logger.info('stopped');
  };
  logger.info({ url: ownUrl(), version: softwareVersion }, 'listening');
  return { url: ownUrl(), port, store, gateway, stop: () => (stopped ??= stop()) };
}

/** Connections of people and programs, beside those of sites. */
const httpConnectionsMax = 1_000;
