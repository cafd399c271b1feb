import { describe, expect, it } from 'vitest';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { CallSizeTable } from '../../../node/hccl/call-sizes.ts';
import {
  type CallContext,
  type CollectiveArguments,
  checkCall,
} from '../../../node/hccl/collective-call.ts';
import { hcclFloat32, hcclSum } from '../../../node/hccl/hccl.ts';
import { ReduceOps } from '../../../node/hccl/reduce-ops.ts';

const NRANKS = 4;
const RECV = 0x100000;
/** Far from `RECV`. */
const SEND = 0x900000;

function contextOf(rank: number): CallContext {
  const ops = new ReduceOps();
  return {
    rank,
    nranks: NRANKS,
    strict: false,
    sizes: new CallSizeTable(rank, NRANKS),
    reduction: (op, dataType) => ops.find(op, dataType),
    choose: () => ({ algorithm: 'any', channels: 1, sliceBytes: 4096 }),
  };
}

function check(
  collective: CollectiveName,
  rank: number,
  arguments_: Partial<CollectiveArguments> = {},
) {
  return checkCall(
    {
      collective,
      sendBuffer: SEND,
      recvBuffer: RECV,
      count: 100,
      dataType: hcclFloat32,
      reduceOp: hcclSum,
      root: 1,
      ...arguments_,
    },
    contextOf(rank),
  );
}

/** Bytes of input and output of rank 2, of the root (rank 1), with 100 floats. */
const SIZES: readonly [CollectiveName, readonly number[], readonly number[]][] = [
  ['allReduce', [400, 400], [400, 400]],
  ['broadcast', [0, 400], [400, 400]],
  ['reduce', [400, 0], [400, 400]],
  ['allGather', [400, 1600], [400, 1600]],
  ['reduceScatter', [1600, 400], [1600, 400]],
  ['allToAll', [400, 400], [400, 400]],
  ['gather', [400, 0], [400, 1600]],
  ['scatter', [0, 400], [1600, 400]],
  ['barrier', [400, 400], [400, 400]],
];

/** Where sendBuffer lies, seen from recvBuffer, in a call in place of the root (rank 1). */
const IN_PLACE: readonly [CollectiveName, number][] = [
  ['allReduce', 0],
  ['broadcast', 0],
  ['reduce', 0],
  ['allToAll', 0],
  ['allGather', 400],
  ['gather', 400],
  ['reduceScatter', -400],
  ['scatter', -400],
];

