/** The configuration of `rollcall serve`: every setting with its limits and default. Where settings come from is shared/node/environment.ts. */
import { fileURLToPath } from 'node:url';
import { type ConfigSources, describeConfig, readConfig } from '@rollcall/shared/node/environment.ts';
import { logLevels } from '@rollcall/shared/node/logger.ts';
import { z } from 'zod';

/** A whole number as a flag, a variable or a file writes it. */
const whole = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .union(
      [
        z.number(),
        z
          .string()
          .regex(/^\d{1,12}$/)
          .transform(Number),
      ],
      { error },
    )
    .pipe(z.int({ error }).min(min, { error }).max(max, { error }));
};

/** `sqlite:PATH`, or an address of PostgreSQL; also what `rollcall setup` takes. */
export const DatabaseUrl = z
  .string()
  .regex(
    /^(sqlite:.+|postgres(ql)?:\/\/.+)$/s,
    'must be sqlite:PATH, such as sqlite:./data/rollcall.db, or postgres://USER:PASSWORD@HOST/DATABASE',
  );

/** An address below which there is nothing: what Site Managers and people put in front of our paths. */
const BaseUrl = z
  .url({ protocol: /^https?$/, error: 'must be an address such as https://rollcall.example.com' })
  .refine(
    (text) =>
      URL.canParse(text) && new URL(text).username === '' && new URL(text).search === '' && new URL(text).hash === '',
    'must hold no user, query or fragment',
  )
  .transform((text) => text.replace(/\/+$/, ''));

export const AggregatorConfig = z.object({
  database: DatabaseUrl.default('sqlite:./data/rollcall.db'),
  host: z.string().min(1).max(253).default('127.0.0.1'),
  /** 0 takes any free one. */
  port: whole(0, 65_535).default(7400),
  /** How the world reaches us, where that is not host and port: behind a proxy that speaks TLS. */
  publicUrl: BaseUrl.optional(),
  /** Length of a lease; 14 days unless told otherwise. */
  leaseHours: whole(1, 24 * 366).default(336),
  logLevel: z.enum(logLevels).default('info'),
  /** Proxies of ours in front, each of which appends to X-Forwarded-For. */
  trustProxy: whole(0, 10).default(0),
  dashboardFolder: z
    .string()
    .min(1)
    .default(fileURLToPath(new URL('../dashboard/dist', import.meta.url))),
  /** Most sockets of sites on this node; one more is told 503 and when to come back. */
  sitesConnectedMax: whole(1, 1_000_000).default(20_000),
  /** Most of them from one address: all sites behind one customer's firewall share it. */
  sitesPerAddressMax: whole(1, 1_000_000).default(256),
  /** Sockets opened, and enrolments asked for, from one address a minute: a roll-out behind one firewall shares these, too. */
  handshakesPerMinute: whole(1, 1_000_000).default(300),
  enrolmentsPerMinute: whole(1, 1_000_000).default(60),
  heartbeatSeconds: whole(1, 300).default(30),
  bodyBytesMax: whole(1024, 16 * 1024 * 1024).default(256 * 1024),
  /** For a request to arrive whole, and for its answer to be made. */
  requestTimeoutSeconds: whole(1, 600).default(30),
  /** For what is under way to end at a stop, before it is cut. */
  stopTimeoutSeconds: whole(1, 600).default(10),
  requestsPerTokenPerMinute: whole(1, 1_000_000).default(600),
  failedSignInsPerMinute: whole(1, 100_000).default(20),
});
export type AggregatorConfig = z.infer<typeof AggregatorConfig>;

/** @throws RollcallError `CONFIG_INVALID` that lists every problem at once. */
export const readAggregatorConfig = (
  sources: Pick<ConfigSources, 'flags' | 'environment' | 'filePath'>,
): AggregatorConfig => readConfig(AggregatorConfig, { ...sources, prefix: 'ROLLCALL_' }, ['database']);

/** The configuration as text. An address of PostgreSQL holds a password and is not shown. */
export const describeAggregatorConfig = (config: AggregatorConfig): string =>
  describeConfig(config, config.database.startsWith('sqlite:') ? [] : ['database']);
