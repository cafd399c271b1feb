/** What the files of two-level algorithms, and of HCCL's, claim. */
import { describe, expect } from 'vitest';
import {
  hcclAllGather,
  hcclAllReduce,
  hcclReduceScatter,
} from '../../../collectives/algorithms/hccl.ts';
import { hcclAllToAll } from '../../../collectives/algorithms/hccl-all-to-all.ts';
import { hcclBroadcast, hcclReduce } from '../../../collectives/algorithms/hccl-rooted.ts';
import { hierarchicalAllReduce } from '../../../collectives/algorithms/hierarchical.ts';
import {
  hierarchicalAllGather,
  hierarchicalAllToAll,
  hierarchicalReduceScatter,
} from '../../../collectives/algorithms/hierarchical-blocks.ts';
import {
  hierarchicalBroadcast,
  hierarchicalReduce,
} from '../../../collectives/algorithms/hierarchical-rooted.ts';
import { ringAllReduce } from '../../../collectives/algorithms/ring.ts';
import type { Schedule } from '../../../collectives/schedule.ts';
import { boxOf, type Topology } from '../../../collectives/topology.ts';
import { modulo } from '../../../common/math.ts';
import { claim, expectCost, expectSameBits } from './claims.ts';
import { chunksOf, type Message, messagesOf, mostSent } from './messages.ts';

const SHAPES: readonly (readonly [boxes: number, size: number])[] = [
  [2, 2],
  [2, 4],
  [3, 5],
  [4, 2],
  [8, 8],
];

function optionsOf(
  boxes: number,
  ranksPerBox: number,
): { readonly nranks: number; readonly topology: Topology } {
  return { nranks: boxes * ranksPerBox, topology: { boxes, ranksPerBox } };
}

/** Messages between boxes. */
function crossing(schedule: Schedule, topology: Topology): Message[] {
  return messagesOf(schedule).filter(
    ({ src, dst }) => boxOf(topology, src) !== boxOf(topology, dst),
  );
}

describe('two-level all-reduce', () => {
  const FILE = 'hierarchical.ts';

  claim(FILE, 'the ranks of the same index all-reduce their block across the boxes', () => {
    for (const [boxes, size] of SHAPES) {
      const { nranks, topology } = optionsOf(boxes, size);
      const schedule = hierarchicalAllReduce({ nranks, topology });
      for (const { src, dst, to } of crossing(schedule, topology)) {
        expect(dst % size).toBe(src % size);
        expect(Math.floor(to.chunk / boxes)).toBe(src % size);
      }
    }
  });

  claim(
    FILE,
    'Cost: 2(g-1)·α₁ + 2(b-1)·α₂ + 2(g-1)/g·n·β₁ + 2(b-1)/b·(n/g)·β₂ for b boxes of g ranks',
    () => {
      for (const [boxes, size] of SHAPES.slice(0, 4)) {
        const options = { ...optionsOf(boxes, size), inside: 'ring', across: 'ring' };
        const schedule = hierarchicalAllReduce(options);
        const across = crossing(schedule, options.topology);
        const inside = messagesOf(schedule).filter((message) =>
          across.every(
            ({ src, dst, round }) =>
              src !== message.src || dst !== message.dst || round !== message.round,
          ),
        );
        const n = schedule.chunks;
        expect(mostSent(inside)).toEqual({
          messages: 2 * (size - 1),
          chunks: (2 * (size - 1) * n) / size,
        });
        expect(mostSent(across)).toEqual({
          messages: 2 * (boxes - 1),
          chunks: (2 * (boxes - 1) * n) / boxes / size,
        });
        const p = options.nranks;
        const share = (p - 1) / p;
        expectCost(schedule, [2 * (size - 1) + 2 * (boxes - 1), 2 * share, share]);
      }
    },
  );

  claim(FILE, '1/g of the bytes of a flat ring cross', () => {
    const { nranks, topology } = optionsOf(8, 8);
    const twoLevel = hierarchicalAllReduce({ nranks, topology });
    const flat = crossing(ringAllReduce({ nranks, chunks: nranks }), topology);
    const toOneBox = (messages: readonly Message[]): Message[] =>
      messages.filter(({ dst }) => boxOf(topology, dst) === 0);
    const perRank = mostSent(crossing(twoLevel, topology)).chunks;
    const flatPerRank = mostSent(toOneBox(flat)).chunks;
    expect(perRank / flatPerRank).toBeCloseTo(7 / 8 / 8 / (63 / 64), 9);
  });

  claim(FILE, 'only the first rank of each box speaks across', () => {
    const { nranks, topology } = optionsOf(3, 4);
    const schedule = hierarchicalAllReduce({ nranks, topology, inside: 'binomialTree' });
    const speakers = new Set(crossing(schedule, topology).flatMap(({ src, dst }) => [src, dst]));
    expect([...speakers].sort((a, b) => a - b)).toEqual([0, 4, 8]);
  });
});

