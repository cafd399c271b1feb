import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../../collectives/collective.ts';
import {
  CONTROL_BYTES_MAX,
  CONTROL_KINDS,
  type ControlMessage,
  dataImmediate,
  laneOfImmediate,
  readControl,
  sequenceOfImmediate,
  writeControl,
} from '../../../node/hccl/control-message.ts';
import { LANES_MAX } from '../../../node/hccl/lanes.ts';
import { ALGORITHM_BYTES_MAX, countsDigest, sameCall } from '../../../node/hccl/operation-call.ts';
import { INLINE_BYTES_MAX } from '../../../node/hccl/operation-header.ts';

const uint8 = fc.integer({ min: 0, max: 255 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const region = fc.option(
  fc.record({
    address: fc.maxSafeNat(),
    key: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    length: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  }),
  { nil: undefined },
);
const inline = fc.record({
  counts: fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: LANES_MAX }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: INLINE_BYTES_MAX }),
});
const message: fc.Arbitrary<ControlMessage> = fc
  .oneof(
    fc.record({
      kind: fc.constant('HELLO' as const),
      paths: fc.subarray(['p2p', 'wire'] as const),
    }),
    fc.record({
      kind: fc.constant('PATH' as const),
      path: fc.constantFrom('ws' as const, 'p2p' as const),
    }),
    fc.record({
      kind: fc.constant('WIRE' as const),
      ticket: fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => Buffer.from(bytes).toString('hex')),
    }),
    fc.record({
      kind: fc.constant('WIRES' as const),
      verdict: fc.constantFrom('open' as const, 'refused' as const),
    }),
    fc
      .record({
        kind: fc.constant('HEADER' as const),
        sequence: uint32,
        call: fc.record({
          collective: fc.constantFrom(...COLLECTIVES, 'custom' as const),
          count: fc.nat(),
          countsDigest: fc.maxSafeNat(),
          dataType: uint8,
          reduceOp: uint8,
          root: uint32,
          algorithm: fc.oneof(
            fc.string({ maxLength: ALGORITHM_BYTES_MAX / 4, unit: 'grapheme-composite' }),
            fc.constantFrom('ring', '', 'a'.repeat(ALGORITHM_BYTES_MAX)),
          ),
          channels: fc.integer({ min: 0, max: 0xffff }),
          chunks: uint32,
          sliceBytes: uint32,
        }),
        sends: fc.maxSafeNat(),
        expects: fc.maxSafeNat(),
        regions: fc.record({ input: region, output: region, scratch: region, slots: region }),
        lanes: fc.array(fc.tuple(uint32, uint32), { maxLength: LANES_MAX }),
        inline: fc.option(inline, { nil: undefined }),
      })
      .map(({ lanes, ...header }) => ({
        ...header,
        granted: lanes.map(([granted]) => granted),
        released: lanes.map(([, released]) => released),
      })),
    fc.record({
      kind: fc.constant('CREDIT' as const),
      sequence: uint32,
      lane: uint8,
      granted: uint32,
      slotsReleased: uint32,
    }),
    fc.record({ kind: fc.constant('BYE' as const), lastSequence: uint32, progress: uint32 }),
    fc.record({
      kind: fc.constant('WINDOW' as const),
      use: fc.constantFrom('mailbox' as const, 'buffer' as const),
      id: uint32,
      bytes: fc.double({ noNaN: true }),
    }),
    fc.record({
      kind: fc.constant('WINDOW_ANSWER' as const),
      id: uint32,
      result: fc.constantFrom('mapped' as const, 'refused' as const),
    }),
    fc.record({ kind: fc.constant('WITHDRAW' as const), id: uint32 }),
  )
  .filter((one) => one.kind !== 'HEADER' || utf8Bytes(one.call.algorithm) <= ALGORITHM_BYTES_MAX);

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A view that starts somewhere in its buffer, and whose bytes are not 0. */
function viewOf(bytes: Uint8Array): DataView {
  const buffer = new Uint8Array(bytes.length + 7).fill(0xee);
  buffer.set(bytes, 3);
  return new DataView(buffer.buffer, 3, bytes.length);
}

