/**
 * What has a time already and only has to be worked out: first in, first out, so that what is known early is
 * worked out early and little waits at any moment.
 */

const FIRST_CAPACITY = 1024;
const ITEM = 3;

export class WorkQueue {
  #times = new Float64Array(FIRST_CAPACITY);
  #items = new Int32Array(ITEM * FIRST_CAPACITY);
  #head = 0;
  length = 0;
  /** What `take` took out last. */
  time = 0;
  whose = 0;
  what = 0;
  cause = 0;

  add(time: number, whose: number, what: number, cause: number): void {
    if (this.length === this.#times.length) this.#grow();
    const at = (this.#head + this.length++) & (this.#times.length - 1);
    this.#times[at] = time;
    const items = this.#items;
    items[ITEM * at] = whose;
    items[ITEM * at + 1] = what;
    items[ITEM * at + 2] = cause;
  }

  /** Takes the first item out, which must be there. */
  take(): void {
    const at = this.#head;
    this.time = this.#times[at] as number;
    const items = this.#items;
    this.whose = items[ITEM * at] as number;
    this.what = items[ITEM * at + 1] as number;
    this.cause = items[ITEM * at + 2] as number;
    this.#head = (at + 1) & (this.#times.length - 1);
    this.length--;
  }

  #grow(): void {
    const capacity = this.#times.length;
    const times = new Float64Array(2 * capacity);
    const items = new Int32Array(2 * ITEM * capacity);
    const tail = capacity - this.#head;
    times.set(this.#times.subarray(this.#head));
    times.set(this.#times.subarray(0, this.#head), tail);
    items.set(this.#items.subarray(ITEM * this.#head));
    items.set(this.#items.subarray(0, ITEM * this.#head), ITEM * tail);
    this.#times = times;
    this.#items = items;
    this.#head = 0;
  }
}
