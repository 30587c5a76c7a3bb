/** How a command asks the running service: over the local API, with the token that the data folder holds while it runs. */
import { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import {
  localPaths,
  type CorrectReportRequest,
  type RemoveEndpointRequest,
  SiteStatus,
} from '@rollcall/shared/api/local.ts';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { z } from 'zod';
import { isEnrolled, readLocalApiFile, readSiteFile } from '../identity.ts';

/** A correction of an old month reads the whole ledger. */
const answerTimeoutMs = 30_000;

const Problem = z.object({ code: z.string(), detail: z.string(), hint: z.string().optional() });

/** What only the running service can do. Each throws RollcallError: `SERVICE_NOT_RUNNING`, or the refusal's own code. */
export class OperatorClient {
  readonly #dataFolder: string;

  constructor(dataFolder: string) {
    this.#dataFolder = dataFolder;
  }

  status(): Promise<SiteStatus> {
    return this.#ask('GET', localPaths.status, undefined, SiteStatus);
  }

  async removeEndpoint(request: RemoveEndpointRequest): Promise<void> {
    await this.#ask('POST', localPaths.removeEndpoint, request, z.object({ removed: z.literal(true) }));
  }

  async correctReport(request: CorrectReportRequest): Promise<DeployedAgentsReport> {
    const { report } = await this.#ask(
      'POST',
      localPaths.correctReport,
      request,
      z.object({ report: DeployedAgentsReport }),
    );
    return report;
  }

  async confirmClock(): Promise<void> {
    await this.#ask('POST', localPaths.confirmClock, {}, z.object({ confirmed: z.literal(true) }));
  }

  async #ask<Schema extends z.ZodType>(
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    schema: Schema,
  ): Promise<z.infer<Schema>> {
    // Says that the folder is the wrong one before it says that nothing runs there.
    if (!isEnrolled(this.#dataFolder)) readSiteFile(this.#dataFolder);
    const place = readLocalApiFile(this.#dataFolder);
    // A service that was killed leaves its file behind, and anybody on this machine may listen at its old address.
    if (place === undefined || !isAlive(place.pid)) throw notRunning(undefined);
    const { status, value } = await this.#fetch(`${place.url}${path}`, method, body, place.operatorToken);
    const answer = schema.safeParse(value);
    if (status === 200 && answer.success) return answer.data;
    const problem = Problem.safeParse(value);
    if (!problem.success || status === 200)
      throw new RollcallError(
        'SERVICE_ANSWER_WRONG',
        `what listens at ${place.url} is not the Site Manager of this version`,
        {
          retryable: false,
          hint: 'restart the service',
        },
      );
    const { code, detail, hint } = problem.data;
    throw new RollcallError(code, detail, { retryable: status >= 429, ...(hint === undefined ? {} : { hint }) });
  }

  async #fetch(
    url: string,
    method: string,
    body: object | undefined,
    token: string,
  ): Promise<{ status: number; value: unknown }> {
    try {
      const response = await fetch(url, {
        method,
        redirect: 'error',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        signal: AbortSignal.timeout(answerTimeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, value: parseJson(text) };
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'TimeoutError')
        throw new RollcallError('SERVICE_DOES_NOT_ANSWER', 'the service runs but does not answer in time', {
          retryable: true,
          hint: 'its log says what it is doing; repeating the command is safe',
          cause,
        });
      throw notRunning(cause);
    }
  }
}

/** Another user's process is alive, too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

const notRunning = (cause: unknown): RollcallError =>
  new RollcallError('SERVICE_NOT_RUNNING', 'the service does not run', {
    retryable: true,
    hint: 'start it with `rollcall-site run`, or by the service manager of this machine',
    cause,
  });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
