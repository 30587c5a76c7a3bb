import { EventEmitter } from 'node:events';
import type { Invoice } from '@rollcall/shared/api/invoice.ts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { planClose } from '../core/billing/close.ts';
import { factsWith, idOf } from '../core/billing/testing/edge-facts.ts';
import { invoiceBody } from './invoice-body.ts';
import type { InvoiceDocument } from './invoice-document.ts';
import { createPdfPress, keptBytesMax, type PdfPress, waitingMax } from './pdf-press.ts';

// Whoever printed on this thread would meet this; the thread beside it has the real one.
vi.mock('pdfmake', () => ({
  default: {
    setFonts() {},
    setLocalAccessPolicy() {},
    setUrlAccessPolicy() {},
    createPdf(): never {
      throw new Error('printed on the main thread');
    },
  },
}));

const planned = planClose(factsWith());
if (!planned.ok || planned.plan === null) throw new Error('no invoice');
const { document: invoice, lines } = planned.plan;

const final = (number: number): Pick<Invoice, 'id' | 'state'> => ({ id: idOf('invoice', number), state: 'finalised' });
const draft: Pick<Invoice, 'id' | 'state'> = { id: idOf('invoice', 1), state: 'draft' };

async function read(): Promise<InvoiceDocument> {
  async function* batches() {
    yield lines;
  }
  return { invoice, timeZone: 'Europe/Rome', missingReportPolicy: 'hold', body: await invoiceBody(batches()) };
}

/** A thread that answers when the test says so. */
class HandThread extends EventEmitter {
  readonly documents: InvoiceDocument[] = [];
  isEnded = false;

  postMessage(document: InvoiceDocument): void {
    this.documents.push(document);
  }

  answer(byteLength = 10): void {
    this.emit('message', { bytes: new Uint8Array(byteLength) });
  }

  async terminate(): Promise<number> {
    this.isEnded = true;
    return 0;
  }
}

const threads: HandThread[] = [];
const openThread = (): HandThread => {
  const thread = new HandThread();
  threads.push(thread);
  return thread;
};
/** Lets everything that can go on go on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let press: PdfPress;
afterEach(async () => {
  await press.close();
  threads.length = 0;
});

describe('the press', () => {
  it('prints away from the main thread', async () => {
    press = createPdfPress();
    const printed = await press.print(final(1), read);
    if (!printed.ok) throw new Error(printed.message);
    expect(Buffer.from(printed.bytes).subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('prints one at a time, and reads a document only when its turn comes', async () => {
    press = createPdfPress(openThread);
    const reads = [vi.fn(read), vi.fn(read)];
    const both = Promise.all(reads.map((each, index) => press.print(final(index), each)));
    await settled();
    expect([reads[0]?.mock.calls.length, reads[1]?.mock.calls.length, threads[0]?.documents.length]).toEqual([1, 0, 1]);
    threads[0]?.answer();
    await settled();
    expect([reads[1]?.mock.calls.length, threads[0]?.documents.length]).toEqual([1, 2]);
    threads[0]?.answer();
    expect(await both).toMatchObject([{ ok: true }, { ok: true }]);
    expect(threads).toHaveLength(1);
  });

  it('says that it is busy where too many wait, and reads none of them', async () => {
    press = createPdfPress(openThread);
    const printed = Array.from({ length: waitingMax + 1 }, (_, number) => press.print(final(number), read));
    await settled();
    const late = vi.fn(read);
    expect(await press.print(final(99), late)).toMatchObject({ ok: false, code: 'PRINTING_BUSY' });
    expect(late).not.toHaveBeenCalled();
    for (const _ of printed) {
      threads[0]?.answer();
      await settled();
    }
    expect((await Promise.all(printed)).every((each) => each.ok)).toBe(true);
    const again = press.print(final(99), read);
    await settled();
    threads[0]?.answer();
    expect(await again).toMatchObject({ ok: true });
  });

  it('prints a finalised document once, whoever asks at once or later, and a draft each time', async () => {
    press = createPdfPress(openThread);
    const twice = Promise.all([press.print(final(1), read), press.print(final(1), read)]);
    await settled();
    threads[0]?.answer();
    await twice;
    expect(await press.print(final(1), read)).toMatchObject({ ok: true });
    expect(threads[0]?.documents).toHaveLength(1);
    for (let time = 1; time <= 2; time++) {
      const printed = press.print(draft, read);
      await settled();
      threads[0]?.answer();
      await printed;
      expect(threads[0]?.documents).toHaveLength(1 + time);
    }
  });

  it('keeps so many bytes and no more, the latest used', async () => {
    press = createPdfPress(openThread);
    const third = Math.floor(keptBytesMax / 3);
    const fresh = async (number: number, byteLength: number): Promise<boolean> => {
      const before = threads[0]?.documents.length ?? 0;
      const printed = press.print(final(number), read);
      await settled();
      threads[0]?.answer(byteLength);
      await printed;
      return threads[0]?.documents.length !== before;
    };
    for (const number of [1, 2, 3]) expect(await fresh(number, third)).toBe(true);
    expect(await fresh(1, third)).toBe(false);
    expect(await fresh(4, third)).toBe(true);
    // The second was used longest ago.
    expect([await fresh(1, third), await fresh(3, third), await fresh(4, third)]).toEqual([false, false, false]);
    expect(await fresh(2, third)).toBe(true);
    expect(await fresh(5, keptBytesMax + 1)).toBe(true);
    expect(await fresh(5, keptBytesMax + 1)).toBe(true);
  });

  it.each<[string, (thread: HandThread) => void]>([
    ['fails on a document', (thread) => thread.emit('message', { failure: 'Error: no such font' })],
    ['breaks', (thread) => thread.emit('error', new Error('out of memory'))],
    ['ends', (thread) => thread.emit('exit', 1)],
  ])('goes on with another thread where one %s', async (_how, happen) => {
    press = createPdfPress(openThread);
    const failed = press.print(final(1), read).catch((error: unknown) => error);
    await settled();
    happen(threads[0]!);
    expect(await failed).toBeInstanceOf(Error);
    expect(threads[0]?.isEnded).toBe(true);
    const printed = press.print(final(1), read);
    await settled();
    threads[1]?.answer();
    expect(await printed).toMatchObject({ ok: true });
  });

  it('does not keep the next waiting where a document cannot be read', async () => {
    press = createPdfPress(openThread);
    const failed = press.print(final(1), () => Promise.reject(new Error('the store is gone')));
    const printed = press.print(final(2), read);
    await expect(failed).rejects.toThrow('the store is gone');
    await settled();
    threads[0]?.answer();
    expect(await printed).toMatchObject({ ok: true });
  });
});
