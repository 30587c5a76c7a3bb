/**
 * `npm run bench`: measures what the product promises, each beside a floor measured in the same run, and fails when a bound
 * is not kept. `npm run bench -- --only ingest|memory|close` runs one.
 */
import { parseArgs } from 'node:util';
import { benchIdleMemory } from './idle-memory.ts';
import { benchIngest } from './ingest.ts';
import { benchMonthClose } from './month-close.ts';

const whole = (value: number): string => Math.round(value).toLocaleString('en');
let kept = true;

const verdict = (holds: boolean): string => {
  kept &&= holds;
  return holds ? 'kept' : 'NOT KEPT';
};

const benches = {
  ingest: async () => {
    console.log(
      'Durable ingest, 200 sockets: socket → validation → group commit → ack, beside bare prepared statements',
    );
    for (const { name, entries, commits, perSecond, floorPerSecond, ratio, ratioMin } of await benchIngest())
      console.log(
        `  ${name}: ${whole(entries)} entries in ${whole(commits)} commits, ${whole(perSecond)}/s; floor ${whole(floorPerSecond)}/s; ` +
          `ratio ${ratio.toFixed(2)}${ratioMin === null ? '' : ` (at least ${ratioMin}: ${verdict(ratio >= ratioMin)})`}`,
      );
  },
  memory: async () => {
    console.log('Idle memory of a connected site, beside an idle connection to a bare ws server');
    const { sites, site, bare, ratioMax } = await benchIdleMemory();
    const ratio = site.heap / bare.heap;
    console.log(
      `  ${whole(sites)} sites: ${whole(site.heap)} bytes each; bare ${whole(bare.heap)}; ratio ${ratio.toFixed(2)} (at most ${ratioMax}: ${verdict(ratio <= ratioMax)}); ` +
        `resident ${whole(site.resident)} and ${whole(bare.resident)}, ratio ${(site.resident / bare.resident).toFixed(2)}`,
    );
  },
  close: async () => {
    console.log('Closing a month: vendor → distributor → MSPs, one metered key and 50 agents a site');
    const { sizes, growth, growthMax } = await benchMonthClose();
    for (const { sites, agents, lines, seconds } of sizes)
      console.log(`  ${whole(sites)} sites, ${whole(agents)} agents: ${whole(lines)} lines in ${seconds.toFixed(2)} s`);
    console.log(
      `  growth against the number of sites ${growth.toFixed(2)} (at most ${growthMax}: ${verdict(growth <= growthMax)})`,
    );
  },
};

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const names = Object.keys(benches) as (keyof typeof benches)[];
const wanted = names.filter((name) => values.only === undefined || values.only === name);
if (wanted.length === 0) {
  console.error(`--only takes ${names.join(', ')}, not "${values.only}".`);
  process.exit(2);
}
for (const name of wanted) await benches[name]();
process.exitCode = kept ? 0 : 1;
