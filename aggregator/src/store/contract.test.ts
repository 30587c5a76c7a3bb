import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { billingContract } from './testing/billing-contract.ts';
import { ingestContract } from './testing/ingest-contract.ts';
import { reportContract } from './testing/report-contract.ts';
import { scopeContract } from './testing/scope-contract.ts';
import { sideBySideContract } from './testing/side-by-side-contract.ts';
import { siteContract } from './testing/site-contract.ts';
import {
  type OpenedStore,
  pgliteStore,
  postgresMissing,
  postgresStore,
  sqliteStore,
  type StoreEngine,
} from './testing/store-engines.ts';
import { tenancyContract } from './testing/tenancy-contract.ts';

const missing = await postgresMissing();
const engines: StoreEngine[] = [sqliteStore, pgliteStore, ...(missing === undefined ? [postgresStore] : [])];

describe.each(engines)('the store on $name', (engine) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await engine.open();
    await opened.store.migrate();
  }, 60_000);
  afterAll(async () => {
    await opened?.dispose();
  });
  const use = (): OpenedStore => opened;

  tenancyContract(use);
  siteContract(use);
  ingestContract(use);
  reportContract(use);
  billingContract(use);
  scopeContract(use);
  sideBySideContract(use);

  test('answers a ping, and can be migrated again', async () => {
    await opened.store.migrate();
    await expect(opened.store.ping()).resolves.toBeUndefined();
  });

  test('makes its signing key once', async () => {
    let made = 0;
    const pems = await Promise.all(
      Array.from({ length: 50 }, () => opened.store.secrets.privateKeyPem('lease-signing', () => `pem ${++made}`)),
    );
    expect(new Set(pems).size).toBe(1);
    expect(await opened.store.secrets.privateKeyPem('lease-signing', () => 'another')).toBe(pems[0]);
  });
});

test('the store on PostgreSQL', (context) => {
  if (missing !== undefined) {
    process.stderr.write(`\nNOT TESTED: the store on a real PostgreSQL: ${missing}\n`);
    context.skip(missing);
  }
  expect(engines).toContain(postgresStore);
});
