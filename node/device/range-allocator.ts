/**
 * First-fit allocator of contiguous ranges of a number line: device memory, and blocks of virtual
 * addresses. Free ranges are kept sorted and never touch (neighbours coalesce), so a line from which
 * everything was freed is one range again.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { roundUp } from '../../common/math.ts';

interface FreeRange {
  start: number;
  end: number;
}

export class RangeAllocator {
  readonly #free: FreeRange[] = [];
  readonly #allocated = new Map<number, number>();
  #allocatedBytes = 0;

  /** Everything in [start, end) is free. */
  constructor(start: number, end: number) {
    assert(start >= 0 && start <= end && Number.isSafeInteger(end), 'Expected a range of integers');
    if (start < end) this.#free.push({ start, end });
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Allocations that have not been freed. */
  get allocatedCount(): number {
    return this.#allocated.size;
  }

  /** Start of the lowest free range of `bytes` at a multiple of `alignment`; ENOMEM changes nothing. */
  allocate(bytes: number, alignment: number): number | Errno {
    assert(bytes > 0 && alignment > 0, `Expected a range to allocate but found ${bytes} bytes`);
    for (const [index, range] of this.#free.entries()) {
      const start = roundUp(range.start, alignment);
      if (start + bytes > range.end) continue;
      this.#take(index, range, start, start + bytes);
      return start;
    }
    return 'ENOMEM';
  }

  /** Allocates exactly [start, start + bytes); ENOMEM, and no change, unless all of it is free. */
  allocateAt(start: number, bytes: number): number | Errno {
    assert(bytes > 0, `Expected a range to allocate but found ${bytes} bytes`);
    const end = start + bytes;
    const index = this.#free.findIndex((range) => range.start <= start && end <= range.end);
    const range = this.#free[index];
    if (range === undefined) return 'ENOMEM';
    this.#take(index, range, start, end);
    return start;
  }

  /** Frees the allocation that starts at `start`, and tells its size. */
  free(start: number): number {
    const bytes = this.#allocated.get(start);
    assert(bytes !== undefined, `Expected an allocation at ${start}`);
    this.#allocated.delete(start);
    this.#allocatedBytes -= bytes;
    this.#release({ start, end: start + bytes });
    return bytes;
  }

  /** The free ranges, lowest first. */
  freeRanges(): readonly Readonly<FreeRange>[] {
    return this.#free.map((range) => ({ ...range }));
  }

  #take(index: number, range: FreeRange, start: number, end: number): void {
    const before = { start: range.start, end: start };
    const after = { start: end, end: range.end };
    const rest = [before, after].filter((part) => part.start < part.end);
    this.#free.splice(index, 1, ...rest);
    this.#allocated.set(start, end - start);
    this.#allocatedBytes += end - start;
  }

  #release(range: FreeRange): void {
    let index = 0;
    while (index < this.#free.length && (this.#free[index] as FreeRange).end < range.start) index++;
    const left = this.#free[index];
    if (left === undefined || left.start > range.end) {
      this.#free.splice(index, 0, range);
      return;
    }
    // `left` touches the range at its start or at its end; its right neighbour may touch it too.
    left.start = Math.min(left.start, range.start);
    left.end = Math.max(left.end, range.end);
    const right = this.#free[index + 1];
    if (right !== undefined && right.start === left.end) {
      left.end = right.end;
      this.#free.splice(index + 1, 1);
    }
  }
}
