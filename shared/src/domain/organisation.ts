/** Organisations: the nodes of the tenant tree between vendor and MSP (domain text, section 1). */
import { z } from 'zod';

export const OrganisationKind = z.enum(['vendor', 'distributor', 'msp']);
export type OrganisationKind = z.infer<typeof OrganisationKind>;

/** Which kind may stand under which: vendor → distributor (→ distributor …) → MSP, or an MSP right under the vendor. */
const childKinds: Record<OrganisationKind, readonly OrganisationKind[]> = {
  vendor: ['distributor', 'msp'],
  distributor: ['distributor', 'msp'],
  msp: [],
};

export const mayHaveChild = (parent: OrganisationKind, child: OrganisationKind): boolean =>
  childKinds[parent].includes(child);

/** Deepest tenant tree accepted, the vendor at 1. Bounds the ancestors a query walks. */
export const treeDepthMax = 12;
