/** The thread that prints: takes documents, answers bytes. Setting a long one takes a second, which no socket should wait for. */
import { parentPort } from 'node:worker_threads';
import type { InvoiceDocument } from './invoice-document.ts';
import { invoicePdf } from './invoice-pdf.ts';

/** What the thread answers to a document. */
export type PrintAnswer = { bytes: Uint8Array<ArrayBuffer> } | { failure: string };

parentPort?.on('message', (document: InvoiceDocument) => {
  invoicePdf(document).then(
    // Handed over, not copied.
    (bytes) => parentPort?.postMessage({ bytes } satisfies PrintAnswer, [bytes.buffer]),
    (error: unknown) =>
      parentPort?.postMessage({
        failure: error instanceof Error ? (error.stack ?? error.message) : String(error),
      } satisfies PrintAnswer),
  );
});
