/** Names and sizes a stranger would try: each gets its coded answer, and the store stays as it was. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plantTenantTree, type TenantTree } from './testing/tenant-tree.ts';

let tree: TenantTree;
let accountId: string;
beforeAll(async () => {
  tree = await plantTenantTree();
  accountId = String((await account('Huber'))['id']);
});
afterAll(() => tree.close());

const draft = (name: unknown) => ({ mspId: tree.alpha.id, name, addressLines: [], note: '' });
const account = (name: unknown) => tree.ok(tree.alpha, 'POST', '/api/v1/accounts', draft(name));
/** Everything the vendor can list, as text: two that are equal mean that nothing changed. */
const everything = async (): Promise<string> => {
  const lists = ['organisations', 'accounts', 'sites', 'keys', 'enrolment-tokens', 'agreements', 'findings'];
  return JSON.stringify(
    await Promise.all(lists.map(async (list) => tree.ok(tree.vendor, 'GET', `/api/v1/${list}?limit=500`))),
  );
};

describe('a name that is refused', () => {
  it.each([
    ['NUL', 'a\u0000b'],
    ['a line break', 'a\nb'],
    ['an escape sequence', '\u001b[31mred'],
    ['a turn of the writing direction', 'invoice\u202Efdp.exe'],
    ['half a surrogate pair', 'a\ud800b'],
    ['nothing', ''],
    ['a space at its end', 'a '],
    ['121 characters', 'x'.repeat(121)],
    ['100 kB', 'x'.repeat(100_000)],
    ['a number', 7],
    ['an object', { $ne: null }],
    ['a list', ['a']],
  ])('%s', async (_case, name) => {
    const before = await everything();
    // JSON.stringify writes a lone surrogate as an escape, as a sender would.
    const answer = await tree.ask(tree.alpha, 'POST', '/api/v1/accounts', draft(name));
    expect([answer.status, answer.body['code'], (answer.body['errors'] as { field: string }[])[0]?.field]).toEqual([
      422,
      'INVALID_INPUT',
      'name',
    ]);
    expect(JSON.stringify(answer.body).length).toBeLessThan(2_000);
    expect(await everything()).toBe(before);
  });

  it.each([
    ['1 MB', 1_000_000],
    ['256 KiB and a little', 256 * 1024],
  ])('%s: too large to be read at all', async (_case, length) => {
    const before = await everything();
    const answer = await tree.ask(tree.alpha, 'POST', '/api/v1/accounts', draft('x'.repeat(length)));
    expect([answer.status, answer.body['code']]).toEqual([413, 'BODY_TOO_LARGE']);
    expect(await everything()).toBe(before);
  });
});

describe('a tax identifier', () => {
  let made = 0;
  const make = (taxId: unknown) => ({
    kind: 'msp',
    parentId: tree.north.id,
    name: `MSP ${++made}`,
    country: 'IT',
    currency: 'EUR',
    taxId,
    addressLines: [],
  });
  it.each([
    ['NUL', 'IT\u0000123'],
    ['a line break', 'IT\n123'],
    ['a turn of the writing direction', 'IT\u202E123'],
    ['half a surrogate pair', 'IT\ud800123'],
    ['a space at its end', 'IT123 '],
    ['one character', 'I'],
    ['41 characters', 'x'.repeat(41)],
    ['nothing', ''],
  ])('with %s is refused', async (_case, taxId) => {
    const before = await everything();
    const answer = await tree.ask(tree.north, 'POST', '/api/v1/organisations', make(taxId));
    expect([answer.status, (answer.body['errors'] as { field: string }[])[0]?.field]).toEqual([422, 'taxId']);
    expect(await everything()).toBe(before);
  });

  it.each([null, 'IT', 'CHE-123.456.789 MWST', 'x'.repeat(40)])('%j is taken', async (taxId) => {
    expect(await tree.ok(tree.north, 'POST', '/api/v1/organisations', make(taxId))).toMatchObject({ taxId });
  });
});