describe('two-level all-gather, reduce-scatter and all-to-all', () => {
  const FILE = 'hierarchical-blocks.ts';

  claim(
    FILE,
    'Every block crosses to another box once, to the rank of the index of its owner.',
    () => {
      for (const [boxes, size] of SHAPES) {
        const { nranks, topology } = optionsOf(boxes, size);
        const messages = crossing(hierarchicalAllGather({ nranks, topology }), topology);
        expect(chunksOf(messages)).toBe(nranks * (boxes - 1));
        for (const { dst, to } of messages) expect(to.chunk % size).toBe(dst % size);
      }
    },
  );

  claim(FILE, 'Across, these are reduce-scattered.', () => {
    for (const [boxes, size] of SHAPES) {
      const { nranks, topology } = optionsOf(boxes, size);
      const messages = crossing(hierarchicalReduceScatter({ nranks, topology }), topology);
      expect(chunksOf(messages)).toBe(nranks * (boxes - 1));
      for (const { src, dst } of messages) expect(src % size).toBe(dst % size);
    }
  });

  claim(FILE, 'b - 1 messages of a rank cross, not (b-1)·g', () => {
    for (const [boxes, size] of SHAPES) {
      const { nranks, topology } = optionsOf(boxes, size);
      const sent = mostSent(crossing(hierarchicalAllToAll({ nranks, topology }), topology));
      expect(sent).toEqual({ messages: boxes - 1, chunks: (boxes - 1) * size });
    }
  });
});

describe('two-level broadcast and reduce', () => {
  const FILE = 'hierarchical-rooted.ts';

  claim(FILE, 'The vector crosses to each box once.', () => {
    for (const [boxes, size] of SHAPES) {
      const { nranks, topology } = optionsOf(boxes, size);
      const messages = crossing(hierarchicalBroadcast({ nranks, topology, root: 1 }), topology);
      expect(messages.map(({ dst }) => boxOf(topology, dst)).sort()).toHaveLength(boxes - 1);
      expect(messages.every(({ src, dst }) => src % size === 1 && dst % size === 1)).toBe(true);
    }
  });

  claim(FILE, 'one vector leaves a box', () => {
    for (const [boxes, size] of SHAPES) {
      const { nranks, topology } = optionsOf(boxes, size);
      const messages = crossing(hierarchicalReduce({ nranks, topology, root: 1 }), topology);
      const from = messages.map(({ src }) => boxOf(topology, src));
      expect(new Set(from).size).toBe(from.length);
      expect(from).toHaveLength(boxes - 1);
    }
  });
});

