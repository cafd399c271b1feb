import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sliceStep } from '../../../node/hccl/slicing.ts';

const SLICE = 8;
const WINDOW = 32;

describe('slices of a step', () => {
  it('of one long chunk are windows of equal slices', () => {
    const pieces = sliceStep([70], SLICE, WINDOW);
    expect(pieces.map(({ window, bytes }) => [window, bytes])).toEqual([
      [0, 8],
      [0, 8],
      [0, 8],
      [0, 8],
      [1, 8],
      [1, 8],
      [1, 8],
      [1, 8],
      [2, 6],
    ]);
  });

  it('of chunks that fit in a window are cut across them', () => {
    expect(sliceStep([5, 5, 5], SLICE, WINDOW)).toEqual([
      { window: 0, offset: 0, bytes: 8 },
      { window: 0, offset: 8, bytes: 7 },
    ]);
  });

  it('of long chunks take the same window of each', () => {
    const starts = sliceStep([40, 40], 32, WINDOW).map(({ window, offset }) => [window, offset]);
    expect(starts).toEqual([
      [0, 0],
      [0, 40],
      [1, 32],
      [1, 72],
    ]);
  });

  it('cover every byte once, each chunk on a grid of its own', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 120 }), { maxLength: 6 }), (chunks) => {
        const total = chunks.reduce((sum, bytes) => sum + bytes, 0);
        const windows = new Array<number>(total).fill(-1);
        for (const { window, offset, bytes } of sliceStep(chunks, SLICE, WINDOW)) {
          expect(bytes).toBeGreaterThan(0);
          expect(bytes).toBeLessThanOrEqual(SLICE);
          for (let at = offset; at < offset + bytes; at++) {
            expect(windows[at]).toBe(-1);
            windows[at] = window;
          }
        }
        const expected = chunks.flatMap((bytes) =>
          Array.from({ length: bytes }, (_, at) => Math.floor(at / WINDOW)),
        );
        expect(windows).toEqual(expected);
      }),
    );
  });
});
