#!/usr/bin/env node
/** Edge of the process: arguments, environment, standard streams, exit code. Everything else is below `cli/`. */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { exitCodes } from './cli/exit-codes.ts';
import { createProgram } from './cli/program.ts';

// Whoever reads may stop reading (`rollcall-site report list | head`); that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(exitCodes.done);
});

const program = createProgram({
  environment: process.env,
  platform: process.platform,
  print: (text) => process.stdout.write(`${text}\n`),
  warn: (text) => process.stderr.write(`rollcall-site: ${text}\n`),
  done: (exitCode) => {
    process.exitCode = exitCode;
  },
});

try {
  await program.parseAsync(process.argv);
} catch (error) {
  // An error of the program itself crashes with its stack; what the user can do something about is told in words.
  if (!(error instanceof RollcallError)) throw error;
  process.stderr.write(
    `rollcall-site: ${error.message}\n${error.hint === undefined ? '' : `  what to do: ${error.hint}\n`}`,
  );
  process.exitCode = exitCodes.failed;
}