describe("HCCL's algorithms", () => {
  claim(
    'hccl-phases.ts',
    'across boxes a pairwise one, shifted by one box more in each iteration, between the ranks of the same index',
    () => {
      for (const [boxes, size] of SHAPES) {
        const { nranks, topology } = optionsOf(boxes, size);
        for (const build of [hcclAllReduce, hcclAllGather, hcclReduceScatter, hcclAllToAll]) {
          const shifts = new Map<number, number[]>();
          for (const { src, dst } of crossing(build({ nranks, topology }), topology)) {
            expect(dst % size).toBe(src % size);
            const shift = modulo(boxOf(topology, dst) - boxOf(topology, src), boxes);
            shifts.set(src, [...(shifts.get(src) ?? []), shift]);
          }
          const once = Array.from({ length: boxes - 1 }, (_, index) => index + 1);
          const expected = build === hcclAllReduce ? [...once, ...once] : once;
          for (const found of shifts.values()) expect(found).toEqual(expected);
          expect(shifts.size).toBe(nranks);
        }
      }
    },
  );

  claim('hccl-phases.ts', 'a full-mesh exchange inside the box', () => {
    const { nranks, topology } = optionsOf(2, 4);
    const pairs = messagesOf(hcclAllReduce({ nranks, topology }))
      .filter(({ src, dst }) => boxOf(topology, src) === boxOf(topology, dst))
      .map(({ src, dst }) => `${src}-${dst}`);
    expect(new Set(pairs).size).toBe(2 * 4 * 3);
  });

  claim(
    'hccl.ts',
    "Cost: 2(p-1)·α + 2(p-1)/p·n·β + (p-1)/p·n·γ in one slice; of a rank's bytes 2(b-1)/p·n cross",
    () => {
      for (const [boxes, size] of SHAPES.slice(0, 4)) {
        const { nranks, topology } = optionsOf(boxes, size);
        const schedule = hcclAllReduce({ nranks, topology });
        const share = (nranks - 1) / nranks;
        expectCost(schedule, [2 * (nranks - 1), 2 * share, share]);
        expect(mostSent(crossing(schedule, topology)).chunks).toBe(2 * (boxes - 1));
        expect(mostSent(crossing(hcclAllGather({ nranks, topology }), topology)).chunks).toBe(
          boxes - 1,
        );
        expect(mostSent(crossing(hcclReduceScatter({ nranks, topology }), topology)).chunks).toBe(
          boxes - 1,
        );
      }
    },
  );

  claim(
    'hccl.ts',
    'Every block is summed by one rank and then copied: all ranks hold the same bits.',
    () => {
      for (const [boxes, size] of SHAPES.slice(0, 4)) {
        const { nranks, topology } = optionsOf(boxes, size);
        expectSameBits(hcclAllReduce({ nranks, topology, chunks: 3 * nranks }));
      }
    },
  );

  claim('hccl.ts', 'Slices follow each other, one round behind the one before.', () => {
    const { nranks, topology } = optionsOf(2, 2);
    const messages = messagesOf(hcclAllReduce({ nranks, topology, chunks: 3 * nranks }));
    const first = [0, 1, 2].map((slice) =>
      Math.min(
        ...messages
          .filter(({ to }) => Math.floor(to.chunk / nranks) === slice)
          .map(({ round }) => round),
      ),
    );
    expect(first[0]).toBe(0);
    expect((first[1] ?? 0) > 0 && (first[2] ?? 0) > (first[1] ?? 0)).toBe(true);
    expect(first[2]).toBeLessThan(5);
  });

  claim(
    'hccl-all-to-all.ts',
    'Cost: (b-1)·α + (b-1)/b·n·β across and b(g-1)·α + (g-1)/g·n·β inside',
    () => {
      for (const [boxes, size] of SHAPES.slice(0, 4)) {
        const { nranks, topology } = optionsOf(boxes, size);
        const schedule = hcclAllToAll({ nranks, topology });
        const bytes = (boxes - 1) / boxes + (size - 1) / size;
        expectCost(schedule, [boxes - 1 + boxes * (size - 1), bytes]);
        expect(mostSent(crossing(schedule, topology)).messages).toBe(boxes - 1);
      }
    },
  );

  claim(
    'hccl-rooted.ts',
    'at most (b-1)/g·n bytes leave a rank across, for b boxes of g ranks, and (g-1)/g·n inside, from the root up to twice that',
    () => {
      for (const [boxes, size] of SHAPES) {
        const { nranks, topology } = optionsOf(boxes, size);
        const schedule = hcclBroadcast({ nranks, topology });
        const across = crossing(schedule, topology);
        expect(mostSent(across).chunks).toBe(boxes - 1);
        const inside = messagesOf(schedule).filter(
          ({ src, dst }) => boxOf(topology, src) === boxOf(topology, dst),
        );
        expect(mostSent(inside.filter(({ src }) => src > 0)).chunks).toBe(size - 1);
        expect(mostSent(inside).chunks).toBeLessThanOrEqual(2 * (size - 1));
      }
    },
  );

  claim('hccl-rooted.ts', 'Cost: 2(p-1)·α + 2(p-1)/p·n·β + (p-1)/p·n·γ in one slice', () => {
    for (const [boxes, size] of SHAPES.slice(0, 4)) {
      const { nranks, topology } = optionsOf(boxes, size);
      const share = (nranks - 1) / nranks;
      expectCost(hcclReduce({ nranks, topology }), [2 * (nranks - 1), 2 * share, share]);
    }
  });
});
