/** What is sold under a product key. */
import { z } from 'zod';

/** `metered-agent`: the metered licence, valid for server and workstation agents alike (domain text, section 2). */
export const Product = z.enum(['metered-agent']);
export type Product = z.infer<typeof Product>;
