/**
 * What happens at its time and not before: a binary heap in typed arrays. Entries of one time come out in any
 * order, as whoever asks takes all of a moment at once; adding many of one time, and taking them, costs no more
 * than a list would.
 */

const FIRST_CAPACITY = 1024;

export class MomentQueue {
  #times = new Float64Array(FIRST_CAPACITY);
  /** Four numbers per entry. */
  #entries = new Int32Array(4 * FIRST_CAPACITY);
  length = 0;
  /** The entry that `take` took out last. */
  kind = 0;
  subject = 0;
  detail = 0;
  cause = 0;

  /** Time of the first entry; infinite if there is none. */
  get time(): number {
    return this.length === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  add(time: number, kind: number, subject: number, detail: number, cause: number): void {
    if (this.length === this.#times.length) this.#grow();
    const times = this.#times;
    let index = this.length++;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((times[parent] as number) <= time) break;
      this.#move(parent, index);
      index = parent;
    }
    times[index] = time;
    const entries = this.#entries;
    const at = 4 * index;
    entries[at] = kind;
    entries[at + 1] = subject;
    entries[at + 2] = detail;
    entries[at + 3] = cause;
  }

  /** Takes the first entry out, which must be there. */
  take(): void {
    const entries = this.#entries;
    this.kind = entries[0] as number;
    this.subject = entries[1] as number;
    this.detail = entries[2] as number;
    this.cause = entries[3] as number;
    const last = --this.length;
    if (last > 0) this.#sink(last);
  }

  /** Puts the entry at `last` where the first one was. */
  #sink(last: number): void {
    const times = this.#times;
    const time = times[last] as number;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= last) break;
      if (child + 1 < last && (times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= time) break;
      this.#move(child, index);
      index = child;
    }
    this.#move(last, index);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number;
    const entries = this.#entries;
    const [source, target] = [4 * from, 4 * to];
    entries[target] = entries[source] as number;
    entries[target + 1] = entries[source + 1] as number;
    entries[target + 2] = entries[source + 2] as number;
    entries[target + 3] = entries[source + 3] as number;
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length);
    times.set(this.#times);
    this.#times = times;
    const entries = new Int32Array(2 * this.#entries.length);
    entries.set(this.#entries);
    this.#entries = entries;
  }
}
