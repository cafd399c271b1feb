/** Operations on shared memory against the reference, with ranks that go on in any order. */
import { describe, expect, it } from 'vitest';
import type { CollectiveName } from '../../../../collectives/collective.ts';
import { Prng } from '../../../../common/prng.ts';
import { MAILBOX_OPERAND_BYTES } from '../../../../node/hccl/shared/mailbox.ts';
import { planOf } from '../../../../node/hccl/shared/shared-offer.ts';
import { CallSession } from './call-session.ts';
import { SharedWorld } from './shared-world.ts';
import { type CallChoices, randomCall, type WorldCall } from './world-call.ts';

const SMALL: readonly CollectiveName[] = ['allReduce', 'allGather', 'reduceScatter', 'broadcast'];

function choices(nranks: number): CallChoices {
  return {
    nranks,
    small: SMALL,
    smallAlgorithm: () => 'mailbox',
    pulled: [...SMALL, 'reduce', 'gather', 'scatter'],
    counts: [0, 1, 2, 3, 17, 64, 255, 1000],
    fits: (_, operandBytes) => operandBytes <= MAILBOX_OPERAND_BYTES,
    isRunnable: (choice) => planOf(choice, 0) !== undefined,
  };
}

describe('operations on shared memory', () => {
  it.each([2, 3, 4, 5])('of %i ranks have the bits of the reference, in any order', (nranks) => {
    const prng = new Prng(nranks);
    for (let round = 0; round < 2; round++) {
      const calls = Array.from({ length: 30 }, () => randomCall(prng, choices(nranks)));
      new CallSession(new SharedWorld(nranks), calls, prng).run();
    }
  });

  it('of long messages are cut into slices', () => {
    const prng = new Prng(77);
    const common = { mode: 'pull', root: 0, type: 'float32', op: 'sum' } as const;
    const call = { ...common, inPlace: [true, false], count: 200_003 };
    const calls: WorldCall[] = [
      { ...call, collective: 'allReduce', algorithm: 'direct' },
      { ...call, collective: 'allReduce', algorithm: 'ring' },
      { ...call, collective: 'broadcast', algorithm: 'chain', root: 1 },
      { ...call, collective: 'allGather', algorithm: 'direct', count: 100_001 },
    ];
    new CallSession(new SharedWorld(2), calls, prng).run();
  });

  it('go on when the count of cells wraps around', () => {
    const prng = new Prng(3);
    const world = new SharedWorld(3);
    for (const { place, mailbox } of world.ranks) {
      place.advance(2 ** 32 - 7);
      mailbox.progress = 2 ** 32 - 7;
    }
    const calls = Array.from({ length: 20 }, () => randomCall(prng, choices(3)));
    new CallSession(world, calls, prng).run();
    for (const { mailbox } of world.ranks) expect(mailbox.progress).toBeLessThan(2 ** 31);
  });

  it('count their bytes and themselves', () => {
    const world = new SharedWorld(4);
    const call: WorldCall = {
      ...{ mode: 'pull', collective: 'allReduce', algorithm: 'direct', root: 0 },
      ...{ count: 400, type: 'float32', op: 'sum', inPlace: [true, true, true, true] },
    };
    new CallSession(
      world,
      [call, { ...call, mode: 'small', algorithm: 'mailbox' }],
      new Prng(1),
    ).run();
    for (const { control } of world.ranks) {
      expect(control.traffic).toEqual({
        bytesRead: 2 * 1200 + 3 * 1600,
        bytesServed: 2 * 1200 + 3 * 1600,
        operations: 2,
      });
    }
  });
});
