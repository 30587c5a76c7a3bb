/** `rollcall serve`: runs the aggregator until it is told to stop. */
import { logLevels, createLogger } from '@rollcall/shared/node/logger.ts';
import closeWithGrace from 'close-with-grace';
import { type Command, Option } from 'commander';
import { describeAggregatorConfig, readAggregatorConfig } from '../config.ts';
import type { ProgramIo } from './admin-command.ts';

/** Beyond the configured time for requests: closing sockets and the store. */
const stopSlackMs = 5_000;

export function addServeCommand(program: Command, io: ProgramIo): void {
  const command = program
    .command('serve')
    .description('run the aggregator')
    .option('--database <url>', 'sqlite:PATH or postgres://… (default: sqlite:./data/rollcall.db)')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port to listen on, 0 for any (default: 7400)')
    .option('--public-url <url>', 'how the world reaches it, where a proxy stands in front')
    .option('--lease-hours <hours>', 'how long a site may use its keys without contact (default: 336)')
    .addOption(new Option('--log-level <level>', 'how much to log (default: info)').choices(logLevels))
    .option('--trust-proxy <number>', 'proxies of yours in front whose X-Forwarded-For is believed (default: 0)')
    .option('--dashboard-folder <folder>', 'the built dashboard')
    .option('--sites-connected-max <number>', 'most sites connected at once (default: 20000)')
    .option('--sites-per-address-max <number>', 'most of them from one address (default: 256)')
    .option('--handshakes-per-minute <number>', 'sockets opened from one address; more are answered 429 (default: 300)')
    .option('--enrolments-per-minute <number>', 'from one address; more are answered 429 (default: 60)')
    .option('--heartbeat-seconds <seconds>', 'how often a site shows that it lives (default: 30)')
    .option('--body-bytes-max <bytes>', 'longest body of a request (default: 262144)')
    .option('--request-timeout-seconds <seconds>', 'for a request to arrive and to be answered (default: 30)')
    .option('--stop-timeout-seconds <seconds>', 'for what is under way at a stop (default: 10)')
    .option('--requests-per-token-per-minute <number>', 'more are answered 429 (default: 600)')
    .option('--failed-sign-ins-per-minute <number>', 'from one address; more are answered 429 (default: 20)')
    .option('--config <file>', 'TOML file with any of these settings, names as in --print-config')
    .option('--print-config', 'print the configuration as it would be used, and stop')
    .addHelpText(
      'after',
      `
Every setting is also a variable: --lease-hours is ROLLCALL_LEASE_HOURS. A flag counts before a variable, a variable before the file.
A password in --database can be read by others of the same machine: give it as ROLLCALL_DATABASE.

Examples:
  $ rollcall serve
  $ rollcall serve --database sqlite:/var/lib/rollcall/rollcall.db --public-url https://rollcall.example.com --trust-proxy 1
  $ ROLLCALL_DATABASE=postgres://rollcall:…@db/rollcall rollcall serve --host 0.0.0.0`,
    );
  command.action(async () => {
    const { config: filePath, printConfig, ...flags } = command.opts<{ config?: string; printConfig?: boolean }>();
    const config = readAggregatorConfig({ flags, environment: io.environment, filePath });
    if (printConfig === true) {
      io.out.write(`${describeAggregatorConfig(config)}\n`);
      return;
    }
    const logger = createLogger({ name: 'rollcall', level: config.logLevel });
    // The other commands start without loading the server.
    const { createAggregator } = await import('../aggregator.ts');
    let fatal: Error | undefined;
    let end = (): void => undefined;
    const onFatal = (error: Error): void => {
      fatal = error;
      end();
    };
    const aggregator = await createAggregator(config, { logger, onFatal });
    const delay = config.stopTimeoutSeconds * 1000 + stopSlackMs;
    const closer = closeWithGrace({ delay, logger: false }, async ({ err }) => {
      if (err !== undefined) logger.fatal({ err }, 'a defect: the aggregator stops');
      else if (fatal !== undefined) logger.fatal({ err: fatal }, 'the aggregator cannot go on: it stops');
      await aggregator.stop();
      // What is thrown here makes the process end with 1, so that whoever supervises it starts it again.
      if (fatal !== undefined) throw fatal;
    });
    end = () => closer.close();
    if (fatal !== undefined) end();
    io.out.write(`rollcall is at ${config.publicUrl ?? aggregator.url} (Ctrl-C stops it)\n`);
    if ((await aggregator.store.tenancy.vendor()) === undefined)
      io.err.write('This database has no vendor yet: make one with rollcall setup.\n');
  });
}
