/** For tests of commands: a server that answers what the test says, and the program run against it in this process. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { problemMediaType } from '@rollcall/shared/api/problem.ts';
import { runProgram } from '../program.ts';

/** By method and address, such as `GET /api/v1/closes?month=2026-03`: a body, or a status other than 200 with it. */
export type CannedAnswers = Record<string, object | WholeAnswer>;

type WholeAnswer = { status: number; body: object };

/** A problem has a status of its own, and no body. */
const isWhole = (answer: object): answer is WholeAnswer => 'status' in answer && 'body' in answer;

export type Ran = { code: number; out: string; err: string; asked: { what: string; body: unknown }[] };

/** Runs one command line; whatever is asked beyond the canned answers is 404. */
export async function runAgainst(answers: CannedAnswers, args: readonly string[]): Promise<Ran> {
  const asked: Ran['asked'] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const what = `${request.method} ${request.url}`;
    let text = '';
    for await (const chunk of request) text += String(chunk);
    asked.push({ what, body: text === '' ? undefined : JSON.parse(text) });
    const canned = answers[what] ?? { status: 404, body: problem(404, 'NOT_FOUND', `no canned answer to ${what}`) };
    const { status, body } = isWhole(canned) ? canned : { status: 200, body: canned };
    response.writeHead(status, { 'content-type': status < 300 ? 'application/json' : problemMediaType });
    response.end(JSON.stringify(body));
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const [out, err] = [new PassThrough(), new PassThrough()];
  const environment = { ROLLCALL_SERVER: `http://127.0.0.1:${port}`, ROLLCALL_TOKEN: 'rc_any' };
  try {
    const code = await runProgram(args, { environment, out, err });
    return { code, out: String(out.read() ?? ''), err: String(err.read() ?? ''), asked };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

export const problem = (status: number, code: string, detail: string, more: object = {}): object => ({
  type: `urn:rollcall:problem:${code.toLowerCase().replaceAll('_', '-')}`,
  title: 'Refused',
  status,
  code,
  detail,
  ...more,
});