describe('a name that is only a name', () => {
  it.each([
    "Robert'); DROP TABLE accounts; --",
    '" OR ""="',
    '../../etc/passwd',
    '..\\..\\windows',
    '%00%2e%2e',
    '<script>alert(1)</script>',
    '${7*7}',
    '😀 Bäckerei 北京',
    'null',
    '__proto__',
    '=HYPERLINK("x")',
  ])('%j is kept as it is and comes back as it is', async (name) => {
    const made = await account(name);
    expect(made['name']).toBe(name);
    expect((await tree.ok(tree.north, 'GET', `/api/v1/accounts/${String(made['id'])}`))['name']).toBe(name);
    const site = await tree.ok(tree.alpha, 'POST', '/api/v1/sites', {
      accountId,
      name,
      timeZone: 'Europe/Rome',
      note: name,
    });
    expect([site['name'], site['note']]).toEqual([name, name]);
  });

  it('is taken when it is there already', async () => {
    const before = await everything();
    const answer = await tree.ask(tree.alpha, 'POST', '/api/v1/accounts', draft('Huber'));
    expect([answer.status, answer.body['code']]).toEqual([409, 'NAME_TAKEN']);
    expect(await everything()).toBe(before);
  });
});

describe('a body that says more than it should', () => {
  it('cannot set what is not the sender’s to set', async () => {
    const made = await tree.ok(tree.alpha, 'POST', '/api/v1/accounts', {
      ...draft('More'),
      id: 'acc_00000000000000000000',
      createdAt: '1999-01-01T00:00:00.000Z',
      path: '/',
      __proto__: { admin: true },
    });
    expect(made['id']).not.toBe('acc_00000000000000000000');
    expect(made['createdAt']).not.toContain('1999');
    expect(made).not.toHaveProperty('path');
  });

  it('is refused where it would change nothing', async () => {
    const site = await tree.ok(tree.alpha, 'POST', '/api/v1/sites', {
      accountId,
      name: 'Unchanged',
      timeZone: 'UTC',
      note: '',
    });
    const answer = await tree.ask(tree.alpha, 'PATCH', `/api/v1/sites/${String(site['id'])}`, {
      name: 'Other',
      timeZone: 'Europe/Rome',
    });
    expect([answer.status, answer.body['code']]).toEqual([422, 'INVALID_INPUT']);
  });
});

describe('what does not fit together', () => {
  it.each<[string, (t: TenantTree) => [string, unknown], number, string]>([
    [
      'an account of a distributor',
      ({ north }) => ['/api/v1/accounts', { ...draft('x'), mspId: north.id }],
      422,
      'NOT_AN_MSP',
    ],
    [
      'an organisation below an MSP',
      ({ alpha }) => [
        '/api/v1/organisations',
        { kind: 'msp', parentId: alpha.id, name: 'x', country: 'IT', currency: 'EUR', taxId: null, addressLines: [] },
      ],
      422,
      'CHILD_KIND_WRONG',
    ],
    [
      'a second vendor',
      ({ north }) => [
        '/api/v1/organisations',
        {
          kind: 'vendor',
          parentId: north.id,
          name: 'x',
          country: 'IT',
          currency: 'EUR',
          taxId: null,
          addressLines: [],
        },
      ],
      422,
      'INVALID_INPUT',
    ],
    [
      'a currency nobody knows',
      ({ north }) => [
        '/api/v1/organisations',
        { kind: 'msp', parentId: north.id, name: 'x', country: 'IT', currency: 'XYZ', taxId: null, addressLines: [] },
      ],
      422,
      'INVALID_INPUT',
    ],
    [
      'a token for a site and an account at once',
      () => ['/api/v1/enrolment-tokens', { accountId, siteId: 'site_00000000000000000000' }],
      422,
      'INVALID_INPUT',
    ],
    ['a token for nothing', () => ['/api/v1/enrolment-tokens', {}], 422, 'INVALID_INPUT'],
    [
      'a token for an account that is not there',
      () => ['/api/v1/enrolment-tokens', { accountId: 'acc_00000000000000000000' }],
      404,
      'NOT_FOUND',
    ],
    [
      'a token of more uses than there may be',
      () => ['/api/v1/enrolment-tokens', { accountId, usesMax: 1_001 }],
      422,
      'INVALID_INPUT',
    ],
    [
      'a key of an unknown product',
      () => ['/api/v1/keys', { siteId: 'site_00000000000000000000', product: 'free-lunch' }],
      422,
      'INVALID_INPUT',
    ],
  ])('%s', async (_case, ask, status, code) => {
    const before = await everything();
    const [path, body] = ask(tree);
    const answer = await tree.ask(tree.vendor, 'POST', path, body);
    expect([answer.status, answer.body['code']]).toEqual([status, code]);
    expect(await everything()).toBe(before);
  });
});
