/** Who the caller is: the organisation its token acts for. */
import { z } from 'zod';
import { Organisation } from './organisation.ts';
import { ApiToken } from './token.ts';

export const Me = z.object({ organisation: Organisation, token: ApiToken });
export type Me = z.infer<typeof Me>;
