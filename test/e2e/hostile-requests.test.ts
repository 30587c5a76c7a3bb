/**
 * Acceptance A9, over HTTP: hostile tokens, names, bodies and paths at the aggregator and at the Site Manager's local API. Each gets its
 * coded answer, both processes live, and the stores are as they were.
 */
import { request } from 'node:http';
import { Account } from '@rollcall/shared/api/account.ts';
import { localBodyBytesMax, localPaths } from '@rollcall/shared/api/local.ts';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import { ApiToken, EnrolmentToken, NewApiToken, NewEnrolmentToken } from '@rollcall/shared/api/token.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf } from '../support/api.ts';
import { askLocal, Endpoint } from '../support/endpoint.ts';
import { Fortress } from '../support/fortress.ts';
import { enrolByHand, enrolRequest, newSigner, postEnrol } from '../support/handheld-site.ts';

const hourMs = 3_600_000;
const megabyte = 'x'.repeat(1024 * 1024);
const sqlTrick = `Robert'); DROP TABLE sites;--`;
const pathTrick = '../../../../etc/passwd';

let fortress: Fortress;

beforeAll(async () => {
  fortress = await Fortress.open();
}, 60_000);

afterAll(async () => {
  await fortress.end();
});

describe('enrolment', () => {
  test('by tokens that are none, were used, withdrawn or ran out, or belong to another site', async () => {
    const fresh = async (): Promise<NewEnrolmentToken> => {
      const { id } = await fortress.newSite();
      return fortress.tenants.msp.post('/enrolment-tokens', { siteId: id }, NewEnrolmentToken);
    };
    const [used, withdrawn, expired, foreign] = [await fresh(), await fresh(), await fresh(), await fresh()];
    await enrolByHand(fortress.house.aggregator.url, used.token);
    await fortress.tenants.msp.post(`/enrolment-tokens/${withdrawn.id}/withdraw`, {}, EnrolmentToken);
    await fortress.withoutTrace(async () => {
      expect(await enrolCode(enrolRequest(`rce_${'0'.repeat(40)}`, newSigner()))).toEqual([404, 'TOKEN_UNKNOWN']);
      expect(await enrolCode(enrolRequest(used.token, newSigner()))).toEqual([409, 'TOKEN_USED']);
      expect(await enrolCode(enrolRequest(withdrawn.token, newSigner()))).toEqual([410, 'TOKEN_WITHDRAWN']);
      const somebodyElse = { ...enrolRequest(foreign.token, newSigner()), publicKey: newSigner().publicKey };
      expect(await enrolCode(somebodyElse)).toEqual([400, 'SIGNATURE_WRONG']);
      for (const [body, status, code] of [
        ['{"token":', 400, 'BAD_JSON'],
        ['[]', 422, 'INVALID_INPUT'],
        [{ ...enrolRequest(foreign.token, newSigner()), token: sqlTrick }, 422, 'INVALID_INPUT'],
        [{ ...enrolRequest(foreign.token, newSigner()), hostName: megabyte }, 413, 'BODY_TOO_LARGE'],
        [{ ...enrolRequest(foreign.token, newSigner()), siteName: 'a\u0000b' }, 422, 'INVALID_INPUT'],
      ] as const)
        expect(await enrolCode(body)).toEqual([status, code]);
      // A site that is one already, with the token of another: nothing is used up.
      await fortress.site.seat.stop();
      const again = await fortress.site.seat.enrol(fortress.house.aggregator.url, withdrawn.token, '--again');
      expect(again, `${again.output}`).toMatchObject({ code: 1 });
      expect(again.output).toContain('withdrawn');
      await fortress.site.seat.startInContact();
    });
    fortress.house.clock.moveBy(73 * hourMs);
    try {
      expect(await enrolCode(enrolRequest(expired.token, newSigner()))).toEqual([410, 'TOKEN_EXPIRED']);
    } finally {
      fortress.house.clock.moveBy(-73 * hourMs);
    }
  });
});

