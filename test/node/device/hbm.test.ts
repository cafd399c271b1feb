import { describe, expect, it } from 'vitest';
import { DRAM_PAGE_BYTES, Hbm } from '../../../node/device/hbm.ts';

const PAGE = DRAM_PAGE_BYTES;

describe('Hbm', () => {
  it('never gives offset 0, gives every byte, and then ENOMEM', () => {
    const hbm = new Hbm(4 * PAGE);
    const offsets = [1, 2, 3, 4].map(() => hbm.allocate(PAGE, PAGE));
    expect(offsets).toEqual([PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE]);
    expect(hbm.allocate(PAGE, PAGE)).toBe('ENOMEM');
    expect(hbm.allocatedBytes).toBe(hbm.bytes);
  });

  it('keeps the import aperture beside the memory that can be allocated', () => {
    const hbm = new Hbm(2 * PAGE, 3 * PAGE);
    expect(hbm.allocate(3 * PAGE, PAGE)).toBe('ENOMEM');
    expect(hbm.memory.buffer.byteLength).toBe(6 * PAGE);
    expect(hbm.view(hbm.apertureOffset, hbm.apertureBytes).byteLength).toBe(3 * PAGE);
  });

  it('zeroes what was handed out since the last scrub', () => {
    const hbm = new Hbm(4 * PAGE);
    hbm.allocate(PAGE, PAGE);
    const offset = hbm.allocate(2 * PAGE, PAGE) as number;
    hbm.view(offset, 2 * PAGE).fill(7);
    expect(() => hbm.scrubSlice(PAGE)).toThrow('Expected no allocation');
    hbm.free(PAGE);
    hbm.free(offset);
    expect(hbm.scrubSlice(4 * PAGE)).toBe('done');
    expect(hbm.view(PAGE, 4 * PAGE).every((byte) => byte === 0)).toBe(true);
  });

  it('is zeroed a slice at a time, at least a page, and every page once', () => {
    const hbm = new Hbm(4 * PAGE);
    hbm.touch(PAGE, 3 * PAGE);
    hbm.view(PAGE, 3 * PAGE).fill(7);
    const zeroPages = () =>
      [1, 2, 3].filter((page) => hbm.view(page * PAGE, PAGE).every((byte) => byte === 0));
    expect(hbm.scrubSlice(2 * PAGE)).toBe('more');
    expect(zeroPages()).toEqual([1, 2]);
    expect(hbm.scrubSlice(1)).toBe('done');
    expect(zeroPages()).toEqual([1, 2, 3]);
    hbm.view(PAGE, 1).fill(7);
    expect(hbm.scrubSlice(PAGE)).toBe('done');
    expect(zeroPages()).toEqual([2, 3]);
  });

  it.each([
    [0, 0],
    [PAGE + 1, 0],
    [65535 * PAGE, 0],
    [PAGE, 65534 * PAGE],
    [PAGE, -PAGE],
    [Number.NaN, 0],
  ])('refuses sizes that no memory can have: %d and %d', (bytes, aperture) => {
    expect(() => new Hbm(bytes, aperture)).toThrow(
      expect.objectContaining({ code: 'HLSIM_CONFIG' }),
    );
  });
});
