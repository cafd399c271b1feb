import { describe, expect, it } from 'vitest';
import { hasInPlace, type Layout, layoutFor, layoutOf } from '../../bench/layout.ts';
import type { BenchSize } from '../../bench/sizes.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../../collectives/names.ts';

const COLLECTIVES = Object.keys(COLLECTIVE_WORDS) as CollectiveWord[];

function layout(
  collective: CollectiveWord,
  count: number,
  { rank, nranks, root = 0 }: { rank: number; nranks: number; root?: number },
): Layout {
  const size: BenchSize = { bytes: 0, count, dataType: 'float', reduceOp: 'sum' };
  return layoutOf({ collective, size, rank, nranks, root });
}

/** `offset+length: ranks [first, ...] from index` of each part. */
function parts({ expected }: Layout): string[] {
  return expected.map(
    ({ offset, length, firstRank, ranks, firstIndex }) =>
      `${offset}+${length}: ${ranks} ranks from ${firstRank}, operand ${firstIndex}`,
  );
}

describe('the layout of', () => {
  it('all_reduce is one vector, of which every rank has a part', () => {
    const { counts, inputLength, outputLength, inPlace, ...rest } = layout('all_reduce', 10, {
      ...{ rank: 1, nranks: 3 },
    });
    expect({ counts, inputLength, outputLength }).toEqual({
      ...{ counts: 10, inputLength: 10, outputLength: 10 },
    });
    expect(inPlace).toEqual({ input: 0, output: 0, length: 10 });
    expect(rest.expected).toEqual([
      { offset: 0, length: 10, firstRank: 0, ranks: 3, firstIndex: 0 },
    ]);
  });

  it("all_gather has a block of each rank, the input in the rank's own", () => {
    const second = layout('all_gather', 4, { rank: 1, nranks: 3 });
    expect([second.inputLength, second.outputLength]).toEqual([4, 12]);
    expect(second.inPlace).toEqual({ input: 4, output: 0, length: 12 });
    expect(parts(second)).toEqual([
      '0+4: 1 ranks from 0, operand 0',
      '4+4: 1 ranks from 1, operand 0',
      '8+4: 1 ranks from 2, operand 0',
    ]);
  });

  it("reduce_scatter is the rank's own block, in place inside the input", () => {
    const third = layout('reduce_scatter', 4, { rank: 2, nranks: 3 });
    expect([third.inputLength, third.outputLength]).toEqual([12, 4]);
    expect(third.inPlace).toEqual({ input: 0, output: 8, length: 12 });
    expect(parts(third)).toEqual(['0+4: 3 ranks from 0, operand 8']);
  });

  it('broadcast has an input at the root alone', () => {
    const root = layout('broadcast', 5, { rank: 1, nranks: 2, root: 1 });
    const other = layout('broadcast', 5, { rank: 0, nranks: 2, root: 1 });
    expect([root.inputLength, other.inputLength]).toEqual([5, 0]);
    expect(parts(root)).toEqual(['0+5: 1 ranks from 1, operand 0']);
    expect(parts(other)).toEqual(parts(root));
  });

  it('reduce has a result at the root alone', () => {
    const root = layout('reduce', 5, { rank: 1, nranks: 2, root: 1 });
    const other = layout('reduce', 5, { rank: 0, nranks: 2, root: 1 });
    expect(parts(root)).toEqual(['0+5: 2 ranks from 0, operand 0']);
    expect([other.inputLength, other.outputLength, parts(other)]).toEqual([5, 0, []]);
  });

  it('alltoall is a transposition of blocks; the call is given the whole input', () => {
    const second = layout('alltoall', 2, { rank: 1, nranks: 3 });
    expect([second.counts, second.inputLength, second.outputLength]).toEqual([6, 6, 6]);
    expect(parts(second)).toEqual([
      '0+2: 1 ranks from 0, operand 2',
      '2+2: 1 ranks from 1, operand 2',
      '4+2: 1 ranks from 2, operand 2',
    ]);
  });

  it('gather and scatter have blocks at the root', () => {
    const gathered = layout('gather', 3, { rank: 2, nranks: 3, root: 2 });
    expect(gathered.inPlace).toEqual({ input: 6, output: 0, length: 9 });
    expect(parts(gathered)).toEqual([
      '0+3: 1 ranks from 0, operand 0',
      '3+3: 1 ranks from 1, operand 0',
      '6+3: 1 ranks from 2, operand 0',
    ]);
    expect(parts(layout('gather', 3, { rank: 0, nranks: 3, root: 2 }))).toEqual([]);
    const scattered = layout('scatter', 3, { rank: 2, nranks: 3, root: 2 });
    expect(scattered.inPlace).toEqual({ input: 0, output: 6, length: 9 });
    expect(parts(scattered)).toEqual(['0+3: 1 ranks from 2, operand 6']);
    const elsewhere = layout('scatter', 3, { rank: 0, nranks: 3, root: 2 });
    expect([elsewhere.inputLength, parts(elsewhere)]).toEqual([
      0,
      ['0+3: 1 ranks from 2, operand 0'],
    ]);
  });

  it('sendrecv is the vector of the rank before', () => {
    expect(parts(layout('sendrecv', 7, { rank: 0, nranks: 3 }))).toEqual([
      '0+7: 1 ranks from 2, operand 0',
    ]);
  });

  it('barrier is nothing', () => {
    const { inputLength, outputLength, expected } = layout('barrier', 0, { rank: 0, nranks: 3 });
    expect({ inputLength, outputLength, expected }).toEqual({
      ...{ inputLength: 0, outputLength: 0, expected: [] },
    });
  });

  it('all_gather_v and reduce_scatter_v have uneven blocks', () => {
    const gathered = layout('all_gather_v', 4, { rank: 1, nranks: 4 });
    expect(gathered.counts).toEqual([2, 6, 2, 6]);
    expect(gathered.inPlace).toEqual({ input: 2, output: 0, length: 16 });
    expect(parts(gathered)).toEqual([
      '0+2: 1 ranks from 0, operand 0',
      '2+6: 1 ranks from 1, operand 0',
      '8+2: 1 ranks from 2, operand 0',
      '10+6: 1 ranks from 3, operand 0',
    ]);
    const scattered = layout('reduce_scatter_v', 4, { rank: 2, nranks: 3 });
    expect(scattered.counts).toEqual([2, 6, 4]);
    expect(scattered.inPlace).toEqual({ input: 0, output: 8, length: 12 });
    expect(parts(scattered)).toEqual(['0+4: 3 ranks from 0, operand 8']);
  });

  it('alltoall_v has an own count for each pair', () => {
    const second = layout('alltoall_v', 2, { rank: 1, nranks: 3 });
    expect(second.counts).toEqual([1, 3, 2, 3, 2, 1, 2, 1, 3]);
    expect([second.inputLength, second.outputLength]).toEqual([6, 6]);
    expect(parts(second)).toEqual([
      '0+3: 1 ranks from 0, operand 1',
      '3+2: 1 ranks from 1, operand 3',
      '5+1: 1 ranks from 2, operand 2',
    ]);
  });

  it('a call with given counts leaves out what has no element', () => {
    const shape = {
      collective: 'allGatherV',
      nranks: 3,
      chunks: 1,
      root: 0,
      scratch: [],
    } as const;
    const given = layoutFor(shape, [0, 3, 0], 2);
    expect(parts(given)).toEqual(['0+3: 1 ranks from 1, operand 0']);
    expect(given.inPlace).toEqual({ input: 3, output: 0, length: 3 });
  });

  it.each(COLLECTIVES)('%s says of every element what it must be', (collective) => {
    for (const nranks of [1, 2, 3, 4, 5, 8]) {
      for (const count of [0, 1, 2, 7]) {
        for (let rank = 0; rank < nranks; rank++) {
          const { outputLength, inPlace, inputLength, expected } = layout(collective, count, {
            ...{ rank, nranks, root: nranks - 1 },
          });
          let next = 0;
          for (const { offset, length } of expected) {
            expect(offset).toBe(next);
            next = offset + length;
          }
          expect(next).toBe(outputLength);
          expect(inPlace.input + inputLength).toBeLessThanOrEqual(inPlace.length);
          expect(inPlace.output + outputLength).toBeLessThanOrEqual(inPlace.length);
        }
      }
    }
  });
});

describe('hasInPlace()', () => {
  it('is not where data would be exchanged at one place, or there is none', () => {
    const apart = COLLECTIVES.filter((collective) => !hasInPlace(collective));
    expect(apart).toEqual(['sendrecv', 'barrier', 'alltoall_v']);
  });
});