function written(value: ControlMessage): { readonly view: DataView; readonly length: number } {
  const view = viewOf(new Uint8Array(CONTROL_BYTES_MAX).fill(0xee));
  return { view, length: writeControl(value, view) };
}

describe('control messages', () => {
  it('readControl() reads what writeControl() wrote, over whatever was there', () => {
    fc.assert(
      fc.property(message, (value) => {
        const { view, length } = written(value);
        expect(readControl(view, length)).toEqual(value);
      }),
    );
  });

  it('the longest header fits', () => {
    const longest = fc.sample(message, 200).find(({ kind }) => kind === 'HEADER');
    expect(longest?.kind).toBe('HEADER');
    if (longest?.kind !== 'HEADER') return;
    const { length } = written({
      ...longest,
      call: { ...longest.call, algorithm: 'x'.repeat(ALGORITHM_BYTES_MAX) },
      granted: Array.from({ length: LANES_MAX }, () => 1),
      released: Array.from({ length: LANES_MAX }, () => 1),
      inline: {
        counts: Array.from({ length: LANES_MAX }, () => 1),
        bytes: new Uint8Array(INLINE_BYTES_MAX),
      },
    });
    expect(length).toBe(CONTROL_BYTES_MAX);
  });

  it('readControl() refuses or reads any bytes, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const read = readControl(viewOf(bytes), bytes.length);
        if (read !== undefined) expect(Object.keys(CONTROL_KINDS)).toContain(read.kind);
      }),
    );
  });

  it('readControl() refuses a message that was cut or has bytes too many', () => {
    fc.assert(
      fc.property(message, fc.nat({ max: 500 }), (value, cut) => {
        const { view, length } = written(value);
        expect(readControl(view, length + 1)).toBeUndefined();
        if (cut < length) expect(readControl(view, cut)).toBeUndefined();
      }),
    );
  });

  it('the immediate carries the lane and the low bits of the operation number', () => {
    const data = dataImmediate(3, 0x1234567);
    expect([laneOfImmediate(data), sequenceOfImmediate(data)]).toEqual([3, 0x234567]);
    expect(dataImmediate(255, 0xffffff)).toBe(0xffffffff);
  });
});

describe('calls', () => {
  const call = {
    collective: 'allReduce',
    count: 10,
    countsDigest: 0,
    dataType: 7,
    reduceOp: 0,
    root: 0,
    algorithm: 'ring',
    channels: 1,
    chunks: 0,
    sliceBytes: 4096,
  } as const;

  it('sameCall() tells every difference', () => {
    expect(sameCall(call, { ...call })).toBe(true);
    const changes = [
      { collective: 'broadcast' },
      { count: 11 },
      { countsDigest: 1 },
      { dataType: 9 },
      { reduceOp: 1 },
      { root: 1 },
      { algorithm: 'recursiveDoubling' },
      { channels: 2 },
      { chunks: 4 },
      { sliceBytes: 8192 },
    ] as const;
    expect(changes.flatMap((change) => Object.keys(change)).sort()).toEqual(
      Object.keys(call).sort(),
    );
    for (const change of changes) expect(sameCall(call, { ...call, ...change })).toBe(false);
  });

  it('countsDigest() is a whole number that tells lists apart, by order and length too', () => {
    const lists = [[], [0], [0, 0], [1, 2], [2, 1], [2 ** 40], [2 ** 40 + 2 ** 32], [3], [1, 2, 0]];
    const digests = lists.map(countsDigest);
    expect(new Set(digests).size).toBe(lists.length);
    for (const digest of digests) expect(Number.isSafeInteger(digest)).toBe(true);
    expect(countsDigest([1, 2])).toBe(countsDigest([1, 2]));
  });
});
