/** The API document against the API: what an operation answers is what it says it answers, refusals and successes alike. */
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import {
  type ApiDocument,
  type Operation,
  plantProbedWorld,
  type ProbedWorld,
  probes,
  publishedApi,
} from './testing/probes.ts';
import type { Answer } from './testing/tenant-tree.ts';

let world: ProbedWorld;
let document: ApiDocument;
let operations: Map<string, Operation>;

beforeAll(async () => {
  world = await plantProbedWorld();
  ({ document, operations } = await publishedApi(world));
});
afterAll(() => world.close());

const names = Object.keys(probes);
const methodOf = (name: string): string => name.split(' ')[0]!.toUpperCase();

/** Whoever may use an operation first. */
const asker = (name: string) => world[probes[name]!.allowed[0]!];

function operationOf(name: string): Operation {
  const operation = operations.get(name);
  if (operation === undefined) throw new Error(`the document has no ${name}`);
  return operation;
}

/** A published schema as what a reader of the document would check with. */
function checkOf(schema: object): z.ZodType {
  const whole = JSON.stringify({ ...schema, $defs: document.components.schemas });
  return z.fromJSONSchema(JSON.parse(whole.replaceAll('#/components/schemas/', '#/$defs/')));
}

function expectDocumented(name: string, { status, headers, body }: Answer): void {
  const response = operationOf(name).responses[status];
  expect([name, status, body['code'], response !== undefined]).toEqual([name, status, body['code'], true]);
  if (status < 400 || response === undefined) return;
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect([name, status, response.description]).toEqual([
    name,
    status,
    expect.stringMatching(new RegExp(`\\b${String(body['code'])}\\b`)),
  ]);
  expect(checkOf(response.content['application/problem+json']!.schema).safeParse(body).error).toBeUndefined();
}

type Spoilt = { path?: (path: string) => string; body?: unknown; headers?: Record<string, string>; token?: string };

/** The probe of an operation, spoilt in one way. */
async function ask(name: string, { path = (as) => as, body, headers, token }: Spoilt): Promise<Answer> {
  const [address, right] = probes[name]!.ask(world);
  if (headers === undefined)
    return world.ask(token ?? asker(name), methodOf(name), path(address), body === undefined ? right : body);
  const response = await world.app.request(
    path(address),
    { method: methodOf(name), headers: { authorization: `Bearer ${asker(name).token}`, ...headers }, body: '{}' },
    {},
  );
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] };
}

const withQuery = (query: string) => (path: string) => `${path}${path.includes('?') ? '&' : '?'}${query}`;
const zeros = (path: string): string =>
  path.replaceAll(/\b(org|acc|site|key|etk|atk|agr|inv)_\w{20}/g, '$1_00000000000000000000');

describe('a refusal', () => {
  const everywhere: [string, Spoilt, number][] = [
    ['without a token', { token: 'rc_00000000000000000000000000000000000000ab' }, 401],
    ['with a parameter that there is not', { path: withQuery('nosuch=1') }, 422],
  ];
  it.each(names.flatMap((name) => everywhere.map(([why, spoilt, status]) => [name, why, spoilt, status] as const)))(
    'of %s %s is documented',
    async (name, _why, spoilt, status) => {
      const answer = await ask(name, spoilt);
      expect(answer.status).toBe(status);
      expectDocumented(name, answer);
    },
  );

  it.each(names)('of %s to an organisation that may not, or sees nothing there, is documented', async (name) => {
    const { allowed, never = [], lists } = probes[name]!;
    for (const tenant of ['gamma', ...never] as const) {
      if (allowed.includes(tenant) || (lists !== undefined && !never.includes(tenant))) continue;
      const [path, body] = probes[name]!.ask(world);
      const answer = await world.ask(world[tenant], methodOf(name), path, body);
      expect([name, answer.status >= 400]).toEqual([name, true]);
      expectDocumented(name, answer);
    }
  });

  it.each(names.filter((name) => name.includes('{')))('of %s for what is not there is documented', async (name) => {
    for (const path of [
      zeros,
      (as: string) => as.replaceAll(/\b(site|key|etk|atk|agr|inv|org|acc)_\w{20}/g, 'nosuch'),
    ]) {
      const answer = await ask(name, { path });
      expect([name, answer.status]).toEqual([name, 404]);
      expectDocumented(name, answer);
    }
  });

  it.each(names.filter((name) => !name.startsWith('get ')))('of %s for its body is documented', async (name) => {
    const reads = operationOf(name).requestBody !== undefined;
    const bodies: [Spoilt, number][] = [
      [{ body: `{"a":"${'x'.repeat(300 * 1024)}"}` }, 413],
      ...(reads
        ? ([
            [{ body: '{"a":' }, 400],
            [{ body: '[]' }, 422],
            [{ headers: { 'content-type': 'text/plain' } }, 415],
          ] as [Spoilt, number][])
        : []),
    ];
    for (const [spoilt, status] of bodies) {
      const answer = await ask(name, spoilt);
      expect([name, answer.status]).toEqual([name, status]);
      expectDocumented(name, answer);
    }
  });

  it.each(names.filter((name) => name.startsWith('get ')))('of %s for its page is documented', async (name) => {
    if (!operationOf(name).parameters?.some((parameter) => parameter.name === 'cursor')) return;
    for (const [query, status] of [
      ['cursor=garbage', 400],
      ['limit=0', 422],
    ] as const) {
      const answer = await ask(name, { path: withQuery(query) });
      expect([name, answer.status]).toEqual([name, status]);
      expectDocumented(name, answer);
    }
  });

  it.each(names)('of %s by what fails here is documented', async (name) => {
    const failures = [
      new RollcallError('STORE_UNAVAILABLE', 'the database does not answer', { retryable: true }),
      new TypeError('a defect'),
    ];
    for (const failure of failures) {
      const failing = vi.spyOn(world.store.tokens, 'apiTokenByHash').mockRejectedValueOnce(failure);
      expectDocumented(name, await ask(name, {}));
      failing.mockRestore();
    }
  });
});

