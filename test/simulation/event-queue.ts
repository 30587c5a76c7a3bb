/** What happens when, in true time: a heap of events, those of one instant in the order in which they were planned. */

type Planned = { atMs: number; order: number; run: () => void | Promise<void> };

export class EventQueue {
  /** True time, milliseconds since 1970. */
  nowMs: number;
  /** Events run so far. */
  ran = 0;
  readonly #heap: Planned[] = [];
  #order = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  /** Plans an event; one in the past is a mistake of the simulator. */
  at(atMs: number, run: () => void | Promise<void>): void {
    if (!(atMs >= this.nowMs)) throw new RangeError(`an event at ${atMs} is planned at ${this.nowMs}`);
    this.#heap.push({ atMs, order: this.#order++, run });
    this.#siftUp(this.#heap.length - 1);
  }

  after(delayMs: number, run: () => void | Promise<void>): void {
    this.at(this.nowMs + Math.max(0, Math.round(delayMs)), run);
  }

  /** Runs everything planned up to and at `endMs`, what is planned meanwhile included; it is then `endMs`. */
  async runUntil(endMs: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#removeFirst();
      this.nowMs = next.atMs;
      this.ran++;
      const running = next.run();
      // Awaiting costs more than most events do, and most do not wait for the store.
      if (running !== undefined) await running;
    }
    this.nowMs = endMs;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown(0);
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    for (let index = from; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index], heap[parent])) return;
      swap(heap, index, parent);
      index = parent;
    }
  }

  #siftDown(from: number): void {
    const heap = this.#heap;
    for (let index = from; ; ) {
      const left = index * 2 + 1;
      const right = left + 1;
      let first = index;
      if (left < heap.length && isBefore(heap[left], heap[first])) first = left;
      if (right < heap.length && isBefore(heap[right], heap[first])) first = right;
      if (first === index) return;
      swap(heap, index, first);
      index = first;
    }
  }
}

function isBefore(a: Planned | undefined, b: Planned | undefined): boolean {
  if (a === undefined || b === undefined) throw new RangeError('the heap has no such place');
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function swap(heap: Planned[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b] as Planned, heap[a] as Planned];
}
