/**
 * Prints documents as PDF: in a thread beside the one that serves sites and people, one at a time, with a bounded queue
 * before it. Finalised documents never change, so their bytes are kept, the latest used first. How a document looks is
 * `invoice-pdf.ts`.
 */
import type { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Invoice } from '@rollcall/shared/api/invoice.ts';
import { type Outcome, refuse } from '@rollcall/shared/domain/problem.ts';
import { systemClock } from '@rollcall/shared/node/clock.ts';
import type { InvoiceDocument } from './invoice-document.ts';
import type { PrintAnswer } from './pdf-thread.ts';

/** Documents that wait while one is printed; the longest takes about a second. */
export const waitingMax = 16;
/** When to come back, told to whoever finds the queue full: half of it is done by then. */
export const retryAfterSeconds = 8;
/** Of all documents kept; a page is some 20 kB. */
export const keptBytesMax = 32 * 1024 * 1024;
/** After which a thread is taken for stuck, and ended. */
const printTimeoutMs = 30_000;
const threadMegabytesMax = 512;

type Bytes = Uint8Array<ArrayBuffer>;
type Printed = Outcome<{ bytes: Bytes }, 'PRINTING_BUSY'>;

/** What the press needs of a thread. */
export type PrintThread = EventEmitter & Pick<Worker, 'postMessage' | 'terminate'>;

export type PdfPress = {
  /** The document is read when its turn comes. `PRINTING_BUSY`: too many wait already. */
  print(invoice: Pick<Invoice, 'id' | 'state'>, read: () => Promise<InvoiceDocument>): Promise<Printed>;
  /** Ends the thread; what is being printed fails. */
  close(): Promise<void>;
};

/** @param openThread makes the thread, at the first document and after one that broke. */
export function createPdfPress(openThread: () => PrintThread = openPdfThread): PdfPress {
  const kept = new KeptFiles();
  const underway = new Map<string, Promise<Printed>>();
  let thread: PrintThread | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  /** The one being printed, and those that wait. */
  let inside = 0;

  const dropThread = async (): Promise<void> => {
    const dropped = thread;
    thread = undefined;
    await dropped?.terminate();
  };

  const printNow = async (read: () => Promise<InvoiceDocument>): Promise<Printed> => {
    const document = await read();
    thread ??= openThread();
    try {
      return { ok: true, bytes: await answerOf(thread, document) };
    } catch (error) {
      await dropThread();
      throw error;
    }
  };

  const inTurn = (read: () => Promise<InvoiceDocument>): Promise<Printed> => {
    inside++;
    const printed = turn.then(() => printNow(read)).finally(() => inside--);
    turn = printed.catch(() => undefined);
    return printed;
  };

  return {
    async print({ id, state }, read) {
      const isFinal = state === 'finalised';
      const bytes = isFinal ? kept.get(id) : undefined;
      if (bytes !== undefined) return { ok: true, bytes };
      const same = underway.get(id);
      if (isFinal && same !== undefined) return same;
      if (inside > waitingMax)
        return refuse('PRINTING_BUSY', `${waitingMax} documents wait to be printed`, 'ask again a little later');
      const printed = inTurn(read);
      if (!isFinal) return printed;
      underway.set(id, printed);
      try {
        const done = await printed;
        if (done.ok) kept.add(id, done.bytes);
        return done;
      } finally {
        underway.delete(id);
      }
    },
    close: dropThread,
  };
}

function openPdfThread(): PrintThread {
  const worker = new Worker(new URL('./pdf-thread.ts', import.meta.url), {
    name: 'pdf',
    resourceLimits: { maxOldGenerationSizeMb: threadMegabytesMax },
  });
  // The program ends when its server does, whatever is printed.
  worker.unref();
  return worker;
}

/** One document through the thread. @throws Error when the thread fails on it, breaks, or does not come to an end. */
function answerOf(thread: PrintThread, document: InvoiceDocument): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      cancelTimeout();
      thread.off('message', answered);
      thread.off('error', broke);
      thread.off('exit', ended);
      act();
    };
    const answered = (answer: PrintAnswer): void =>
      settle(() => {
        if ('bytes' in answer) resolve(answer.bytes);
        else reject(new Error(`a document could not be printed: ${answer.failure}`));
      });
    const broke = (cause: Error): void => settle(() => reject(new Error('the thread that prints broke', { cause })));
    const ended = (): void => settle(() => reject(new Error('the thread that prints ended')));
    const cancelTimeout = systemClock.after(printTimeoutMs, () =>
      settle(() => reject(new Error(`a document was not printed within ${printTimeoutMs} ms`))),
    );
    thread.on('message', answered);
    thread.on('error', broke);
    thread.on('exit', ended);
    thread.postMessage(document);
  });
}

/** Files by identifier, in the order of their last use; the oldest go when there is too much. */
class KeptFiles {
  readonly #files = new Map<string, Bytes>();
  #bytes = 0;

  get(id: string): Bytes | undefined {
    const file = this.#files.get(id);
    if (file === undefined) return undefined;
    this.#files.delete(id);
    this.#files.set(id, file);
    return file;
  }

  add(id: string, file: Bytes): void {
    if (file.byteLength > keptBytesMax) return;
    this.#files.set(id, file);
    this.#bytes += file.byteLength;
    for (const [oldest, { byteLength }] of this.#files) {
      if (this.#bytes <= keptBytesMax) return;
      this.#files.delete(oldest);
      this.#bytes -= byteLength;
    }
  }
}
