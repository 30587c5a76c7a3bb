/** Headers that tell a browser what our pages may do: load from here alone, stand in no frame, leak no address. There is no CORS. */

/** The dashboard needs nothing inline and nothing from elsewhere; what else is served is JSON and files. */
const contentSecurityPolicy =
  "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const securityHeaders = (publicUrl: string): Record<string, string> => ({
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  // Told only where the world reaches us by TLS: over plain HTTP a browser ignores it, on localhost it would do harm.
  ...(publicUrl.startsWith('https:') ? { 'strict-transport-security': 'max-age=31536000' } : {}),
});
