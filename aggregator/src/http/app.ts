/** The HTTP application: what every request passes through, and all routes. The listening server around it is server.ts. */
import { OpenAPIHono } from '@hono/zod-openapi';
import { base32Text } from '@rollcall/shared/domain/id.ts';
import { msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { refuse, RollcallError } from '@rollcall/shared/domain/problem.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { timeout } from 'hono/timeout';
import { accountRoutes } from './accounts-routes.ts';
import { agreementRoutes } from './agreements-routes.ts';
import { apiTokenRoutes } from './api-tokens-routes.ts';
import { createSignIn } from './auth.ts';
import { closeRoutes } from './closes-routes.ts';
import type { AppContext, AppEnv, RouteDeps } from './context.ts';
import { dashboardFiles } from './dashboard-files.ts';
import { type EnrolPort, enrolRoute } from './enrol-route.ts';
import { enrolmentTokenRoutes } from './enrolment-tokens-routes.ts';
import { healthRoute } from './health-route.ts';
import { invoiceRoutes } from './invoices-routes.ts';
import { keyRoutes } from './keys-routes.ts';
import { meRoute } from './me-route.ts';
import { openApiDocument } from './openapi.ts';
import { Api } from './operation.ts';
import { organisationRoutes } from './organisations-routes.ts';
import { isProblemCode, problemResponse, problemStatus } from './problem.ts';
import { createRateLimit } from './rate-limit.ts';
import { remoteAddressOf } from './remote-address.ts';
import { reportRoutes } from './reports-routes.ts';
import { securityHeaders } from './security-headers.ts';
import { siteRecordRoutes } from './site-records-routes.ts';
import { siteRoutes } from './sites-routes.ts';

export type AppLimits = {
  /** Longest body read, in bytes. */
  bodyBytesMax: number;
  /** Longest time an operation may take. */
  handlerTimeoutMs: number;
  requestsPerTokenPerMinute: number;
  failedSignInsPerAddressPerMinute: number;
};

export type AppOptions = {
  version: string;
  /** How the world reaches us. */
  publicUrl(): string;
  /** How many proxies of ours stand in front (remote-address.ts). */
  trustedProxies: number;
  /** Folder of the built dashboard. */
  dashboardFolder: string;
  limits: AppLimits;
  /** True once the program is on its way out. */
  isStopping(): boolean;
};

export type AppDeps = RouteDeps & { enrol: EnrolPort; logger: Logger };

/** Builds the application; each group of routes adds itself to `api`. */
export function createApp(deps: AppDeps, options: AppOptions): OpenAPIHono<AppEnv> {
  const { clock, logger, chance } = deps;
  const app = new OpenAPIHono<AppEnv>();

  app.use(async (context, next) => {
    const startedMs = msOfInstant(clock.now());
    context.set('requestId', base32Text(chance(16), 16));
    const { incoming } = context.env;
    context.set(
      'remoteAddress',
      incoming === undefined ? 'unknown' : remoteAddressOf(incoming, options.trustedProxies),
    );
    await next();
    const { headers } = context.res;
    for (const [name, value] of Object.entries({
      ...securityHeaders(options.publicUrl()),
      ...context.get('answerHeaders'),
    }))
      headers.set(name, value);
    headers.set('x-request-id', context.get('requestId'));
    const { method } = context.req;
    const { status } = context.res;
    // The path template and never the path: identifiers of customers have no place in a log line, and nor has what a stranger sends.
    const line = {
      requestId: context.get('requestId'),
      method,
      path: context.get('operationPath') ?? 'unmatched',
      status,
      ms: msOfInstant(clock.now()) - startedMs,
    };
    if (status >= 500) logger.warn(line, 'request');
    else logger.info(line, 'request');
  });
  app.use(async (_context, next) =>
    options.isStopping()
      ? problemResponse(refuse('STOPPING', 'the aggregator is stopping'), { 'retry-after': '5', connection: 'close' })
      : next(),
  );
  app.use(
    bodyLimit({
      maxSize: options.limits.bodyBytesMax,
      onError: () =>
        problemResponse(refuse('BODY_TOO_LARGE', `the body is longer than ${options.limits.bodyBytesMax} bytes`), {
          connection: 'close',
        }),
    }),
  );
  app.use(timeout(options.limits.handlerTimeoutMs));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (_context, methods) =>
        problemResponse(refuse('METHOD_NOT_ALLOWED', `this address takes ${methods.join(', ')}`), {
          allow: methods.join(', '),
        }),
    }),
  );
  app.onError((error, context) => errorResponse(error, context, logger));
  app.notFound((context) => problemResponse(refuse('NOT_FOUND', `there is nothing at this address`, hintOf(context))));

  const { limits } = options;
  const signIn = createSignIn(deps, {
    perToken: createRateLimit('token', limits.requestsPerTokenPerMinute),
    failures: createRateLimit('failed-sign-ins', limits.failedSignInsPerAddressPerMinute),
  });
  const api = new Api(app, clock, signIn);
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiToken', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'rc_…',
  });

  meRoute(api);
  organisationRoutes(api, deps);
  accountRoutes(api, deps);
  siteRoutes(api, deps);
  siteRecordRoutes(api, deps);
  keyRoutes(api, deps);
  enrolmentTokenRoutes(api, deps);
  apiTokenRoutes(api, deps);
  reportRoutes(api, deps);
  agreementRoutes(api, deps);
  closeRoutes(api, deps);
  invoiceRoutes(api, deps);
  enrolRoute(api, deps.enrol);
  healthRoute(api, deps.store, options.version);

  let document: string | undefined;
  app.get('/api/v1/openapi.json', (context) => {
    context.set('operationPath', '/api/v1/openapi.json');
    document ??= JSON.stringify(openApiDocument(app, options.version, options.publicUrl()));
    return context.body(document, 200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' });
  });
  dashboardFiles(app, options.dashboardFolder);
  return app;
}

const hintOf = (context: AppContext): string | undefined =>
  context.req.path.startsWith('/api') ? 'the addresses of the API are in /api/v1/openapi.json' : undefined;

/** What a handler threw, logged once, told without its insides. */
function errorResponse(error: Error, context: AppContext, logger: Logger): Response {
  const requestId = context.get('requestId');
  if (error instanceof HTTPException && error.status === 504)
    return problemResponse(
      refuse('HANDLER_TIMEOUT', 'the answer took too long to make', 'try again, with a smaller page if it is a list'),
    );
  if (error instanceof RollcallError && isProblemCode(error.code)) {
    const status = problemStatus[error.code];
    if (status >= 500) logger.error({ requestId, err: error }, error.message);
    return problemResponse(refuse(error.code, error.message, error.hint), status === 503 ? { 'retry-after': '5' } : {});
  }
  logger.error({ requestId, err: error }, 'a request failed');
  return problemResponse(
    refuse(
      'INTERNAL',
      'the aggregator failed on this request',
      `quote the request number ${requestId} to whoever runs it`,
    ),
  );
}
