/**
 * A payload that is being read from the socket straight to where it belongs: the views that it
 * fills, and how far it has come. One object per connection, used again for every payload.
 */
import { assert, defined } from '../../common/assert.ts';

export class PayloadFill {
  /** Where bytes go that nobody wants; only ever written. */
  readonly #trash: Uint8Array;
  #views: readonly Uint8Array[] | null = null;
  /** The view that is being filled, and how much of it is. */
  #index = 0;
  #offset = 0;
  #left = 0;

  constructor(trash: Uint8Array) {
    this.#trash = trash;
  }

  /** Bytes that are still to come; 0: no payload is under way. */
  get left(): number {
    return this.#left;
  }

  /** `null`: the payload is dropped. */
  get views(): readonly Uint8Array[] | null {
    return this.#views;
  }

  /** A payload of `length` bytes for `views`, which have as much room. */
  start(views: readonly Uint8Array[] | null, length: number): void {
    this.#views = views;
    this.#index = 0;
    this.#offset = 0;
    this.#left = length;
  }

  /** From here on bytes are dropped: their memory has been taken back. */
  drop(): void {
    this.#views = null;
  }

  /** The payload does not come any more. */
  abandon(): void {
    this.#views = null;
    this.#left = 0;
  }

  /** Stores bytes that were read elsewhere. */
  store(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.byteLength) {
      const target = this.window();
      const count = Math.min(target.byteLength, bytes.byteLength - from);
      if (this.#views !== null) target.set(bytes.subarray(from, from + count));
      this.advance(count);
      from += count;
    }
  }

  /** Where the next bytes go: not empty as long as some are to come. */
  window(): Uint8Array {
    if (this.#views === null) {
      const { byteLength } = this.#trash;
      return this.#left < byteLength ? this.#trash.subarray(0, this.#left) : this.#trash;
    }
    let view = defined(this.#views[this.#index], 'a view with room');
    while (this.#offset === view.byteLength) {
      this.#index++;
      this.#offset = 0;
      view = defined(this.#views[this.#index], 'a view with room');
    }
    return this.#offset === 0 ? view : view.subarray(this.#offset);
  }

  /** `count` bytes have been stored in the window. */
  advance(count: number): void {
    if (count > this.#left) {
      assert(false, `Expected at most ${this.#left} bytes but found ${count}`);
    }
    this.#left -= count;
    this.#offset += count;
  }
}

/** Whether two placements of one payload are the same memory. */
export function isSamePlace(
  one: readonly Uint8Array[] | null,
  other: readonly Uint8Array[] | null,
): boolean {
  if (one === null || other === null || one.length !== other.length) return false;
  return one.every((view, index) => {
    const twin = other[index];
    return (
      twin !== undefined &&
      view.buffer === twin.buffer &&
      view.byteOffset === twin.byteOffset &&
      view.byteLength === twin.byteLength
    );
  });
}