describe('a success', () => {
  it.each(names)('of %s is what its schema says', async (name) => {
    const answer = await ask(name, {});
    expect([name, answer.status < 300, answer.body['code']]).toEqual([name, true, undefined]);
    expectDocumented(name, answer);
    const mediaType = answer.headers.get('content-type') ?? '';
    const content = operationOf(name).responses[answer.status]?.content[mediaType];
    expect([name, mediaType, content !== undefined]).toEqual([name, mediaType, true]);
    if (mediaType === 'application/json')
      expect([name, checkOf(content!.schema).safeParse(answer.body).error]).toEqual([name, undefined]);
  });

  it('of the health of the node is what its schema says', async () => {
    const answer = await world.ask(undefined, 'GET', '/health');
    const { schema } = operationOf('get /health').responses[answer.status]!.content['application/json']!;
    expect(checkOf(schema).parse(answer.body)).toEqual(answer.body);
  });
});

describe('the document', () => {
  it('says in words what a schema cannot', () => {
    const { schemas } = document.components;
    for (const [name, words] of [
      ['Currency', 'ISO 4217'],
      ['TimeZone', 'Europe/Rome'],
      ['EnrolmentTokenDraft', 'Exactly one of'],
    ] as const)
      expect([name, schemas[name]?.description]).toEqual([name, expect.stringContaining(words)]);
    expect(operationOf('patch /api/v1/sites/{siteId}').description).toContain('At least one of');
    expect(operationOf('post /api/v1/enrolment-tokens').description).toContain('Exactly one of');
  });

  it('takes of a tax rate what the API takes, and no more', () => {
    const check = checkOf({ $ref: '#/components/schemas/AgreementDraft' });
    const draft = {
      programme: 'metered-peak',
      currency: 'EUR',
      serverUnitPriceMinor: 0,
      workstationUnitPriceMinor: 0,
      paymentTermDays: 0,
      timeZone: 'UTC',
      missingReportPolicy: 'hold',
      validFrom: '2026-01',
      buyerId: 'org_00000000000000000000',
    };
    const takes = (taxRatePercent: string): boolean => check.safeParse({ ...draft, taxRatePercent }).success;
    expect(['0', '7.7', '22', '99.999999', '100', '100.0'].filter((rate) => !takes(rate))).toEqual([]);
    expect(['100.01', '101', '-1', '007', '1e1', '.5', '22 %', '7.1234567'].filter(takes)).toEqual([]);
  });

  it('has a default of the type of its parameter', () => {
    for (const [name, { parameters = [] }] of operations)
      for (const { name: parameter, schema } of parameters)
        if (schema.enum !== undefined && schema.default !== undefined)
          expect([name, parameter, schema.enum]).toEqual([name, parameter, expect.arrayContaining([schema.default])]);
  });

  it('names the refusal of evidence that is too large', () => {
    for (const name of [
      'get /api/v1/invoices/{invoiceId}/lines/{number}/evidence',
      'get /api/v1/sites/{siteId}/reports/{month}/csv',
    ])
      expect(operationOf(name).responses[500]?.description).toContain('EVIDENCE_TOO_LARGE');
  });
});
