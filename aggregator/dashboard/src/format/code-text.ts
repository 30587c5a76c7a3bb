// Codes as words.

/** `CLONE_SUSPECTED` as "Clone suspected"; for codes newer than this page too. */
export function codeText(code: string): string {
  const words = code.toLowerCase().replaceAll(/[_-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
