import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ControlMessage,
  dataImmediate,
  decodeControl,
  encodeControl,
  readImmediate,
  sameCall,
} from '../../../node/hccl/control-message.ts';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const message: fc.Arbitrary<ControlMessage> = fc.oneof(
  fc.constant({ kind: 'HELLO' } as const),
  fc.record({
    kind: fc.constant('HEADER' as const),
    sequence: uint32,
    call: fc.record({
      collective: fc.constantFrom('allReduce', 'allGather', 'broadcast'),
      count: fc.nat(),
      dataType: fc.integer({ min: 0, max: 255 }),
      reduceOp: fc.integer({ min: 0, max: 255 }),
      root: uint32,
      algorithm: fc.constantFrom('ring', 'recursiveDoubling', 'binomialTree', ''),
    }),
    output: fc.record({
      address: fc.maxSafeNat(),
      key: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      length: fc.maxSafeNat(),
    }),
    granted: fc.array(uint32, { maxLength: 8 }),
  }),
  fc.record({
    kind: fc.constant('CREDIT' as const),
    sequence: uint32,
    channel: fc.integer({ min: 0, max: 255 }),
    granted: uint32,
    slotsReleased: uint32,
  }),
  fc.record({ kind: fc.constant('BYE' as const), lastSequence: uint32 }),
);

describe('control messages', () => {
  it('decodeControl() reads what encodeControl() wrote', () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(decodeControl(encodeControl(value))).toEqual(value);
      }),
    );
  });

  it('decodeControl() refuses or reads any bytes, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const decoded = decodeControl(bytes);
        if (decoded !== undefined) expect(encodeControl(decoded).length).toBeGreaterThan(0);
      }),
    );
  });

  it('decodeControl() refuses a message that was cut or has bytes too many', () => {
    fc.assert(
      fc.property(message, fc.nat({ max: 500 }), (value, cut) => {
        const bytes = encodeControl(value);
        expect(decodeControl(Uint8Array.of(...bytes, 0))).toBeUndefined();
        if (cut < bytes.length) expect(decodeControl(bytes.subarray(0, cut))).toBeUndefined();
      }),
    );
  });

  it('the immediate carries the channel and the low bits of the operation number', () => {
    expect(readImmediate(dataImmediate(3, 0x1234567))).toEqual({ channel: 3, sequence: 0x234567 });
    expect(dataImmediate(255, 0xffffff)).toBe(0xffffffff);
  });

  it('sameCall() tells every difference', () => {
    const call = {
      collective: 'allReduce',
      count: 10,
      dataType: 7,
      reduceOp: 0,
      root: 0,
      algorithm: 'ring',
    } as const;
    expect(sameCall(call, { ...call })).toBe(true);
    const changes = [
      { collective: 'broadcast' },
      { count: 11 },
      { dataType: 9 },
      { reduceOp: 1 },
      { root: 1 },
      { algorithm: 'recursiveDoubling' },
    ] as const;
    for (const change of changes) expect(sameCall(call, { ...call, ...change })).toBe(false);
  });
});
