/** The command line of rollcall-site: commands, options, help. What each command does is in the file of its name. */
import { describeConfig } from '@rollcall/shared/node/environment.ts';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { readSiteConfig, type SiteConfig, type Surroundings, systemFolders } from '../config.ts';
import { programVersion } from '../software.ts';
import { listEndpoints, removalReasons, removeEndpoint, showJoinCode } from './endpoints.ts';
import type { EnrolOptions } from './enrol.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { OperatorClient } from './operator-client.ts';
import type { Print } from './print.ts';
import { correctReport, exportReport, listReports, showReport } from './report.ts';
import { statusCommand } from './status.ts';
import { verifyCommand, type VerifyOptions } from './verify.ts';

export type ProgramParts = Surroundings & {
  print: Print;
  /** Takes what must be seen whatever is done with the output. */
  warn: Print;
  /** Takes the exit code of the command that ran. */
  done: (exitCode: ExitCode) => void;
};

const examples = `
Examples:
  Enrol this machine, the token in a file so that no process list shows it:
    rollcall-site enrol --server https://rollcall.example.com --token-file token.txt
  Run the service, its local API open to the site's network:
    rollcall-site run --local-api-host 0.0.0.0
  See how things stand:
    rollcall-site status
  Show a month's Deployed Agents Report, and hand out a file that proves it:
    rollcall-site report show 2026-03
    rollcall-site report export 2026-03 -o march.jsonl
    rollcall-site verify march.jsonl

Exit codes:
  0  done
  1  failed; standard error says why and what to do
  2  verify, report show: not what the site wrote and signed
  3  status: the service does not run

Every option of the settings can also be set by a variable (--data-folder: ROLLCALL_SITE_DATA_FOLDER) or in the
configuration file (dataFolder = "…"). Flags win over variables, variables over the file.`;

