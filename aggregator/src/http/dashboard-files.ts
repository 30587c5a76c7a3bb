/** Serves the built dashboard: its page, its hashed assets. Building it is the dashboard package's affair. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { serveStatic } from '@hono/node-server/serve-static';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { refuse } from '@rollcall/shared/domain/problem.ts';
import type { AppEnv } from './context.ts';
import { problemResponse } from './problem.ts';

/** Names under /assets carry a hash of their content; the page that names them is asked for anew each time. */
const cacheOf = (path: string): string =>
  path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';

export function dashboardFiles(app: OpenAPIHono<AppEnv>, folder: string): void {
  if (!existsSync(join(folder, 'index.html'))) {
    app.get('/', () =>
      problemResponse(
        refuse(
          'DASHBOARD_NOT_BUILT',
          'the aggregator runs, its dashboard was not built',
          'build the dashboard package, or use the API at /api/v1',
        ),
      ),
    );
    return;
  }
  const files = serveStatic<AppEnv>({ root: folder, precompressed: true });
  for (const path of ['/', '/favicon.svg', '/assets/*']) {
    app.get(path, async (context, next) => {
      context.set('operationPath', '(dashboard)');
      // Where there is no such file it passes on, and what comes back is not a response of its own.
      const found = await files(context, next);
      if (!(found instanceof Response)) return;
      found.headers.set('cache-control', cacheOf(context.req.path));
      return found;
    });
  }
}
