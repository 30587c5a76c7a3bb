/**
 * The Site Manager's local API: what endpoints say to it and what its operator asks of it. JSON over HTTP on the site's own
 * network; never reachable from the aggregator.
 */
import { z } from 'zod';
import { AgentKind, AgentOrigin } from '../domain/agent-kind.ts';
import { MachineId } from '../domain/endpoint.ts';
import { EndpointId, ProductKeyId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Month } from '../domain/month.ts';
import { HostName, Name, Reason, SoftwareVersion } from '../domain/name.ts';
import { Product } from '../domain/product.ts';
import { KeyState } from '../domain/product-key.ts';
import { SiteSettings } from '../domain/site-settings.ts';
import { TimeZone } from '../domain/time-zone.ts';

export const localPaths = {
  register: '/endpoint/v1/register',
  checkIn: '/endpoint/v1/check-in',
  status: '/operator/v1/status',
  removeEndpoint: '/operator/v1/endpoints/remove',
  correctReport: '/operator/v1/reports/correct',
  confirmClock: '/operator/v1/confirm-clock',
  health: '/health',
} as const;

/** Longest body the local API reads, in bytes. */
export const localBodyBytesMax = 16 * 1024;

/**
 * POST register: a machine asks for a credential of its own. It shows the site's join code (a managed agent, handed out by the
 * Site Manager's operator) or the product key typed into a standalone installation. Again with the same machine id: the same
 * endpoint gets a new credential, the old one ends.
 */
export const RegisterRequest = z.object({
  machineId: MachineId,
  hostName: HostName,
  joinCode: z.string().min(8).max(200).optional(),
  productKey: z.string().min(8).max(200).optional(),
});
export type RegisterRequest = z.infer<typeof RegisterRequest>;

export const RegisterResponse = z.object({ endpointId: EndpointId, credential: z.string() });
export type RegisterResponse = z.infer<typeof RegisterResponse>;

/** What a check-in says of the agent on the endpoint. */
export const AgentReport = z.object({
  kind: AgentKind,
  product: Product,
  agentVersion: SoftwareVersion,
  hostName: HostName,
});
export type AgentReport = z.infer<typeof AgentReport>;

/** POST check-in, with `Authorization: Bearer <credential>`: the agent as it is, or null once it was uninstalled. */
export const CheckInRequest = z.object({ agent: AgentReport.nullable() });
export type CheckInRequest = z.infer<typeof CheckInRequest>;

export const CheckInResponse = z.object({
  at: Instant,
  deployed: z.boolean(),
  keyState: KeyState.nullable(),
  /** What the key allows now; restoring is never blocked. */
  allowed: z.object({ backup: z.boolean(), deploy: z.boolean(), restore: z.literal(true) }),
  /** Seconds until the next check-in is expected. */
  nextCheckInSeconds: z.int().positive(),
});
export type CheckInResponse = z.infer<typeof CheckInResponse>;

/** Refusals of the local API with their HTTP status. Every 5xx and 429 carries Retry-After. */
export const localRefusals = {
  BAD_REQUEST: 400,
  CREDENTIAL_WRONG: 401,
  JOIN_CODE_WRONG: 403,
  PRODUCT_KEY_WRONG: 403,
  NOT_FOUND: 404,
  NO_KEY: 409,
  KEY_RESTRICTED: 409,
  KEY_DISABLED: 409,
  KEY_DEACTIVATED: 409,
  ENDPOINT_LIMIT: 409,
  NOT_DEPLOYED: 409,
  MONTH_NOT_SEALED: 409,
  NOTHING_TO_CONFIRM: 409,
  CLOCK_BEHIND: 409,
  CLOCK_TOO_FAR_AHEAD: 409,
  BODY_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  TIME_UNCONFIRMED: 503,
  STOPPING: 503,
} as const;
export type LocalRefusalCode = keyof typeof localRefusals;

export const RemoveEndpointRequest = z.object({ endpointId: EndpointId, reason: z.enum(['replaced', 'operator']) });
export type RemoveEndpointRequest = z.infer<typeof RemoveEndpointRequest>;

export const CorrectReportRequest = z.object({
  month: Month,
  exclude: z.array(EndpointId).min(1).max(1000),
  reason: Reason,
});
export type CorrectReportRequest = z.infer<typeof CorrectReportRequest>;

export const KeyStatus = z.object({
  keyId: ProductKeyId,
  product: Product,
  keyHint: z.string(),
  state: KeyState,
  leaseIssuedAt: Instant,
  leaseUntil: Instant,
});
export type KeyStatus = z.infer<typeof KeyStatus>;

const KindCounts = z.object({ server: z.int().nonnegative(), workstation: z.int().nonnegative() });
export type KindCounts = z.infer<typeof KindCounts>;

export const EndpointRow = z.object({
  endpointId: EndpointId,
  machineId: MachineId,
  hostName: HostName,
  kind: AgentKind.nullable(),
  origin: AgentOrigin.nullable(),
  agentVersion: SoftwareVersion.nullable(),
  deployedAt: Instant.nullable(),
  lastHeardAt: Instant.nullable(),
});
export type EndpointRow = z.infer<typeof EndpointRow>;

/** Named conditions an operator should know of, worst first. */
export const HealthCondition = z.object({
  code: z.enum([
    'OUT_OF_CONTACT',
    'REFUSED_BY_AGGREGATOR',
    'NOT_ACKNOWLEDGED',
    'KEY_WARNING',
    'KEY_RESTRICTED',
    'KEY_DISABLED',
    'KEY_DEACTIVATED',
    'NO_KEY',
    'TIME_UNCONFIRMED',
    'AGGREGATOR_CLOCK_DIFFERS',
    'CLOCK_WRONG',
    'NOTICE',
  ]),
  message: z.string(),
  since: Instant.nullable(),
});
export type HealthCondition = z.infer<typeof HealthCondition>;

export const SiteStatus = z.object({
  siteId: SiteId,
  siteName: Name,
  timeZone: TimeZone,
  aggregatorUrl: z.string(),
  software: SoftwareVersion,
  now: Instant,
  connected: z.boolean(),
  lastContactAt: Instant.nullable(),
  ledger: z.object({ seq: z.int().nonnegative(), acknowledgedSeq: z.int().nonnegative() }),
  keys: z.array(KeyStatus),
  settings: SiteSettings,
  deployed: KindCounts,
  active: KindCounts,
  month: Month,
  peakSoFar: KindCounts,
  conditions: z.array(HealthCondition),
});
export type SiteStatus = z.infer<typeof SiteStatus>;