/** Builds the program; `parseAsync` runs it. Commander itself ends the process after --help, --version and wrong usage. */
export function createProgram(parts: ProgramParts): Command {
  const { print, done } = parts;
  const program = new Command('rollcall-site')
    .description('The Site Manager of Rollcall: counts the backup agents deployed at a site and reports them.')
    .version(programVersion, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option(
      '--data-folder <folder>',
      `where ledger and identity lie (default: ${systemFolders(parts.platform, parts.environment).data})`,
    )
    .option('--config <file>', 'configuration file (TOML)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (default: info)')
    .option('--print-config', 'show the settings as they come out, and do nothing else')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText('after', examples);

  /** An action with the settings read; `--print-config` shows them instead. */
  const action =
    <Arguments extends unknown[]>(
      act: (config: SiteConfig, ...given: Arguments) => Promise<ExitCode | undefined> | ExitCode,
    ) =>
    async (...given: [...Arguments, Command]): Promise<void> => {
      const command = given.at(-1) as Command;
      const flags = command.optsWithGlobals();
      const config = readSiteConfig(flags, parts);
      if (flags['printConfig'] === true) {
        print(describeConfig(config));
        return done(exitCodes.done);
      }
      const exitCode = await act(config, ...(given.slice(0, -1) as Arguments));
      if (exitCode !== undefined) done(exitCode);
    };

  program
    .command('enrol')
    .summary('make this machine a site of an aggregator')
    .description(
      'Makes this machine a site: makes a key pair, shows the enrolment token to the aggregator, begins the ledger.\nRepeating it after a failure is safe.',
    )
    .option('--server <url>', 'address of the aggregator')
    .option('--token <token>', 'enrolment token; better --token-file, or the variable ROLLCALL_ENROLMENT_TOKEN')
    .option('--token-file <file>', 'file that holds the enrolment token')
    .option('--site-name <name>', 'name of the site, where the token makes new sites')
    .option('--time-zone <zone>', 'IANA time zone of the site, where the token makes new sites')
    .option('--again', 'enrol a known site once more, with a new key and a new token')
    .action(
      action(async (config, options: EnrolOptions) => {
        // Loaded here, like the service below: no other command needs what it brings.
        const { enrolCommand } = await import('./enrol.ts');
        return enrolCommand(config, options, parts.environment, parts);
      }),
    );

  program
    .command('run')
    .summary('run the service')
    .description('Runs the Site Manager until it is told to stop (Ctrl-C, SIGTERM). Logs go to standard error.')
    .option('--aggregator-url <url>', 'address of the aggregator, if it moved since enrolment')
    .option(
      '--local-api-host <address>',
      'address the local API listens on; 0.0.0.0 for the whole network (default: 127.0.0.1)',
    )
    .option('--local-api-port <port>', 'port of the local API; 0 for any free one (default: 7411)')
    .action(
      action(async (config) => {
        const { runCommand } = await import('./run.ts');
        await runCommand(config);
        return undefined;
      }),
    );

  program
    .command('status')
    .summary('show how the site stands')
    .description(
      'Shows contact, keys, counts, and what needs to be seen to; from the disk when the service does not run.',
    )
    .option('--json', 'for machines')
    .action(action((config, options: { json?: boolean }) => statusCommand(config.dataFolder, options, print)));

  addEndpoints(program, print, action);
  addReports(program, print, action);

  program
    .command('verify')
    .summary('check exported files')
    .description(
      'Checks that each exported file is what the site wrote: every byte, the chain of entries, every signature; the peaks and the evidence of every report are recounted from the entries. How many agents were active at the close of a month is the word of the site, since check-ins are not in its ledger. Names the first wrong entry otherwise. Needs neither network nor data folder.',
    )
    .argument('<files...>', 'exported files, or - for standard input')
    .option('--public-key <key>', 'the key of the site as the portal shows it')
    .option('--json', 'for machines')
    .action(async (files: string[], options: VerifyOptions) => done(await verifyCommand(files, options, print)));

  program
    .command('confirm-clock')
    .summary("vouch for this machine's clock")
    .description(
      'After a long time off the service waits for the aggregator to confirm the time, and a machine that was paused looks as if somebody had set its clock. Where there is no contact, look at the clock, set it right if need be, and confirm it with this.',
    )
    .action(
      action(async (config) => {
        await new OperatorClient(config.dataFolder).confirmClock();
        print('confirmed: the service goes on by the clock of this machine');
        return exitCodes.done;
      }),
    );

  // Last, since commands take over what is set before them: only here do excess arguments reach the action, which knows what they
  // were meant for. Every command refuses them.
  program.allowExcessArguments().action(async (_options: object, command: Command) => {
    const [word] = command.args;
    if (word !== undefined) return command.error(`error: there is no command ${JSON.stringify(word)}`);
    if (command.opts()['printConfig'] === true) return action(() => exitCodes.done)(command);
    return command.help({ error: true });
  });
  return program;
}

/** A word after a group that lists by default is meant for a command that there is not, unless `list` was said. */
function refuseWords(list: Command): void {
  const { args, parent } = list;
  const [word] = args;
  if (word === undefined || parent === null) return;
  if (parent.args[0] === list.name()) list.error(`error: too many arguments for 'list': ${args.join(' ')}`);
  const names = parent.commands.map((command) => command.name()).join(', ');
  list.error(`error: there is no command ${JSON.stringify(`${parent.name()} ${word}`)}; it has ${names}`);
}

/** Wraps a command's action with the reading of the settings. */
type WithConfig = <Arguments extends unknown[]>(
  act: (config: SiteConfig, ...given: Arguments) => Promise<ExitCode | undefined> | ExitCode,
) => (...given: [...Arguments, Command]) => Promise<void>;

function addEndpoints(program: Command, print: Print, action: WithConfig): void {
  const endpoints = program
    .command('endpoints')
    .summary('list, remove and admit endpoints')
    .description('The roll: every endpoint of the site.');
  endpoints
    .command('list', { isDefault: true })
    .description('list the endpoints and their agents')
    .allowExcessArguments()
    .hook('preAction', refuseWords)
    .option('--json', 'for machines')
    .action(action((config, options: { json?: boolean }) => listEndpoints(config.dataFolder, options, print)));
  endpoints
    .command('remove')
    .description('take the agent of an endpoint off the roll, from now on')
    .argument('<endpoint>', 'identifier of the endpoint (ep_…)')
    .addOption(new Option('--reason <reason>', 'why').choices(removalReasons).makeOptionMandatory())
    .action(
      action((config, endpoint: string, options: { reason: (typeof removalReasons)[number] }) =>
        removeEndpoint(config.dataFolder, endpoint, options.reason, print),
      ),
    );
  endpoints
    .command('join-code')
    .description('show the code that managed agents register with')
    .action(action((config) => showJoinCode(config.dataFolder, print)));
}

function addReports(program: Command, print: Print, action: WithConfig): void {
  const report = program
    .command('report')
    .summary('list, show, export and correct monthly reports')
    .description('The Deployed Agents Reports of the site.');
  const month = new Argument('<month>', 'such as 2026-03');
  report
    .command('list', { isDefault: true })
    .description('list the reports there are')
    .allowExcessArguments()
    .hook('preAction', refuseWords)
    .option('--json', 'for machines')
    .action(action((config, options: { json?: boolean }) => listReports(config.dataFolder, options, print)));
  report
    .command('show')
    .description("show a month's report with the endpoints that made its peaks")
    .addArgument(month)
    .option('--revision <number>', 'an earlier revision of a corrected report', readRevision)
    .option('--json', 'for machines')
    .action(
      action((config, of: string, options: { revision?: number; json?: boolean }) =>
        showReport(config.dataFolder, of, options, print),
      ),
    );
  report
    .command('export')
    .description('write the ledger up to a report into a file that anyone can verify')
    .argument('[month]', 'such as 2026-03')
    .option('--all', 'the whole ledger')
    .option('-o, --output <file>', 'file to write (default: standard output)')
    .action(
      action((config, of: string | undefined, options: { all?: boolean; output?: string }) =>
        exportReport(config.dataFolder, of, options, print),
      ),
    );
  report
    .command('correct')
    .description('make a new revision of a report that leaves endpoints out')
    .addArgument(month)
    .requiredOption('--exclude <endpoint...>', 'endpoints to leave out (ep_…)')
    .requiredOption('--reason <text>', 'why, for whoever reads the report')
    .action(
      action((config, of: string, options: { exclude: string[]; reason: string }) =>
        correctReport(config.dataFolder, of, options, print),
      ),
    );
}

function readRevision(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a number from 1 on.');
  return Number(text);
}
