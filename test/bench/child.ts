/** Child processes of the benchmarks, so that what is measured shares neither heap nor processor time with what measures it. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const answerTimeoutMs = 300_000;

/** A child that answers each message with one message. */
export class BenchChild {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static start(file: string, flags: readonly string[] = []): BenchChild {
    const path = fileURLToPath(new URL(file, import.meta.url));
    return new BenchChild(
      fork(path, [], {
        execArgv: [...flags],
        serialization: 'advanced',
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    );
  }

  /** The answer is what the child's file says it answers; both ends are ours. */
  ask<Answer>(message: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('a child process did not answer')), answerTimeoutMs);
      const ended = (code: number | null): void => reject(new Error(`a child process ended with ${code}`));
      this.#child.once('exit', ended);
      this.#child.once('message', (answer) => {
        clearTimeout(timer);
        this.#child.off('exit', ended);
        resolve(answer as Answer);
      });
      this.#child.send(message as object);
    });
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** The child's end: answers each message, one after the other. */
export function answerAll(answer: (message: never) => Promise<unknown>): void {
  process.on('message', (message) => {
    void answer(message as never).then((given) => process.send?.(given ?? null));
  });
}
