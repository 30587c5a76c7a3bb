/** What travels with a request through the HTTP layer, and what the routes work with. */
import type { HttpBindings } from '@hono/node-server';
import type { ApiToken } from '@rollcall/shared/api/token.ts';
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import type { Context } from 'hono';
import type { Scope } from '../core/scope.ts';
import type { PdfPress } from '../delivery/pdf-press.ts';
import type { GatewayPort } from '../gateway/gateway-port.ts';
import type { OrganisationRecord, Store } from '../store/store.ts';

/** Who asks: a token, the organisation it acts for, and that organisation's place in the tenant tree. */
export type Caller = { scope: Scope; organisation: OrganisationRecord; token: ApiToken };

/** What the routes work with. */
export type RouteDeps = { store: Store; gateway: GatewayPort; clock: Clock; chance: Chance; press: PdfPress };

export type AppEnv = {
  /** Node's request and response; absent where a test asks the app without a server. */
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    /** The peer's address, as far as it is known. */
    remoteAddress: string;
    /** The path template of the operation, for the log: real paths hold identifiers. */
    operationPath: string;
    /** Headers that go onto the answer, whatever it will be. */
    answerHeaders: Record<string, string>;
  };
};
export type AppContext = Context<AppEnv>;
