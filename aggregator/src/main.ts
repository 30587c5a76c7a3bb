#!/usr/bin/env node
/** The process edge of `rollcall`: hands arguments, environment and streams to the command line, and leaves with its exit code. */

// Before anything is imported: node-cron reads the zone once, and our wake-ups are in UTC.
process.env['TZ'] = 'UTC';
const { runProgram } = await import('./cli/program.ts');

// Whoever reads may stop reading (`rollcall site list | head`); that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  out: process.stdout,
  err: process.stderr,
});
