import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RangeAllocator } from '../../../node/device/range-allocator.ts';

const START = 1000;
const END = 1064;

describe('RangeAllocator', () => {
  it('gives the lowest fitting range', () => {
    const ranges = new RangeAllocator(0, 10);
    expect([ranges.allocate(3, 1), ranges.allocate(4, 1), ranges.allocate(3, 1)]).toEqual([
      0, 3, 7,
    ]);
    expect(ranges.allocate(1, 1)).toBe('ENOMEM');
    ranges.free(3);
    expect(ranges.allocate(5, 1)).toBe('ENOMEM');
    expect(ranges.allocate(2, 2)).toBe(4);
    expect(ranges.freeRanges()).toEqual([
      { start: 3, end: 4 },
      { start: 6, end: 7 },
    ]);
  });

  it('refuses to free what is not the start of an allocation', () => {
    const ranges = new RangeAllocator(0, 10);
    ranges.allocate(4, 1);
    expect(() => ranges.free(1)).toThrow('Expected an allocation at 1');
  });

  it('keeps allocations disjoint, aligned and inside, loses nothing and coalesces everything', () => {
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant('allocate' as const),
        bytes: fc.integer({ min: 1, max: 20 }),
        alignment: fc.constantFrom(1, 2, 4, 8),
      }),
      fc.record({
        kind: fc.constant('allocateAt' as const),
        start: fc.integer({ min: START - 4, max: END + 4 }),
        bytes: fc.integer({ min: 1, max: 20 }),
      }),
      fc.record({ kind: fc.constant('free' as const), which: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const ranges = new RangeAllocator(START, END);
        /** Owner of each place; the model. */
        const owners: (number | undefined)[] = Array.from({ length: END }, () => undefined);
        const live = new Map<number, number>();
        const isFree = (start: number, bytes: number) => {
          const inside = start >= START && start + bytes <= END;
          return inside && owners.slice(start, start + bytes).every((one) => one === undefined);
        };
        for (const one of operations) {
          if (one.kind === 'free') {
            const start = [...live.keys()][one.which % Math.max(live.size, 1)];
            if (start === undefined) continue;
            ranges.free(start);
            owners.fill(undefined, start, start + (live.get(start) ?? 0));
            live.delete(start);
            continue;
          }
          const candidates =
            one.kind === 'allocateAt'
              ? [one.start]
              : Array.from({ length: END }, (_, at) => at).filter((at) => at % one.alignment === 0);
          const expected = candidates.find((at) => isFree(at, one.bytes)) ?? 'ENOMEM';
          const found =
            one.kind === 'allocateAt'
              ? ranges.allocateAt(one.start, one.bytes)
              : ranges.allocate(one.bytes, one.alignment);
          expect(found).toBe(expected);
          if (typeof found !== 'number') continue;
          live.set(found, one.bytes);
          owners.fill(found, found, found + one.bytes);
        }
        const sum = [...live.values()].reduce((total, bytes) => total + bytes, 0);
        expect([ranges.allocatedBytes, ranges.allocatedCount]).toEqual([sum, live.size]);
        for (const start of live.keys()) ranges.free(start);
        expect(ranges.freeRanges()).toEqual([{ start: START, end: END }]);
      }),
    );
  });
});
