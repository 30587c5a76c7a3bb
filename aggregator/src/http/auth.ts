/** Signing in by API token: who asks. What a caller may do is core/permission.ts; what it sees is the store's, by `Scope`. */
import type { ApiToken } from '@rollcall/shared/api/token.ts';
import { type Instant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { type Refusal, refuse } from '@rollcall/shared/domain/problem.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';
import { isApiTokenText } from '../core/token-text.ts';
import type { AppContext, RouteDeps } from './context.ts';
import type { SignIn } from './operation.ts';
import type { RateLimit } from './rate-limit.ts';
import { limitKey } from './remote-address.ts';

/** `lastUsedAt` is written at most this often; a token that works all day is not a write each request. */
const touchAfterMs = 60_000;

const hint = 'send Authorization: Bearer rc_…, a token of your organisation';

/**
 * A sign-in over the store's tokens. The store is asked by the SHA-256 of what was sent: how long the look-up takes depends on bits that
 * the sender cannot choose, so it tells nothing about any token that exists.
 */
export function createSignIn(
  { store, clock }: Pick<RouteDeps, 'store' | 'clock'>,
  limits: { perToken: RateLimit; failures: RateLimit },
): SignIn {
  return async (context) => {
    const address = limitKey(context.get('remoteAddress'));
    const failed = await limits.failures.look(address);
    if (!failed.ok) {
      context.set('answerHeaders', failed.headers);
      return {
        ...refuse('RATE_LIMITED', 'too many failed sign-ins from this address'),
        retryAfterSeconds: failed.retryAfterSeconds,
      };
    }
    const text = bearerOf(context);
    if (text === undefined)
      return unauthenticated(context, refuse('UNAUTHENTICATED', 'there is no API token in the request', hint));
    const found = isApiTokenText(text) ? await store.tokens.apiTokenByHash(nodeDigest.sha256(text)) : undefined;
    const now = clock.now();
    const ended = found === undefined ? undefined : endOf(found.token, now);
    if (found === undefined || ended !== undefined) {
      await limits.failures.consume(address);
      return unauthenticated(context, ended ?? refuse('UNAUTHENTICATED', 'the API token is not known here', hint));
    }
    const { token, organisation } = found;
    const consumed = await limits.perToken.consume(token.id);
    context.set('answerHeaders', consumed.headers);
    if (!consumed.ok)
      return {
        ...refuse('RATE_LIMITED', 'too many requests with this API token'),
        retryAfterSeconds: consumed.retryAfterSeconds,
      };
    if (token.lastUsedAt === null || msOfInstant(now) - msOfInstant(token.lastUsedAt) >= touchAfterMs)
      await store.tokens.touchApiToken(token.id, now);
    return {
      ok: true,
      caller: {
        scope: { organisationId: organisation.id, kind: organisation.kind, path: organisation.path },
        organisation,
        token,
      },
    };
  };
}

/** Why a token that exists is no longer good. */
function endOf(
  { revokedAt, expiresAt }: ApiToken,
  now: Instant,
): Refusal<'TOKEN_REVOKED' | 'API_TOKEN_EXPIRED'> | undefined {
  if (revokedAt !== null) return refuse('TOKEN_REVOKED', 'the API token was revoked', hint);
  return expiresAt !== null && expiresAt <= now
    ? refuse('API_TOKEN_EXPIRED', `the API token ran out at ${expiresAt}`, hint)
    : undefined;
}

function bearerOf(context: AppContext): string | undefined {
  const header = context.req.header('authorization');
  return header === undefined ? undefined : (/^Bearer +(\S{1,200})$/i.exec(header)?.[1] ?? '');
}

/** RFC 9110, section 15.5.2: a 401 names the scheme. */
function unauthenticated<Refused>(context: AppContext, refusal: Refused): Refused {
  context.set('answerHeaders', { 'www-authenticate': 'Bearer realm="rollcall"' });
  return refusal;
}
