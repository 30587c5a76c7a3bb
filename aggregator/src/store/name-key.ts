/**
 * What makes two names the same. "Köln", "KÖLN" and "Ko¨ln" typed with a combining mark are one name to a person reading an
 * invoice, so names are unique, and sorted, by their composed form in lower case. Computed here and not in SQL: the two
 * engines fold case differently.
 */
export const nameKey = (name: string): string => name.normalize('NFC').toLowerCase();
