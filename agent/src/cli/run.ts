/** `rollcall-site run`: the service. Starts the Site Manager and its local API, and ends both in order on a signal. */
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { systemChance } from '@rollcall/shared/node/crypto.ts';
import { createLogger } from '@rollcall/shared/node/logger.ts';
import closeWithGrace from 'close-with-grace';
import type { SiteConfig } from '../config.ts';
import { joinCode, newOperatorToken, readIdentity, removeLocalApiFile, writeLocalApiFile } from '../identity.ts';
import { createLocalApp } from '../local-api/app.ts';
import { listenLocally, type LocalServer } from '../local-api/server.ts';
import { createSiteManager } from '../site-manager.ts';
import { software } from '../software.ts';

/** Time for an orderly end; service managers wait 90 s (systemd) and 20 s (Windows) before they kill. */
const closeDelayMs = 15_000;

/**
 * Runs until a signal comes or the Site Manager cannot go on; the process then ends by itself.
 * @throws RollcallError when it cannot be started.
 */
export async function runCommand(config: SiteConfig): Promise<void> {
  const { dataFolder } = config;
  const { site, signer } = readIdentity(dataFolder);
  const logger = createLogger({ name: 'rollcall-site', level: config.logLevel });
  let fatal: Error | undefined;
  let end = (): void => undefined;
  const manager = await createSiteManager(
    {
      dataFolder,
      aggregatorUrl: config.aggregatorUrl ?? site.aggregatorUrl,
      aggregatorPublicKeys: site.aggregatorPublicKeys,
      joinCode: joinCode(dataFolder),
      software,
    },
    {
      clock: systemClock,
      chance: systemChance,
      logger,
      signer,
      onFatal: (error) => {
        fatal = error;
        end();
      },
    },
  );
  let server: LocalServer;
  try {
    const operatorToken = newOperatorToken();
    const app = createLocalApp({ site: manager, operatorToken, clock: systemClock, logger });
    server = await listenLocally(app, { host: config.localApiHost, port: config.localApiPort }, systemClock);
    writeLocalApiFile(dataFolder, { url: server.url, pid: process.pid, operatorToken });
  } catch (error) {
    await manager.stop();
    throw error;
  }
  const closer = closeWithGrace({ delay: closeDelayMs, logger }, async ({ err, signal }) => {
    if (err !== undefined) logger.fatal({ err }, 'the Site Manager ends because of an error of its own');
    else if (fatal !== undefined) logger.fatal({ err: fatal }, 'the Site Manager cannot go on');
    else logger.info({ signal }, 'the Site Manager stops');
    removeLocalApiFile(dataFolder);
    await server.close();
    await manager.stop();
    // What is thrown here makes the process end with 1, so that the service manager starts it again.
    if (fatal !== undefined) throw fatal;
  });
  end = () => closer.close();
  if (fatal !== undefined) end();
  logger.info(
    { localApi: server.url, siteId: site.siteId, siteName: site.siteName, dataFolder, software },
    'the Site Manager runs',
  );
}
