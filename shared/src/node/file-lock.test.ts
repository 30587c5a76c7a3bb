import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdFile } from './file-lock.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-lock-'));
  path = join(folder, 'deep', 'a.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a file that is held', () => {
  it('is held once, and again after it was given back', () => {
    const release = holdFile(path);
    expect(release).toBeDefined();
    expect(holdFile(path)).toBeUndefined();
    expect(statSync(path).mode & 0o077).toBe(0);
    release?.();
    release?.();
    const again = holdFile(path);
    expect(again).toBeDefined();
    again?.();
  });

  it('is free when its holder was killed', async () => {
    const program = `import { holdFile } from ${JSON.stringify(new URL('./file-lock.ts', import.meta.url).href)};
      console.log(holdFile(${JSON.stringify(path)}) === undefined ? 'refused' : 'held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    expect(said.toString().trim()).toBe('held');
    expect(holdFile(path)).toBeUndefined();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const release = holdFile(path);
    expect(release).toBeDefined();
    release?.();
  });

  it('says what is wrong where it cannot be made', () => {
    expect(() => holdFile(folder)).toThrow(/cannot open the database/);
  });
});
