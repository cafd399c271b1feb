/** What happens next: events by time, those of one time in the order in which they were added. */

interface Entry<T> {
  readonly seconds: number;
  readonly sequence: number;
  readonly event: T;
}

/** A binary heap. */
export class TimeQueue<T> {
  readonly #heap: Entry<T>[] = [];
  #sequence = 0;

  add(seconds: number, event: T): void {
    const entry: Entry<T> = { seconds, sequence: this.#sequence++, event };
    let index = this.#heap.length;
    this.#heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(entry, parent)) break;
      this.#heap[index] = this.#heap[parent] as Entry<T>;
      index = parent;
    }
    this.#heap[index] = entry;
  }

  /** Takes the next event out; `undefined`: there is none. */
  next(): T | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (this.#heap.length > 0) this.#sink(last);
    return first.event;
  }

  /** Puts an entry where the first one was. */
  #sink(entry: Entry<T>): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1] as Entry<T>, child)) child++;
      if (!this.#isBefore(heap[child] as Entry<T>, entry)) break;
      heap[index] = heap[child] as Entry<T>;
      index = child;
    }
    heap[index] = entry;
  }

  #isBefore(a: Entry<T>, other: number | Entry<T>): boolean {
    const b = typeof other === 'number' ? (this.#heap[other] as Entry<T>) : other;
    return a.seconds === b.seconds ? a.sequence < b.sequence : a.seconds < b.seconds;
  }
}
