/** How a collective goes over wires: all ranks must come to the same answer, and their plans must fit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { algorithmsFor } from '../../../../collectives/table.ts';
import { flatTopology } from '../../../../collectives/topology.ts';
import { KiB, MiB } from '../../../../common/bytes.ts';
import { ranksOf } from '../../../../common/math.ts';
import { PROGRAM_COLLECTIVES } from '../../../../node/hccl/program/program-collectives.ts';
import type { PullChoice } from '../../../../node/hccl/shared/shared-offer.ts';
import {
  pushPlanOf,
  RING_BLOCK_BYTES,
  RING_REDUCE_RANKS,
  WIRE_SLICE_BYTES,
  wireAlgorithm,
} from '../../../../node/hccl/wire/wire-choice.ts';
import { SMALL_BYTES } from '../../../../node/hccl/wire/wire-stage.ts';

const COLLECTIVES = Object.values(PROGRAM_COLLECTIVES);
const collective = fc.constantFrom(...COLLECTIVES);
const bytes = fc.oneof(
  fc.nat({ max: 64 * KiB }),
  fc.nat({ max: 2 ** 32 }),
  fc.constantFrom(SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 48 * KiB),
);
const ranks = fc.integer({ min: 2, max: 64 });

describe('wireAlgorithm()', () => {
  it('knows a way for every collective, however long', () => {
    fc.assert(
      fc.property(collective, bytes, ranks, (name, operandBytes, nranks) => {
        const found = wireAlgorithm(name, operandBytes, nranks);
        expect(algorithmsFor(name)).toContain(found?.algorithm);
      }),
    );
  });

  it('sends to all others what fits the stage, and is not much altogether', () => {
    fc.assert(
      fc.property(collective, bytes, ranks, (name, operandBytes, nranks) => {
        fc.pre(wireAlgorithm(name, operandBytes, nranks)?.mode === 'small');
        expect(operandBytes).toBeLessThanOrEqual(SMALL_BYTES);
        expect(operandBytes * (nranks - 1)).toBeLessThanOrEqual(48 * KiB);
      }),
    );
  });

  it.each([
    ['allReduce', 'oneShot'],
    ['allGather', 'direct'],
    ['broadcast', 'direct'],
  ] as const)('a short %s is one step', (name, algorithm) => {
    expect(wireAlgorithm(name, 0, 64)).toEqual({ mode: 'small', algorithm });
    expect(wireAlgorithm(name, SMALL_BYTES, 2)).toEqual({ mode: 'small', algorithm });
    expect(wireAlgorithm(name, SMALL_BYTES, 4)).toEqual({ mode: 'small', algorithm });
    expect(wireAlgorithm(name, SMALL_BYTES, 5)).toEqual({ mode: 'pull', algorithm: 'direct' });
    expect(wireAlgorithm(name, SMALL_BYTES + 1, 2)).toEqual({ mode: 'pull', algorithm: 'direct' });
  });
});

describe('wireAlgorithm() of long operands', () => {
  const ring = { mode: 'pull', algorithm: 'ring' };
  const direct = { mode: 'pull', algorithm: 'direct' };

  it('gathers long blocks in a ring', () => {
    expect(wireAlgorithm('allGather', RING_BLOCK_BYTES - 1, 8)).toEqual(direct);
    expect(wireAlgorithm('allGather', RING_BLOCK_BYTES, 8)).toEqual(ring);
    expect(wireAlgorithm('allGather', RING_BLOCK_BYTES, 2)).toEqual(ring);
  });

  it('sums long blocks of many ranks in a ring', () => {
    const few = RING_REDUCE_RANKS - 1;
    expect(wireAlgorithm('allReduce', 8 * RING_BLOCK_BYTES - 1, 8)).toEqual(direct);
    expect(wireAlgorithm('allReduce', 8 * RING_BLOCK_BYTES, 8)).toEqual(ring);
    expect(wireAlgorithm('allReduce', 6 * RING_BLOCK_BYTES, RING_REDUCE_RANKS)).toEqual(ring);
    expect(wireAlgorithm('allReduce', 64 * RING_BLOCK_BYTES, few)).toEqual(direct);
  });

  it('does nothing else in a ring', () => {
    for (const name of COLLECTIVES) {
      if (name === 'allGather' || name === 'allReduce') continue;
      expect(wireAlgorithm(name, 64 * RING_BLOCK_BYTES, 8)?.algorithm, name).not.toBe('ring');
    }
  });
});

/** Algorithms that can be built for so many ranks. */
function choicesOf(name: PullChoice['collective'], nranks: number, count: number): PullChoice[] {
  const root = nranks - 1;
  const common = { collective: name, root, count, elementBytes: 4 };
  return algorithmsFor(name).flatMap((algorithm) => {
    const choice = { ...common, algorithm, topology: flatTopology(nranks) };
    try {
      pushPlanOf(choice, 0);
      return [choice];
    } catch {
      // Not with so many ranks.
      return [];
    }
  });
}

