/** Builds the dashboard's pages where the aggregator looks for them; the sources are few, so nobody asks whether it is needed. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';

const buildTimeoutMs = 120_000;

export function buildDashboard(): void {
  const folder = fileURLToPath(new URL('../../aggregator/dashboard/', import.meta.url));
  const build = spawnSync(process.execPath, ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: buildTimeoutMs,
  });
  if (build.status === 0) return;
  const why = build.stderr || build.stdout || String(build.error);
  throw new RollcallError('BUILD_FAILED', `The dashboard could not be built:\n${why}`, { retryable: false });
}
