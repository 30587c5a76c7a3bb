/** The command line of `rollcall`: which commands there are, and how each ends. */
import { Command } from 'commander';
import { softwareVersion } from '../version.ts';
import { addAccountCommands } from './account-commands.ts';
import { addAgreementCommands } from './agreement-commands.ts';
import type { ProgramIo } from './admin-command.ts';
import { endOf, exitCodes } from './failure.ts';
import { addInvoiceCommands } from './invoice-commands.ts';
import { addKeyCommands } from './key-commands.ts';
import { addOrganisationCommands } from './organisation-commands.ts';
import { addReportCommands } from './report-commands.ts';
import { addServeCommand } from './serve-command.ts';
import { addSetupCommand } from './setup-command.ts';
import { addSiteCommands } from './site-commands.ts';
import { addTokenCommands } from './token-commands.ts';

/** Runs one command line; the exit code is 0 done, 1 refused or failed, 2 the command line is wrong. */
export async function runProgram(args: readonly string[], io: ProgramIo): Promise<number> {
  const program = new Command('rollcall')
    .description('Counts deployed backup agents at every site and turns each month into invoices.')
    .version(softwareVersion)
    .showHelpAfterError('(add --help for what there is)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => void io.out.write(text), writeErr: (text) => void io.err.write(text) })
    .configureHelp({ sortOptions: false })
    .addHelpText(
      'after',
      `
First start:
  $ rollcall setup --name "Backup AG" --country CH --currency CHF
  $ rollcall serve
  $ export ROLLCALL_TOKEN=rc_…
  $ rollcall organisation create --kind distributor --name "Nord GmbH" --country DE --currency EUR

Commands other than serve and setup speak to a running aggregator: --server or ROLLCALL_SERVER says where, ROLLCALL_TOKEN or
--token-file by which token. Exit codes: 0 done, 1 refused or failed, 2 wrong command line.`,
    );
  addServeCommand(program, io);
  addSetupCommand(program, io);
  addOrganisationCommands(program, io);
  addAccountCommands(program, io);
  addSiteCommands(program, io);
  addKeyCommands(program, io);
  addTokenCommands(program, io);
  addAgreementCommands(program, io);
  addReportCommands(program, io);
  addInvoiceCommands(program, io);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    const { code, text } = endOf(error);
    if (text !== '') io.err.write(text);
    return code;
  }
}
