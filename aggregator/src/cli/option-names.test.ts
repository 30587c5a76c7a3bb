import { describe, expect, it } from 'vitest';
import { idOf } from '../core/billing/testing/edge-facts.ts';
import { problem, runAgainst } from './testing/canned-aggregator.ts';

const invalid = (...errors: [field: string, message: string][]) => ({
  status: 422,
  body: problem(422, 'INVALID_INPUT', 'the body is not valid', {
    errors: errors.map(([field, message]) => ({ field, message })),
  }),
});
const account = idOf('account', 1);

describe('what the aggregator refuses is told by the options that were typed', () => {
  it.each<[string[], string, Parameters<typeof invalid>, string]>([
    [
      ['enrolment-token', 'create', '--account', account, '--uses', '5000'],
      'POST /api/v1/enrolment-tokens',
      [['usesMax', 'Too big: expected number to be <=1000']],
      'INVALID_INPUT: --uses: Too big: expected number to be <=1000\n',
    ],
    [
      ['enrolment-token', 'create', '--account', 'x', '--valid-hours', '0'],
      'POST /api/v1/enrolment-tokens',
      [
        ['accountId', 'not an identifier of the form acc_…'],
        ['validHours', 'Too small'],
      ],
      'INVALID_INPUT: 2 of the options are not valid\n  --account: not an identifier of the form acc_…\n  --valid-hours: Too small\n',
    ],
    [
      ['enrolment-token', 'create', '--account', account],
      'POST /api/v1/enrolment-tokens',
      [['(whole)', 'give either siteId or accountId']],
      'INVALID_INPUT: give either --site or --account\n',
    ],
    [
      ['account', 'create', '--name', 'x', '--msp', idOf('organisation', 1), '--address', 'a', '--address', ' b'],
      'POST /api/v1/accounts',
      [['addressLines.1', 'must not begin or end with a space']],
      'INVALID_INPUT: --address: must not begin or end with a space\n',
    ],
    [
      ['site', 'create', '--account', account, '--name', 'x', '--time-zone', 'Rome', '--stale-after-days', '9999'],
      'POST /api/v1/sites',
      [['settings.staleAfterDays', 'Too big']],
      'INVALID_INPUT: --stale-after-days: Too big\n',
    ],
    [['close', '2026-13'], 'POST /api/v1/closes', [['month', 'must be a month']], 'INVALID_INPUT: <month>: must be'],
    [
      ['report', 'list', '--msp', 'x'],
      'GET /api/v1/reports?mspId=x&limit=500',
      [['mspId', 'not an identifier of the form org_…']],
      'INVALID_INPUT: --msp: not an identifier',
    ],
  ])('%j', async (args, asked, errors, says) => {
    const { code, err } = await runAgainst({ [asked]: invalid(...errors) }, args);
    expect([code, err]).toEqual([1, expect.stringContaining(says)]);
  });

  it('also where it says so in a sentence', async () => {
    const none = problem(404, 'NOT_FOUND', 'there is no site with the identifier of siteId');
    const { code, err } = await runAgainst({ 'POST /api/v1/keys': { status: 404, body: none } }, [
      'key',
      'create',
      '--site',
      idOf('site', 1),
    ]);
    expect([code, err]).toEqual([1, 'rollcall: NOT_FOUND: there is no site with the identifier of --site\n']);
  });
});

describe('an argument that is missing', () => {
  it.each([
    [['close'], '<month> is missing'],
    [['close', ''], '<month> is missing'],
    [['report', 'csv', idOf('site', 1)], '<month> is missing'],
    [['site', 'show', ''], '<site> is missing'],
    [['invoice', 'evidence', idOf('invoice', 1), ''], '<line> is missing'],
  ])('is named: %j', async (args, says) => {
    const { code, err, asked } = await runAgainst({}, args);
    expect([code, err, asked]).toEqual([2, expect.stringContaining(says), []]);
  });
});
