/** The settings of rollcall-site, where each comes from, and its default. The only reader of the environment beside main. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readConfig } from '@rollcall/shared/node/environment.ts';
import { logLevels } from '@rollcall/shared/node/logger.ts';
import { z } from 'zod';

const variablePrefix = 'ROLLCALL_SITE_';

/** Of the local API; a site opens it in its firewall once. */
const localApiPortDefault = 7411;

export const AggregatorUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
    abort: true,
    error: 'must be an address such as https://rollcall.example.com',
  })
  .refine(
    (text) => new URL(text).username === '' && new URL(text).password === '',
    'must not hold a user name or password',
  )
  .transform((text) => {
    const url = new URL(text);
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  });

const portWrong = 'must be a port from 0 to 65535 (0: any free one)';
const Port = z.preprocess(
  (given) => (typeof given === 'string' && /^\d{1,5}$/.test(given) ? Number(given) : given),
  z.int(portWrong).min(0, portWrong).max(65_535, portWrong),
);

const siteConfig = (dataFolderDefault: string) =>
  z.object({
    /** Where ledger and identity lie. */
    dataFolder: z
      .string()
      .min(1, 'must not be empty')
      .default(dataFolderDefault)
      .transform((folder) => resolve(folder)),
    /** Overrides the address given at enrolment, when the aggregator has moved. */
    aggregatorUrl: AggregatorUrl.optional(),
    /**
     * The address the local API listens on. This machine only unless told otherwise: opening a port to a network is the
     * operator's decision (`0.0.0.0` or one address of the site's network).
     */
    localApiHost: z.string().min(1, 'must not be empty').max(253).default('127.0.0.1'),
    localApiPort: Port.default(localApiPortDefault),
    logLevel: z.enum(logLevels).default('info'),
  });
export type SiteConfig = z.infer<ReturnType<typeof siteConfig>>;

export type Surroundings = { environment: Record<string, string | undefined>; platform: NodeJS.Platform };

/**
 * Reads the settings: flag, then variable, then file, then default.
 * @throws RollcallError `CONFIG_INVALID` (lists all problems), `CONFIG_UNREADABLE`.
 */
export function readSiteConfig(flags: Record<string, unknown>, { environment, platform }: Surroundings): SiteConfig {
  const folders = systemFolders(platform, environment);
  const named =
    typeof flags['config'] === 'string' ? flags['config'] : environment[`${variablePrefix}CONFIG`] || undefined;
  return readConfig(siteConfig(folders.data), {
    flags,
    environment,
    prefix: variablePrefix,
    filePath: named ?? (existsSync(folders.configFile) ? folders.configFile : undefined),
  });
}

/** Where things are kept when nobody says otherwise. */
export function systemFolders(
  platform: NodeJS.Platform,
  environment: Record<string, string | undefined>,
): { data: string; configFile: string } {
  if (platform === 'win32') {
    const folder = join(environment['ProgramData'] || 'C:\\ProgramData', 'Rollcall', 'Site Manager');
    return { data: folder, configFile: join(folder, 'site.toml') };
  }
  return { data: '/var/lib/rollcall-site', configFile: '/etc/rollcall/site.toml' };
}
