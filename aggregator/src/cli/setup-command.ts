/** `rollcall setup`: the first start. Works on the database itself, since nobody can sign in before there is a token. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import type { ApiToken } from '@rollcall/shared/api/token.ts';
import { idFrom, idRandomBytes } from '@rollcall/shared/domain/id.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import { nodeDigest, systemChance } from '@rollcall/shared/node/crypto.ts';
import { type Command, Option } from 'commander';
import { readAggregatorConfig } from '../config.ts';
import { apiTokenTextFrom, tokenRandomBytes } from '../core/token-text.ts';
import type { Store } from '../store/store.ts';
import { type ProgramIo, repeatable } from './admin-command.ts';
import { UsageError } from './failure.ts';
import { createPrinter } from './printer.ts';

type Given = {
  name?: string;
  country?: string;
  currency?: string;
  taxId?: string;
  address?: string[];
  database?: string;
  tokenFile?: string;
  newToken?: boolean;
  json?: boolean;
};

export function addSetupCommand(program: Command, io: ProgramIo): void {
  const command = program
    .command('setup')
    .description('make the vendor, the root of the tenant tree, and its first API token')
    .option('--name <name>', "the vendor's name")
    .option('--country <code>', 'ISO 3166-1, such as CH')
    .option('--currency <code>', 'ISO 4217, such as CHF')
    .option('--tax-id <id>', 'as printed on invoices')
    .addOption(repeatable('--address <line>', 'a line of its postal address; may be repeated'))
    .option('--database <url>', 'sqlite:PATH or postgres://… (default: sqlite:./data/rollcall.db)')
    .option('--token-file <file>', 'write the token to this new file instead of printing it')
    .addOption(
      new Option('--new-token', 'there is a vendor, and its tokens are lost: make another').conflicts([
        'name',
        'country',
        'currency',
        'taxId',
        'address',
      ]),
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Whoever can write to the database may do this; no token is needed. The token is shown once and cannot be shown again.

Examples:
  $ rollcall setup --name "Backup AG" --country CH --currency CHF
  $ rollcall setup --new-token --token-file ./vendor.token`,
    );
  command.action(async () => {
    const given = command.opts<Given>();
    const { database } = readAggregatorConfig({
      flags: { database: given.database },
      environment: { ROLLCALL_DATABASE: io.environment['ROLLCALL_DATABASE'] },
    });
    const draft = given.newToken === true ? undefined : vendorOf(given);
    // The file first: a token that was made and could not be written would be one that nobody has.
    const file = given.tokenFile === undefined ? undefined : openTokenFile(given.tokenFile);
    try {
      const { vendor, token } = await setUp(database, draft);
      file?.write(token);
      tell(io, given, vendor, token);
    } catch (error) {
      file?.discard();
      throw error;
    }
  });
}

async function setUp(
  database: string,
  draft: Organisation | undefined,
): Promise<{ vendor: Organisation; token: string }> {
  // The other commands start without loading the store.
  const { openStore } = await import('../store/open-store.ts');
  const store = await openStore(database);
  try {
    await store.migrate();
    const vendor = draft === undefined ? await existingVendor(store) : await newVendor(store, draft);
    return {
      vendor,
      token: await newToken(store, vendor.id, draft === undefined ? 'made by setup --new-token' : 'first token'),
    };
  } finally {
    await store.close();
  }
}

function vendorOf({ name, country, currency, taxId, address }: Given): Organisation {
  const vendor = Organisation.safeParse({
    id: idFrom('organisation', systemChance(idRandomBytes)),
    kind: 'vendor',
    parentId: null,
    name,
    country,
    currency,
    taxId: taxId ?? null,
    addressLines: address ?? [],
    createdAt: systemClock.now(),
  });
  if (vendor.success) return vendor.data;
  const flags: Record<string, string> = { taxId: 'tax-id', addressLines: 'address' };
  const problems = vendor.error.issues.map(({ path, message }) => {
    const field = String(path[0]);
    return `--${flags[field] ?? field}: ${message.endsWith('received undefined') ? 'is missing' : message}`;
  });
  throw new UsageError(problems.join('; '), 'rollcall setup --name "Backup AG" --country CH --currency CHF');
}

async function newVendor(store: Store, vendor: Organisation): Promise<Organisation> {
  const made = await store.tenancy.createVendor(vendor);
  if (made.ok) return vendor;
  throw new RollcallError(made.code, made.message, {
    retryable: false,
    hint: made.hint ?? 'this database is set up; if all tokens are lost: rollcall setup --new-token',
  });
}

async function existingVendor(store: Store): Promise<Organisation> {
  const vendor = await store.tenancy.vendor();
  if (vendor === undefined)
    throw new RollcallError('NOT_SET_UP', 'there is no vendor in this database yet', {
      retryable: false,
      hint: 'rollcall setup --name … --country … --currency …',
    });
  return vendor;
}

async function newToken(store: Store, organisationId: string, name: string): Promise<string> {
  const text = apiTokenTextFrom(systemChance(tokenRandomBytes));
  const token: ApiToken = {
    id: idFrom('apiToken', systemChance(idRandomBytes)),
    organisationId,
    name,
    createdByTokenId: null,
    createdAt: systemClock.now(),
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
  };
  await store.tokens.createApiToken(token, nodeDigest.sha256(text));
  return text;
}

function tell(io: ProgramIo, { tokenFile, json }: Given, vendor: Organisation, text: string): void {
  const print = createPrinter(io.out, io.err, json === true);
  const result = {
    organisationId: vendor.id,
    name: vendor.name,
    ...(tokenFile === undefined ? { token: text } : { tokenFile }),
  };
  print.one(result, [
    ['VENDOR', (row) => row.name],
    ['ID', (row) => row.organisationId],
    tokenFile === undefined ? ['TOKEN', () => text] : ['TOKEN FILE', () => tokenFile],
  ]);
  if (tokenFile === undefined)
    print.remark('Keep the token: it is shown this once. Commands take it from ROLLCALL_TOKEN.');
}

/** Never over a file that is there: it may hold a token that still works. */
function openTokenFile(path: string): { write(text: string): void; discard(): void } {
  try {
    const file = openSync(path, 'wx', 0o600);
    return {
      write(text) {
        writeSync(file, `${text}\n`);
        closeSync(file);
      },
      discard: () => rmSync(path, { force: true }),
    };
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new RollcallError(
      'TOKEN_FILE_UNUSABLE',
      `cannot write the token to ${path}: ${why === 'EEXIST' ? 'the file exists' : why}`,
      {
        retryable: false,
        hint: 'give the name of a file that does not exist yet',
        cause,
      },
    );
  }
}