describe('a checked collective', () => {
  it.each(SIZES)('%s: bytes of each buffer', (collective, other, root) => {
    const bytes = (rank: number) => {
      const { inputBytes, outputBytes } = check(collective, rank);
      return [inputBytes, outputBytes];
    };
    expect(bytes(2)).toEqual(other);
    expect(bytes(1)).toEqual(root);
  });

  it.each(IN_PLACE)('%s is in place with its send buffer at %d', (collective, shift) => {
    expect(check(collective, 1).placement).toBe('outOfPlace');
    expect(check(collective, 1, { sendBuffer: RECV + shift }).placement).toBe('inPlace');
  });

  it.each(IN_PLACE)('%s refuses buffers that overlap in part', (collective, shift) => {
    for (const wrong of [shift + 4, shift - 4]) {
      expect(() => check(collective, 1, { sendBuffer: RECV + wrong })).toThrow(
        /^hcclInvalidArgument: .*overlap in part/,
      );
    }
  });

  it('does not look at a buffer that does not matter on this rank', () => {
    for (const [collective, unused] of [
      ['broadcast', { sendBuffer: RECV + 1 }],
      ['scatter', { sendBuffer: RECV + 1 }],
      ['reduce', { recvBuffer: SEND + 1 }],
      ['gather', { recvBuffer: SEND + 1 }],
    ] as const) {
      expect(check(collective, 2, unused).placement).toBe('outOfPlace');
      expect(() => check(collective, 1, unused)).toThrow(/multiples of 4/);
    }
  });

  it('uneven counts: blocks lie one behind the other, in place too', () => {
    const counts = [10, 0, 5, 7];
    const gather = { count: undefined, counts };
    expect(check('allGatherV', 2, gather)).toMatchObject({ inputBytes: 20, outputBytes: 88 });
    expect(check('allGatherV', 2, { ...gather, sendBuffer: RECV + 40 }).placement).toBe('inPlace');
    expect(check('reduceScatterV', 3, gather)).toMatchObject({ inputBytes: 88, outputBytes: 28 });
    const part = { ...gather, sendBuffer: RECV - 60 };
    expect(check('reduceScatterV', 3, part).placement).toBe('inPlace');
    expect(check('allGatherV', 1, { ...gather, sendBuffer: RECV + 4 }).inputBytes).toBe(0);
  });

  it('all-to-all with uneven counts: each rank knows its own row and column', () => {
    const lists = { count: undefined, sendCounts: [1, 2, 3, 4], recvCounts: [5, 2, 0, 1] };
    const { call, inputBytes, outputBytes } = check('allToAllV', 1, lists);
    expect([inputBytes, outputBytes]).toEqual([40, 32]);
    expect(call.pairs).toEqual({ sent: lists.sendCounts, received: lists.recvCounts });
    expect(() => check('allToAllV', 1, { ...lists, sendBuffer: RECV })).toThrow(/same counts/);
    const even = { ...lists, recvCounts: lists.sendCounts, sendBuffer: RECV };
    expect(check('allToAllV', 1, even).placement).toBe('inPlace');
    expect(() => check('allToAllV', 0, lists)).toThrow(/rank 0 to receive from itself the 1/);
  });

  it('ranks agree on the placement where the schedule depends on it, and only there', () => {
    const inPlace = { sendBuffer: RECV };
    expect(check('allToAll', 1, inPlace).call.algorithm).toBe('any in place');
    expect(check('allToAll', 1).call.algorithm).toBe('any');
    expect(check('allReduce', 1, inPlace).call).toEqual(check('allReduce', 1).call);
  });

  it('counts per rank are told apart although their sums are equal', () => {
    const digest = (counts: number[]) =>
      check('allGatherV', 0, { count: undefined, counts }).call.countsDigest;
    expect(digest([1, 2, 3, 4])).toBe(digest([1, 2, 3, 4]));
    expect(digest([1, 2, 3, 4])).not.toBe(digest([4, 3, 2, 1]));
  });

  it.each([
    ['allToAll', { count: 10 }, /a multiple of 4 ranks but found 10/],
    ['allReduce', { count: -1 }, /a count of at least 0 elements but found -1/],
    ['allReduce', { count: 0.5 }, /a count of at least 0 elements but found 0.5/],
    ['allReduce', { count: undefined }, /a count of at least 0 elements but found undefined/],
    ['allReduce', { dataType: 10 }, /a data type of 0,1,2,3,4,5,6,7,8,9 but found 10/],
    ['allReduce', { reduceOp: 5 }, /a reduction of 0,1,2,3,4 but found 5/],
    ['reduceScatter', { reduceOp: 6 }, /a reduction of 0,1,2,3,4 but found 6/],
    ['allReduce', { reduceOp: undefined }, /a reduction of/],
    ['reduce', { root: 4 }, /a root from 0 to 3 but found 4/],
    ['gather', { root: undefined }, /a root from 0 to 3 but found undefined/],
    ['allReduce', { sendBuffer: SEND + 2 }, /multiples of 4 but found/],
    ['allGatherV', { counts: [1, 2, 3] }, /4 counts but found 3/],
    ['allGatherV', { counts: [1, 2, 3, -4] }, /at least 0 elements but found -4/],
    ['allToAllV', { sendCounts: [1, 1, 1, 1] }, /4 receive counts but found 0/],
  ] as const)('%s refuses %o', (collective, wrong, message) => {
    const attempt = () => check(collective, 1, wrong);
    expect(attempt).toThrow(/^hcclInvalidArgument: Expected/);
    expect(attempt).toThrow(message);
  });
});

describe('user-created reductions', () => {
  it('have numbers of their own, one data type, and an end', () => {
    const ops = new ReduceOps();
    const [half, twice] = [ops.create(0.5, hcclFloat32), ops.create(2, hcclFloat32)];
    expect(twice).not.toBe(half);
    expect(ops.find(half, hcclFloat32)).toEqual({ kind: 'preMulSum', agreedOp: 6, scalar: 0.5 });
    expect(ops.find(twice, hcclFloat32)).toMatchObject({ agreedOp: 6, scalar: 2 });
    expect(() => ops.find(half, 2)).toThrow(/to be used with data type 7 but found 2/);
    ops.destroy(half);
    expect(() => ops.find(half, hcclFloat32)).toThrow(/^hcclInvalidArgument: Expected a reduction/);
    expect(() => ops.destroy(half)).toThrow(/Expected a user-created reduction/);
  });

  it.each([
    [0, 128],
    [0, 1.5],
    [1, -1],
    [2, 2 ** 31],
    [5, -1],
  ])('of data type %d cannot scale by %d', (dataType, scalar) => {
    expect(() => new ReduceOps().create(scalar, dataType)).toThrow(/^hcclInvalidArgument: /);
  });
});
