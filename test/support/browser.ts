/** Debian's Chromium, headless and without a word to the outside, for tests that look at a page as a person does. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

/** The sentence to print where there is no browser; undefined where there is one. */
export const browserMissing = (): string | undefined =>
  existsSync(executablePath)
    ? undefined
    : `SKIPPED: no Chromium at ${executablePath}; on Debian: apt-get install chromium`;

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
