/** What the local API and the commands need of a running Site Manager; `site-manager.ts` gives it. */
import type {
  AgentReport,
  CheckInResponse,
  CorrectReportRequest,
  LocalRefusalCode,
  RegisterRequest,
  RegisterResponse,
  RemoveEndpointRequest,
  SiteStatus,
} from '@rollcall/shared/api/local.ts';
import type { Outcome } from '@rollcall/shared/domain/problem.ts';
import type { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';

/** Every call that answers `ok` has made its change durable first. */
export type SitePort = {
  registerEndpoint(request: RegisterRequest): Promise<Outcome<RegisterResponse, LocalRefusalCode>>;
  /** `credential` is the bearer's text. */
  checkIn(credential: string, agent: AgentReport | null): Promise<Outcome<CheckInResponse, LocalRefusalCode>>;
  removeEndpoint(request: RemoveEndpointRequest): Promise<Outcome<{ removed: true }, LocalRefusalCode>>;
  correctReport(request: CorrectReportRequest): Promise<Outcome<{ report: DeployedAgentsReport }, LocalRefusalCode>>;
  /** The operator vouches for the machine's clock where it is in doubt and no contact can (site-clock.ts). */
  confirmClock(): Promise<Outcome<{ confirmed: true }, LocalRefusalCode>>;
  status(): SiteStatus;
};
