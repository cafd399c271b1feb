/** Memory behind a region: a list of pieces, of which a range is a list of views. */
import { assert, defined } from '../../common/assert.ts';

interface Piece {
  readonly bytes: Uint8Array;
}

/** A list of segments with an index by offset. Holds no right to use them: ask its owner first. */
export class SegmentList {
  readonly #pieces: readonly Piece[];
  /** Offset of each piece, ascending. */
  readonly #starts: readonly number[];
  readonly size: number;

  constructor(pieces: readonly Piece[]) {
    const starts: number[] = [];
    let size = 0;
    for (const piece of pieces) {
      starts.push(size);
      size += piece.bytes.byteLength;
    }
    this.#pieces = pieces;
    this.#starts = starts;
    this.size = size;
  }

  /** Views of [offset, offset + length), in order. The range must lie inside. */
  slice(offset: number, length: number): Uint8Array[] {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      assert(false, `Expected a range in ${this.size} bytes but found ${offset}+${length}`);
    }
    const [only] = this.#pieces;
    if (only !== undefined && this.#pieces.length === 1 && length > 0) {
      return [only.bytes.subarray(offset, offset + length)];
    }
    const views: Uint8Array[] = [];
    let left = length;
    let position = offset;
    for (let index = this.#indexOf(offset); left > 0; index++) {
      const { bytes } = defined(this.#pieces[index], 'the segment');
      const within = position - defined(this.#starts[index], 'its start');
      const count = Math.min(left, bytes.byteLength - within);
      if (count > 0) views.push(bytes.subarray(within, within + count));
      position += count;
      left -= count;
    }
    return views;
  }

  /** The last piece that starts at or before `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (defined(this.#starts[middle], 'a start') <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
