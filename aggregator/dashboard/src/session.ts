// The API token of this tab. Kept in the session storage alone: it ends with the tab, no other tab and no address has it.

const storageKey = 'rollcall.token';

/** What an HTTP header can carry, and nothing that a token of ours would not be made of. */
const tokenPattern = /^[\x21-\x7e]{8,400}$/;

/** The token in a text somebody pasted, or null when there cannot be one in it. */
export function tokenIn(text: string): string | null {
  const token = text.trim();
  return tokenPattern.test(token) ? token : null;
}

export function storedToken(): string | null {
  try {
    return tokenIn(sessionStorage.getItem(storageKey) ?? '');
  } catch {
    // A browser that forbids storage: the token lives until the page is loaded again.
    return null;
  }
}

export function storeToken(token: string): void {
  try {
    sessionStorage.setItem(storageKey, token);
  } catch {
    // As above; signing in works all the same.
  }
}

export function forgetToken(): void {
  try {
    sessionStorage.removeItem(storageKey);
  } catch {
    // Nothing was stored.
  }
}
