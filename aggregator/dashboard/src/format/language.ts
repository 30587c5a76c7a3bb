// The language the pages are written in.

/** British English, as everything else here; dates and amounts follow it, not the browser, or they would mix with the words. */
export const language = 'en-GB';
