/** Messages that wait in many short lists, in order of their tasks' numbers. */
import { NONE } from './templates.ts';

const FIRST_CAPACITY = 256;

export class WaitingLists {
  readonly #head: Int32Array;
  readonly #tail: Int32Array;
  #next = new Int32Array(FIRST_CAPACITY);
  #task = new Int32Array(FIRST_CAPACITY);
  #cause = new Int32Array(FIRST_CAPACITY);
  #time = new Float64Array(FIRST_CAPACITY);
  #used = 0;
  #free = NONE;
  /** Of the message that `take` took out last. */
  task = 0;
  time = 0;
  cause = 0;

  constructor(lists: number) {
    this.#head = new Int32Array(lists).fill(NONE);
    this.#tail = new Int32Array(lists).fill(NONE);
  }

  isEmpty(list: number): boolean {
    return this.#head[list] === NONE;
  }

  /** The task of the first message of a list that is not empty. */
  firstTask(list: number): number {
    return this.#task[this.#head[list] as number] as number;
  }

  add(list: number, task: number, time: number, cause: number): void {
    const node = this.#newNode();
    this.#task[node] = task;
    this.#time[node] = time;
    this.#cause[node] = cause;
    const tail = this.#tail[list] as number;
    if (tail === NONE || (this.#task[tail] as number) < task) {
      if (tail === NONE) this.#head[list] = node;
      else this.#next[tail] = node;
      this.#next[node] = NONE;
      this.#tail[list] = node;
      return;
    }
    let before = NONE;
    let after = this.#head[list] as number;
    while ((this.#task[after] as number) < task) {
      before = after;
      after = this.#next[after] as number;
    }
    this.#next[node] = after;
    if (before === NONE) this.#head[list] = node;
    else this.#next[before] = node;
  }

  /** Takes the first message out of a list that is not empty. */
  take(list: number): void {
    const node = this.#head[list] as number;
    const next = this.#next[node] as number;
    this.task = this.#task[node] as number;
    this.time = this.#time[node] as number;
    this.cause = this.#cause[node] as number;
    this.#head[list] = next;
    if (next === NONE) this.#tail[list] = NONE;
    this.#next[node] = this.#free;
    this.#free = node;
  }

  #newNode(): number {
    if (this.#free !== NONE) {
      const node = this.#free;
      this.#free = this.#next[node] as number;
      return node;
    }
    if (this.#used === this.#next.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    const capacity = 2 * this.#used;
    this.#next = grown(this.#next, capacity);
    this.#task = grown(this.#task, capacity);
    this.#cause = grown(this.#cause, capacity);
    const time = new Float64Array(capacity);
    time.set(this.#time);
    this.#time = time;
  }
}

function grown(items: Int32Array, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity);
  larger.set(items);
  return larger;
}
