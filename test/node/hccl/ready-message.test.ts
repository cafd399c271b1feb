import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTROL_TAG } from '../../../node/hccl/control-message.ts';
import {
  bytesTag,
  decodeReady,
  encodeReady,
  READY_BYTES,
  READY_TAG,
} from '../../../node/hccl/ready-message.ts';

describe('READY', () => {
  it('comes back as it was sent', () => {
    const ready = fc.record({
      number: fc.nat({ max: 2 ** 32 - 1 }),
      dataType: fc.nat({ max: 9 }),
      count: fc.maxSafeNat(),
    });
    fc.assert(
      fc.property(ready, (one) => {
        expect(decodeReady(encodeReady(one))).toEqual(one);
      }),
    );
  });

  it('is a fixed layout, little-endian', () => {
    const bytes = encodeReady({ number: 0x01020304, dataType: 7, count: 2 });
    expect(Buffer.from(bytes).toString('hex')).toBe(`0403020107000000${'00'.repeat(7)}40`);
  });

  it('of another length is none', () => {
    for (const length of [0, READY_BYTES - 1, READY_BYTES + 1]) {
      expect(decodeReady(new Uint8Array(length))).toBe(undefined);
    }
  });

  it('has a tag of its own, and so has every message', () => {
    const tags = [CONTROL_TAG, READY_TAG, bytesTag(0), bytesTag(1), bytesTag(2 ** 32 - 1)];
    expect(new Set(tags).size).toBe(tags.length);
  });
});
