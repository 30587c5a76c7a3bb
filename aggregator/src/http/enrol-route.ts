/** POST /site/v1/enrol: where a Site Manager becomes a site. The gateway decides; this hands over and answers. */
import type { Outcome } from '@rollcall/shared/domain/problem.ts';
import { type EnrolRefusalCode, enrolRefusals, EnrolRequest, EnrolResponse } from '@rollcall/shared/protocol/enrol.ts';
import { sitePaths } from '@rollcall/shared/protocol/version.ts';
import type { Api } from './operation.ts';

/** What the gateway does with an enrolment. */
export type EnrolPort = (
  request: EnrolRequest,
  remoteAddress: string,
) => Promise<Outcome<{ response: EnrolResponse }, EnrolRefusalCode | 'RATE_LIMITED'> & { retryAfterSeconds?: number }>;

const codes = Object.keys(enrolRefusals) as EnrolRefusalCode[];

export function enrolRoute(api: Api, enrol: EnrolPort): void {
  api.open(
    {
      method: 'post',
      path: sitePaths.enrol,
      tag: 'sites',
      summary: 'Enrols a Site Manager by its token',
      description: 'Signed by the key that it brings. Safe to repeat: the same token and key get the same answer.',
      body: EnrolRequest,
      answer: EnrolResponse,
      refusals: [...codes, 'RATE_LIMITED'],
    },
    async ({ body, remoteAddress }) => {
      const enrolled = await enrol(body, remoteAddress);
      return enrolled.ok ? { ok: true, answer: enrolled.response } : enrolled;
    },
  );
}
