/** Lists of numbers that grow, in typed arrays: for what has many entries and no fixed number of them. */

const FIRST_CAPACITY = 64;

export class IntList {
  #items = new Int32Array(FIRST_CAPACITY);
  length = 0;

  push(item: number): void {
    if (this.length === this.#items.length) {
      const grown = new Int32Array(2 * this.length);
      grown.set(this.#items);
      this.#items = grown;
    }
    this.#items[this.length++] = item;
  }

  at(index: number): number {
    return this.#items[index] as number;
  }

  set(index: number, item: number): void {
    this.#items[index] = item;
  }

  /** The items so far; valid until the next `push`. */
  items(): Int32Array {
    return this.#items.subarray(0, this.length);
  }
}

export class FloatList {
  #items = new Float64Array(FIRST_CAPACITY);
  length = 0;

  /** Returns the new length. */
  push(item: number): number {
    if (this.length === this.#items.length) {
      const grown = new Float64Array(2 * this.length);
      grown.set(this.#items);
      this.#items = grown;
    }
    this.#items[this.length++] = item;
    return this.length;
  }

  at(index: number): number {
    return this.#items[index] as number;
  }

  /** The items so far; valid until the next `push`. */
  items(): Float64Array {
    return this.#items.subarray(0, this.length);
  }
}