describe('the HTTP API', () => {
  test('refuses who is not allowed to ask', async () => {
    const { msp, distributor, vendor, ids } = fortress.tenants;
    const revoked = await msp.post('/api-tokens', { organisationId: ids.msp, name: 'revoked' }, NewApiToken);
    await msp.post(`/api-tokens/${revoked.id}/revoke`, {}, ApiToken);
    const expired = await msp.post(
      '/api-tokens',
      { organisationId: ids.msp, name: 'a day', validDays: 1 },
      NewApiToken,
    );
    const business = { taxId: null, addressLines: [], country: 'IT', currency: 'EUR' };
    const other = await distributor.post(
      '/organisations',
      { ...business, kind: 'msp', parentId: ids.distributor, name: 'Altro' },
      Organisation,
    );
    const foreign = await distributor.post('/api-tokens', { organisationId: other.id, name: 'foreign' }, NewApiToken);
    await fortress.withoutTrace(async () => {
      expect(await ask('GET', '/sites', undefined, '')).toEqual([401, 'UNAUTHENTICATED']);
      expect(await ask('GET', '/sites', undefined, sqlTrick)).toEqual([401, 'UNAUTHENTICATED']);
      expect(await ask('GET', '/sites', undefined, `rc_${'0'.repeat(40)}`)).toEqual([401, 'UNAUTHENTICATED']);
      expect(await ask('GET', '/sites', undefined, revoked.token)).toEqual([401, 'TOKEN_REVOKED']);
      for (const path of [
        `/sites/${fortress.site.id}`,
        `/sites/${fortress.site.id}/entries`,
        `/accounts/${ids.account}`,
        `/organisations/${ids.msp}`,
        `/sites/${fortress.site.id}/reports/2027-12`,
      ])
        expect(await ask('GET', path, undefined, foreign.token), `${path}`).toEqual([404, 'NOT_FOUND']);
      expect(await ask('POST', `/sites/${fortress.site.id}/close`, {}, foreign.token)).toEqual([404, 'NOT_FOUND']);
      expect(await ask('POST', '/enrolment-tokens', { siteId: fortress.site.id }, foreign.token)).toEqual([
        404,
        'NOT_FOUND',
      ]);
      expect(await ask('POST', '/api-tokens', { organisationId: ids.vendor, name: 'up' }, msp.token)).toEqual([
        404,
        'NOT_FOUND',
      ]);
    });
    fortress.house.clock.moveBy(25 * hourMs);
    try {
      expect(await ask('GET', '/sites', undefined, expired.token)).toEqual([401, 'API_TOKEN_EXPIRED']);
      expect((await vendor.call('GET', '/me')).status).toBe(200);
    } finally {
      fortress.house.clock.moveBy(-25 * hourMs);
    }
  });

  test('refuses what it cannot take', async () => {
    const { msp, ids } = fortress.tenants;
    const account = { mspId: ids.msp, addressLines: [], note: '' };
    await fortress.withoutTrace(async () => {
      const bodies: readonly [body: unknown, status: number, code: string][] = [
        [{ ...account, name: 'NUL \u0000 here' }, 422, 'INVALID_INPUT'],
        [{ ...account, name: 'gnp.exe\u202e' }, 422, 'INVALID_INPUT'],
        [{ ...account, name: '\ud800' }, 422, 'INVALID_INPUT'],
        [{ ...account, name: '' }, 422, 'INVALID_INPUT'],
        [{ ...account, name: megabyte }, 413, 'BODY_TOO_LARGE'],
        [{ ...account, name: 'x'.repeat(121) }, 422, 'INVALID_INPUT'],
        [{ ...account, name: { toString: 'x' } }, 422, 'INVALID_INPUT'],
        [{ ...account, name: 'x', mspId: sqlTrick }, 422, 'INVALID_INPUT'],
        ['{"name":', 400, 'BAD_JSON'],
        ['', 400, 'BAD_JSON'],
        ['null', 422, 'INVALID_INPUT'],
      ];
      for (const [body, status, code] of bodies)
        expect(await ask('POST', '/accounts', body), `${JSON.stringify(body).slice(0, 80)}`).toEqual([status, code]);
      for (const id of [
        encodeURIComponent(sqlTrick),
        encodeURIComponent(pathTrick),
        '%00',
        '%F0%9F%98%80',
        'x'.repeat(2_000),
      ])
        expect(await ask('GET', `/sites/${id}`), `${id.slice(0, 80)}`).toEqual([404, 'NOT_FOUND']);
      expect(await ask('GET', `/sites?cursor=${encodeURIComponent(sqlTrick)}`)).toEqual([400, 'CURSOR_INVALID']);
      expect(await ask('GET', '/sites?limit=1e9')).toEqual([422, 'INVALID_INPUT']);
      expect(await ask('GET', `/reports?month=${encodeURIComponent("2027-12' OR 1=1")}`)).toEqual([
        422,
        'INVALID_INPUT',
      ]);
      expect(await ask('DELETE', '/sites')).toEqual([405, 'METHOD_NOT_ALLOWED']);
      expect(await rawPath(`/${pathTrick}`)).toBe(404);
      expect(await rawPath('/assets/..%2f..%2f..%2f..%2fetc%2fpasswd')).toBe(404);
      expect(await rawPath('/assets/../../package.json')).toBe(404);
      expect(await rawPath(`/${'a'.repeat(20_000)}`)).toBe(431);
      expect((await msp.call('GET', '/me')).status).toBe(200);
    });
  });

  test('takes strange names for what they are: text', async () => {
    const { msp, ids } = fortress.tenants;
    const names = [
      sqlTrick,
      pathTrick,
      '"; SELECT 1',
      "O'Brien & Söhne 😀 株式会社",
      '<script>alert(1)</script>',
      '%s%n{{7*7}}',
    ];
    const tables = Object.keys(fortress.house.dump());
    for (const name of names) {
      const made = await msp.post('/accounts', { mspId: ids.msp, name, addressLines: [name], note: name }, Account);
      expect(await msp.get(`/accounts/${made.id}`, Account)).toMatchObject({ name, addressLines: [name], note: name });
    }
    expect(Object.keys(fortress.house.dump())).toEqual(tables);
    await fortress.mustLive();
  });
});

