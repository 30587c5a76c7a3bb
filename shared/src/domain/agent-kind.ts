/**
 * Owns the two words that say what a deployed agent is: its kind and how it came to the endpoint.
 * How agents are counted belongs to `metering/`.
 */
import { z } from 'zod';

/** The kinds that are counted, in the order in which reports and invoices list them. */
export const agentKinds = ['server', 'workstation'] as const;

/** From the operating system unless overridden (domain.md, section 1). */
export const AgentKind = z.enum(agentKinds);
export type AgentKind = z.infer<typeof AgentKind>;

/** `managed`: deployed by the Site Manager. `standalone`: installed by hand with the key typed in. */
export const AgentOrigin = z.enum(['managed', 'standalone']);
export type AgentOrigin = z.infer<typeof AgentOrigin>;