describe('pushPlanOf()', () => {
  const cases = COLLECTIVES.flatMap((name) =>
    [2, 3, 4, 7, 8].map((nranks) => [name, nranks] as const),
  );

  it.each(cases)(
    '%s of %i ranks: all have a plan or none, and what one sends another takes',
    (name, nranks) => {
      for (const count of [0, 1, 1000, 300_000]) {
        for (const choice of choicesOf(name, nranks, count)) {
          const plans = ranksOf(nranks).map((rank) => pushPlanOf(choice, rank));
          const made = plans.filter((plan) => plan !== undefined);
          expect([0, nranks], choice.algorithm).toContain(made.length);
          for (const [rank, plan] of made.entries()) {
            for (const [source, { outbound }] of made.entries()) {
              const taken = plan.cells.flatMap(({ pulls }) =>
                pulls.filter(({ src }) => src === source),
              );
              const sent = (source === rank ? [] : outbound[rank]) ?? [];
              if (source === rank) continue;
              expect(sent.map(({ length }) => length)).toEqual(taken.map(({ length }) => length));
            }
          }
        }
      }
    },
  );

  it('there is one for what is chosen where nobody has chosen', () => {
    for (const name of COLLECTIVES) {
      for (const nranks of [2, 3, 5, 8]) {
        const sizes = { root: 0, count: 1000, elementBytes: 4, topology: flatTopology(nranks) };
        for (const operandBytes of [MiB, 16 * MiB]) {
          const { mode, algorithm = '' } = wireAlgorithm(name, operandBytes, nranks) ?? {};
          expect(mode).toBe('pull');
          expect(pushPlanOf({ collective: name, algorithm, ...sizes }, 0)).toBeDefined();
        }
      }
    }
  });

  it('cuts messages into slices of so many bytes and a rest, or into as many as there may be', () => {
    const common = {
      collective: 'broadcast',
      algorithm: 'direct',
      root: 0,
      elementBytes: 4,
    } as const;
    const topology = flatTopology(2);
    const lengths = (count: number) => {
      const plan = pushPlanOf({ ...common, count, topology }, 0);
      return plan?.outbound[1]?.map(({ length }) => 4 * length) ?? [];
    };
    const slice = WIRE_SLICE_BYTES / 4;
    expect(lengths(slice)).toEqual([WIRE_SLICE_BYTES]);
    // Frames fill packets: all but the last are as long as may be.
    expect(lengths(slice + 1)).toEqual([WIRE_SLICE_BYTES, 4]);
    const nine = Array(9).fill(WIRE_SLICE_BYTES);
    expect(lengths(10 * slice - 7)).toEqual([...nine, WIRE_SLICE_BYTES - 28]);
    expect(lengths(256 * slice)).toEqual(Array(256).fill(WIRE_SLICE_BYTES));
    expect(lengths(512 * slice)).toEqual(Array(256).fill(2 * WIRE_SLICE_BYTES));
    // Longer ones begin at multiples of 64 elements.
    const long = lengths(300 * slice + 1).slice(0, -1);
    expect(new Set(long).size).toBe(1);
    expect((long[0] ?? 0) % (64 * 4)).toBe(0);
  });
});
