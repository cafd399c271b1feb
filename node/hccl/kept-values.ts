/** What was made before for the same key, up to a number of values: the one used longest ago goes first. */
export class KeptValues<T> {
  readonly #max: number;
  readonly #values = new Map<string, T>();
  /** The key that was used last. */
  #newest: string | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  clear(): void {
    this.#values.clear();
    this.#newest = undefined;
  }

  /** The value of `key` if it is there; this is not a use of it. */
  peek(key: string): T | undefined {
    return this.#values.get(key);
  }

  /** The value of `key`, made if it is not there. What `make` throws is thrown, and nothing kept. */
  get(key: string, make: () => T): T {
    const known = this.#values.get(key);
    if (known !== undefined && key === this.#newest) return known;
    const value = known ?? make();
    if (known !== undefined) this.#values.delete(key);
    const oldest = this.#values.keys().next();
    if (this.#values.size >= this.#max && !oldest.done) this.#values.delete(oldest.value);
    this.#values.set(key, value);
    this.#newest = key;
    return value;
  }
}
