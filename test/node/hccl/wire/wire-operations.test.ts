/** Operations on wires against the reference: ranks that go on in any order, on wires that hold little. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CollectiveName } from '../../../../collectives/collective.ts';
import { KiB, MiB } from '../../../../common/bytes.ts';
import { ranksOf } from '../../../../common/math.ts';
import { Prng } from '../../../../common/prng.ts';
import { PROGRAM_COLLECTIVES } from '../../../../node/hccl/program/program-collectives.ts';
import { pushPlanOf, wireAlgorithm } from '../../../../node/hccl/wire/wire-choice.ts';
import { SMALL_BYTES } from '../../../../node/hccl/wire/wire-stage.ts';
import { CallSession } from '../shared/call-session.ts';
import { type CallChoices, randomCall, type WorldCall } from '../shared/world-call.ts';
import { WireWorld } from './wire-world.ts';

const COLLECTIVES: readonly CollectiveName[] = Object.values(PROGRAM_COLLECTIVES);
const SMALL: readonly CollectiveName[] = ['allReduce', 'allGather', 'broadcast'];
const PATIENCE = 200_000;

function choices(nranks: number): CallChoices {
  const small = (collective: CollectiveName, operandBytes: number) => {
    const chosen = wireAlgorithm(collective, operandBytes, nranks);
    return chosen?.mode === 'small' ? chosen.algorithm : undefined;
  };
  return {
    nranks,
    small: SMALL,
    smallAlgorithm: (collective) => small(collective, 0) ?? 'none',
    pulled: COLLECTIVES,
    counts: [0, 1, 2, 3, 17, 64, 255, 1000, 2047, 5000],
    fits: (collective, operandBytes) => small(collective, operandBytes) !== undefined,
    isRunnable: (choice) => pushPlanOf(choice, 0) !== undefined,
  };
}

/** Random calls of so many elements at most, on random wires. */
function runRandom(
  nranks: number,
  init: { seed: number; capacity: number; most: number },
  count: number,
) {
  const { seed, ...wires } = init;
  const prng = new Prng(seed);
  const some = choices(nranks);
  const counts = some.counts.filter((one) => one <= count);
  const calls = Array.from({ length: 6 }, () => randomCall(prng, { ...some, counts }));
  const world = new WireWorld({ nranks, prng, ...wires, windowBytes: 512 * KiB });
  new CallSession(world, calls, prng, PATIENCE).run();
}

describe('operations on wires', () => {
  it.each([2, 3, 4, 5, 6, 7, 8])('of %i ranks have the bits of the reference', (nranks) => {
    const init = fc.record({
      seed: fc.integer(),
      capacity: fc.integer({ min: 256, max: 40 * KiB }),
      most: fc.integer({ min: 256, max: 8 * KiB }),
    });
    fc.assert(
      fc.property(init, (wires) => runRandom(nranks, wires, 5000)),
      { numRuns: 6 },
    );
  });

  it.each([2, 3, 4])('of %i ranks do on wires that hold next to nothing', (nranks) => {
    const init = fc.record({
      seed: fc.integer(),
      capacity: fc.integer({ min: 1, max: 64 }),
      most: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(init, (wires) => runRandom(nranks, wires, 17)),
      { numRuns: 6 },
    );
  });

  const long: WorldCall = {
    ...{ mode: 'pull', collective: 'allReduce', algorithm: 'direct', root: 0 },
    ...{ count: 100_003, type: 'float32', op: 'sum', inPlace: [true, false] },
  };
  it.each([
    ['less than a slice', 30 * KiB, 8 * KiB],
    ['some slices', 1 * MiB, 2 * KiB],
    ['all', 8 * MiB, 128 * KiB],
  ])('of long messages are cut into slices, on wires that hold %s', (_, capacity, most) => {
    const prng = new Prng(77);
    const calls: WorldCall[] = [
      long,
      { ...long, count: 200_003, op: 'avg' },
      { ...long, algorithm: 'ring', inPlace: [true, true] },
      { ...long, collective: 'broadcast', algorithm: 'chain', root: 1 },
      { ...long, collective: 'allGather' },
      { ...long, collective: 'reduceScatter' },
    ];
    new CallSession(new WireWorld({ nranks: 2, prng, capacity, most }), calls, prng).run();
  });

  it.each([2, 3, 4])('of %i ranks take the longest operands that there is room for', (nranks) => {
    const prng = new Prng(nranks);
    const count = SMALL_BYTES / 4;
    expect(wireAlgorithm('allReduce', SMALL_BYTES, nranks)?.mode).toBe('small');
    const small: WorldCall = { ...long, mode: 'small', count, inPlace: [false, true, false, true] };
    const calls: WorldCall[] = [
      small,
      { ...small, collective: 'allGather' },
      { ...small, collective: 'broadcast', root: 1 },
      { ...small, mode: 'pull', collective: 'allGather' },
      { ...small, mode: 'pull', count: nranks * count },
      { ...small, mode: 'pull', count: nranks * (count + 1) },
    ];
    for (const wires of [
      { capacity: 64 * KiB, most: 1 * KiB },
      { capacity: 300, most: 64 * KiB },
    ])
      new CallSession(new WireWorld({ nranks, prng, ...wires }), calls, prng, PATIENCE).run();
  });

  it('count their bytes and themselves', () => {
    const prng = new Prng(1);
    const world = new WireWorld({ nranks: 4, prng });
    const inPlace = [true, true, true, true];
    const reduction: WorldCall = { ...long, count: 400, inPlace };
    const gather: WorldCall = {
      ...long,
      collective: 'allGather',
      mode: 'small',
      count: 400,
      inPlace,
    };
    const broadcast: WorldCall = { ...gather, collective: 'broadcast', root: 2 };
    new CallSession(world, [reduction, gather, broadcast], prng).run();
    for (const { rank, control } of world.ranks) {
      const isRoot = rank === 2;
      expect(control.traffic).toEqual({
        bytesRead: 2 * 1200 + 3 * 1600 + (isRoot ? 0 : 1600),
        bytesServed: 2 * 1200 + 3 * 1600 + (isRoot ? 3 * 1600 : 0),
        operations: 3,
      });
    }
  });

  it('name a call once while it is the same', () => {
    const prng = new Prng(1);
    const world = new WireWorld({ nranks: 2, prng });
    const call: WorldCall = { ...long, mode: 'small', count: 10 };
    new CallSession(world, [call, call, call, { ...call, count: 11 }, call], prng).run();
    const payload = 4 * 40 + 44;
    expect(world.wire(0, 1).received).toBe(3 * 512 + 5 * 18 + payload);
  });

  it('leave nothing in the wires', () => {
    const prng = new Prng(5);
    const world = new WireWorld({ nranks: 3, prng });
    const calls = Array.from({ length: 20 }, () => randomCall(prng, choices(3)));
    new CallSession(world, calls, prng, PATIENCE).run();
    const held = ranksOf(3).flatMap((rank) =>
      ranksOf(3).map((peer) => world.wire(rank, peer).held),
    );
    expect(held).toEqual(Array(9).fill(0));
  });
});