describe('the local API', () => {
  test('refuses strangers and what it cannot take', async () => {
    const { seat } = fortress.site;
    const { joinCode } = seat;
    const machine = { machineId: 'machine-hostile', hostName: 'hostile', joinCode };
    const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });
    await fortress.withoutTrace(async () => {
      const refusals: readonly [
        what: string,
        path: string,
        body: unknown,
        headers: Record<string, string>,
        status: number,
        code: string,
      ][] = [
        [
          'a wrong join code',
          localPaths.register,
          { ...machine, joinCode: 'aaaaa-aaaaa-aaaaa-aaaaa' },
          {},
          403,
          'JOIN_CODE_WRONG',
        ],
        [
          'a wrong product key',
          localPaths.register,
          { machineId: machine.machineId, hostName: 'x', productKey: '00000-00000-00000-00000-00000' },
          {},
          403,
          'PRODUCT_KEY_WRONG',
        ],
        ['no proof', localPaths.register, { machineId: machine.machineId, hostName: 'x' }, {}, 400, 'BAD_REQUEST'],
        ['NUL in a host name', localPaths.register, { ...machine, hostName: 'a\u0000b' }, {}, 400, 'BAD_REQUEST'],
        [
          'a host name of 254 characters',
          localPaths.register,
          { ...machine, hostName: 'x'.repeat(254) },
          {},
          400,
          'BAD_REQUEST',
        ],
        ['a host name of 1 MiB', localPaths.register, { ...machine, hostName: megabyte }, {}, 413, 'BODY_TOO_LARGE'],
        ['a body just too large', localPaths.register, ' '.repeat(localBodyBytesMax + 1), {}, 413, 'BODY_TOO_LARGE'],
        ['a path for a machine', localPaths.register, { ...machine, machineId: pathTrick }, {}, 400, 'BAD_REQUEST'],
        ['SQL for a machine', localPaths.register, { ...machine, machineId: sqlTrick }, {}, 400, 'BAD_REQUEST'],
        ['half a body', localPaths.register, '{"machineId":"mach', {}, 400, 'BAD_REQUEST'],
        ['wrong types', localPaths.register, { machineId: 1, hostName: [], joinCode: {} }, {}, 400, 'BAD_REQUEST'],
        [
          'no JSON',
          localPaths.register,
          'machineId=1',
          { 'Content-Type': 'application/x-www-form-urlencoded' },
          400,
          'BAD_REQUEST',
        ],
        ['a check-in of nobody', localPaths.checkIn, { agent: null }, {}, 401, 'CREDENTIAL_WRONG'],
        [
          'a credential that is none',
          localPaths.checkIn,
          { agent: null },
          bearer('x'.repeat(43)),
          401,
          'CREDENTIAL_WRONG',
        ],
        ['SQL for a credential', localPaths.checkIn, { agent: null }, bearer(`' OR 1=1 --`), 401, 'CREDENTIAL_WRONG'],
        [
          'an agent of no kind',
          localPaths.checkIn,
          { agent: { ...fortress.endpoint.agent('server'), kind: 'mainframe' } },
          bearer('x'.repeat(43)),
          400,
          'BAD_REQUEST',
        ],
        ['an operator without token', localPaths.confirmClock, {}, {}, 401, 'CREDENTIAL_WRONG'],
        [
          'an operator with a wrong token',
          localPaths.removeEndpoint,
          { endpointId: fortress.endpoint.endpointId, reason: 'operator' },
          bearer('x'.repeat(43)),
          401,
          'CREDENTIAL_WRONG',
        ],
        ['an unknown path', `/endpoint/v1/${encodeURIComponent(pathTrick)}`, {}, {}, 404, 'NOT_FOUND'],
        [
          'a month that is none',
          localPaths.correctReport,
          { month: '2027-13', exclude: [fortress.endpoint.endpointId], reason: 'x' },
          seat.operatorHeaders(),
          400,
          'BAD_REQUEST',
        ],
        [
          'an endpoint of nowhere',
          localPaths.removeEndpoint,
          { endpointId: `ep_${'0'.repeat(20)}`, reason: 'operator' },
          seat.operatorHeaders(),
          404,
          'NOT_FOUND',
        ],
      ];
      for (const [what, path, body, headers, status, code] of refusals) {
        const answer = await askLocal(seat.url, path, body, headers);
        expect([answer.status, codeOf(answer.text)], `${what}`).toEqual([status, code]);
      }
    });
  });

  test('takes a host name in any script, and it arrives at the aggregator as it is', async () => {
    const { seat, id } = fortress.site;
    const names = ['büro-пк-株式会社-😀', `${sqlTrick}`, pathTrick, '<b>'];
    for (const [index, hostName] of names.entries())
      await new Endpoint(hostName, `machine-named-${index}`).join(seat.url, { joinCode: seat.joinCode }, 'workstation');
    await seat.untilSynchronised();
    expect(fortress.house.heldTexts(id)).toEqual(seat.ledgerTexts());
    const held = fortress.house.dump()['deployments'] ?? [];
    for (const name of names) expect(held.some((row) => row.includes(JSON.stringify(name)))).toBe(true);
    expect((await seat.cli('endpoints', 'list')).output).toContain('büro-пк-株式会社-😀');
    await fortress.mustLive();
  });
});

async function enrolCode(body: unknown): Promise<[status: number, code: string]> {
  const response = await postEnrol(fortress.house.aggregator.url, body);
  return [response.status, codeOf(await response.text())];
}

/** Status and code of a refused call of the API; the MSP asks unless another token does. */
async function ask(
  method: string,
  path: string,
  body?: unknown,
  token = fortress.tenants.msp.token,
): Promise<[status: number, code: string]> {
  const response = await fetch(`${fortress.house.aggregator.url}/api/v1${path}`, {
    method,
    headers: { ...(token === '' ? {} : { Authorization: `Bearer ${token}` }), 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return [response.status, codeOf(await response.text())];
}

/** Status of a GET whose path is sent as it stands: fetch would tidy it up. */
function rawPath(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: fortress.house.aggregator.port, path }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
