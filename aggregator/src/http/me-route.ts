/** Who am I: what a program asks first to see whether its token works. */
import { Me } from '@rollcall/shared/api/me.ts';
import type { Api } from './operation.ts';

export function meRoute(api: Api): void {
  api.json(
    {
      method: 'get',
      path: '/api/v1/me',
      action: 'self.read',
      tag: 'tokens',
      summary: 'Shows the organisation the token acts for, and the token',
      answer: Me,
    },
    async ({ caller: { organisation, token } }) => ({ ok: true, answer: { organisation, token } }),
  );
}
