// A reader of a command's output may leave before the end, as `head` does: that is no failure, and nobody wants a stack.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const mainOf = (path: string): string => fileURLToPath(new URL(`../../${path}/src/main.ts`, import.meta.url));

test.each(['aggregator', 'agent'])('the command of the %s ends quietly when its reader has gone', async (name) => {
  const child = spawn(process.execPath, [mainOf(name), '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  // The pipe is closed long before the program has started to write.
  child.stdout.destroy();
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  expect({ code, errors }).toEqual({ code: 0, errors: '' });
});
