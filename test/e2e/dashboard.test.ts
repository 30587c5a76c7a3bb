// The dashboard in a real browser, served by a real aggregator with a real Site Manager behind it.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserMissing, openBrowser } from '../support/browser.ts';
import { buildDashboard } from '../support/dashboard-build.ts';
import { Endpoint } from '../support/endpoint.ts';
import { inHouse } from '../support/house.ts';

const missing = browserMissing();
if (missing !== undefined) console.warn(missing);

describe.skipIf(missing !== undefined)('the dashboard', () => {
  let browser: Browser;

  beforeAll(async () => {
    buildDashboard();
    browser = await openBrowser();
  });

  afterAll(() => browser?.close());

  test('shows an MSP its site, lets nobody else in, and loads nothing from outside', async () => {
    await inHouse({ now: '2026-05-11T09:00:00.000Z' }, async (house) => {
      const tenants = await house.furnish('2026-05');
      const { seat } = await house.addSite(tenants, 'Bottega');
      await seat.startInContact();
      const { joinCode } = seat;
      await new Endpoint('SRV-1').join(seat.url, { joinCode }, 'server');
      await new Endpoint('PC-1').join(seat.url, { joinCode }, 'workstation');
      await new Endpoint('PC-2').join(seat.url, { joinCode }, 'workstation');
      await seat.untilSynchronised();

      const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
      const faults = faultsOf(page, house.aggregator.url);
      await page.goto(house.aggregator.url);
      await signIn(page, `rc_${'0'.repeat(40)}`);
      await page.getByText('not known').waitFor();
      expect(await page.getByRole('tab').count()).toBe(0);

      await signIn(page, tenants.msp.token);
      const row = page.getByRole('row').filter({ hasText: 'Bottega' });
      await row.waitFor();
      // The account's name comes with an answer of its own.
      await row.getByText('Panificio Rossi').waitFor();
      const text = (await row.innerText()).replace(/\s+/g, ' ');
      expect(text).toMatch(/\b1\b.*\b2\b/);
      expect(await page.getByRole('heading', { name: 'Brenta IT' }).count()).toBe(1);

      await page.getByRole('tab', { name: 'Deployed Agents Reports' }).click();
      await page.getByText('Bottega').first().waitFor();
      await page.setViewportSize({ width: 390, height: 844 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);

      expect(page.url()).not.toContain('rc_');
      // The refused token is the one answer that is not good news.
      expect(faults.filter((fault) => !fault.includes('401'))).toEqual([]);
    });
  });
});

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('API token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Errors of the page, refused or foreign loads, and breaches of its content security policy, as they come. */
function faultsOf(page: Page, origin: string): string[] {
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('blob:')) faults.push(`asked ${request.url()}`);
  });
  return faults;
}
