/** Where `npm start` keeps everything, and on which ports its programs listen. */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Place = {
  folder: string;
  database: string;
  aggregatorPort: number;
  aggregatorUrl: string;
  /** One data folder and port of a local API for each site of the story, in its order. */
  sites: { dataFolder: string; localApiPort: number; localApiUrl: string; logFile: string }[];
  aggregatorLogFile: string;
  /** Written last: the first run came to its end. */
  madeFile: string;
  credentialFile: string;
  tokenFile(organisation: 'vendor' | 'distributor' | 'msp'): string;
  documents: string;
};

export const defaultPort = 7400;
/** Beside the sources, and not under version control. */
export const defaultDataFolder = fileURLToPath(new URL('../../data/', import.meta.url));

/** The local APIs take the ports after the aggregator's. */
export function placeFor(dataFolder: string, port: number, siteCount: number): Place {
  const folder = resolve(dataFolder);
  const sites = Array.from({ length: siteCount }, (_, index) => {
    const localApiPort = port + 1 + index;
    return {
      dataFolder: join(folder, `site-${index + 1}`),
      localApiPort,
      localApiUrl: `http://127.0.0.1:${localApiPort}`,
      logFile: join(folder, `site-${index + 1}.log`),
    };
  });
  return {
    folder,
    database: `sqlite:${join(folder, 'rollcall.db')}`,
    aggregatorPort: port,
    aggregatorUrl: `http://127.0.0.1:${port}`,
    sites,
    aggregatorLogFile: join(folder, 'aggregator.log'),
    madeFile: join(folder, 'made.json'),
    credentialFile: join(folder, 'this-machine.credential'),
    tokenFile: (organisation) => join(folder, `${organisation}.token`),
    documents: join(folder, 'documents'),
  };
}
