#!/usr/bin/env node
/** The process edge of `rollcall`: hands arguments, environment and streams to the command line, and leaves with its exit code. */

// Before anything is imported: node-cron reads the zone once, and our wake-ups are in UTC.
process.env['TZ'] = 'UTC';
const { runProgram } = await import('./cli/program.ts');
process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  out: process.stdout,
  err: process.stderr,
});
