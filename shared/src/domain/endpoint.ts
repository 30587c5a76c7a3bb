/** Endpoints: the machines at a site that run, or ran, a deployed agent (domain text, section 1). */
import { z } from 'zod';

/** The stable machine id an endpoint reports (SMBIOS UUID, machine-id, …): 8 to 128 plain characters. */
export const MachineId = z.string().regex(/^[A-Za-z0-9._:-]{8,128}$/, '8 to 128 letters, digits and . _ : -');
export type MachineId = z.infer<typeof MachineId>;

/** Most endpoints one Site Manager keeps on its roll; one more is refused with `ENDPOINT_LIMIT`. */
export const endpointsPerSiteMax = 5_000;
