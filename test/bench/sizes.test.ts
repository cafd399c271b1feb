import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DATA_TYPE_WORDS,
  type DataTypeWord,
  REDUCE_OPERATION_WORDS,
} from '../../bench/data-types.ts';
import { benchSizes, elementBytes } from '../../bench/sizes.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../../collectives/names.ts';

type Options = Parameters<typeof benchSizes>[0];

const SWEEP: Options = {
  ...{ collective: 'all_reduce', minBytes: 8, maxBytes: 4096, countMultiple: 1 },
  ...{ dataTypes: ['float'], reduceOps: ['sum'] },
};

const sizesOf = (changes: Partial<Options>, nranks: number) =>
  benchSizes({ ...SWEEP, ...changes }, nranks).map(({ bytes }) => bytes);

const bytesAndCounts = (changes: Partial<Options>, nranks: number) =>
  benchSizes({ ...SWEEP, ...changes }, nranks).map(({ bytes, count }) => [bytes, count]);

/** Those of which every rank has a block, in the sense of nccl-tests. */
const BLOCKWISE: readonly CollectiveWord[] = [
  'all_gather',
  'reduce_scatter',
  'alltoall',
  'gather',
  'scatter',
  'all_gather_v',
  'reduce_scatter_v',
  'alltoall_v',
];

describe('benchSizes()', () => {
  it('multiplies by the factor up to and including the largest', () => {
    expect(sizesOf({ stepFactor: 8 }, 4)).toEqual([8, 64, 512, 4096]);
    expect(sizesOf({ stepFactor: 8, maxBytes: 4095 }, 4)).toEqual([8, 64, 512]);
  });

  it('adds the step', () => {
    const options = { minBytes: 1024, maxBytes: 4000, stepBytes: 1024 };
    expect(sizesOf(options, 2)).toEqual([1024, 2048, 3072]);
  });

  it('is one size where smallest and largest are equal', () => {
    const options = { ...SWEEP, minBytes: 64, maxBytes: 64, stepBytes: 1 };
    expect(benchSizes(options, 2)).toEqual([
      { bytes: 64, count: 16, dataType: 'float', reduceOp: 'sum' },
    ]);
  });

  it.each(['all_reduce', 'broadcast', 'reduce', 'sendrecv'] as const)(
    'rounds %s down to whole elements',
    (collective) => {
      const options = { collective, minBytes: 3, maxBytes: 11, stepBytes: 4 };
      expect(bytesAndCounts(options, 2)).toEqual([
        [0, 0],
        [4, 1],
        [8, 2],
      ]);
    },
  );

  it.each(BLOCKWISE)(
    'rounds %s down to blocks of 16 bytes on each rank, as nccl-tests does',
    (collective) => {
      const options = { collective, maxBytes: 512, stepFactor: 8 };
      expect(bytesAndCounts(options, 3)).toEqual([
        [0, 0],
        [48, 4],
        [480, 40],
      ]);
    },
  );

  it.each([
    ['int8', 16],
    ['half', 8],
    ['bfloat16', 8],
    ['float', 4],
    ['double', 2],
    ['uint64', 2],
  ] as const)('a block of %s is a multiple of %d elements', (dataType, elements) => {
    const options = { collective: 'alltoall', dataTypes: [dataType], minBytes: 130 } as const;
    const [first] = benchSizes({ ...SWEEP, ...options, stepFactor: 2 }, 4);
    expect(first).toMatchObject({ bytes: 128, count: 2 * elements });
  });

  it('measures each size with each operation, with each type, in the order of nccl-tests', () => {
    const options: Options = {
      ...{ ...SWEEP, minBytes: 32, maxBytes: 64, stepFactor: 2 },
      dataTypes: ['half', 'double'],
      reduceOps: ['sum', 'max'],
    };
    const rows = benchSizes(options, 2).map(
      ({ dataType, reduceOp, bytes, count }) => `${dataType} ${reduceOp} ${bytes} ${count}`,
    );
    expect(rows).toEqual([
      'half sum 32 16',
      'half sum 64 32',
      'half max 32 16',
      'half max 64 32',
      'double sum 32 4',
      'double sum 64 8',
      'double max 32 4',
      'double max 64 8',
    ]);
  });

  it('has no operation where nothing is reduced', () => {
    const options: Options = {
      ...{ ...SWEEP, collective: 'all_gather', minBytes: 64, maxBytes: 64, stepFactor: 2 },
      reduceOps: REDUCE_OPERATION_WORDS,
    };
    expect(benchSizes(options, 2).map(({ reduceOp }) => reduceOp)).toEqual(['none']);
  });

  it('is one row for a barrier, of nothing', () => {
    const options = { ...SWEEP, collective: 'barrier', stepFactor: 2 } as const;
    const rows = benchSizes({ ...options, dataTypes: DATA_TYPE_WORDS }, 4);
    expect(rows).toEqual([{ bytes: 0, count: 0, dataType: 'int8', reduceOp: 'none' }]);
  });

  it('rounds down to counts that a schedule file can take', () => {
    const options = { minBytes: 1000, maxBytes: 1000, stepFactor: 2, countMultiple: 12 };
    expect(bytesAndCounts(options, 4)).toEqual([[240 * 4, 240]]);
    expect(bytesAndCounts({ ...options, collective: 'all_gather' }, 4)).toEqual([[768, 48]]);
  });

  it('never exceeds what was asked for, nor falls short by more than it must', () => {
    const words = Object.keys(COLLECTIVE_WORDS) as CollectiveWord[];
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }),
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom(...words.filter((word) => word !== 'barrier')),
        fc.constantFrom<DataTypeWord>(...DATA_TYPE_WORDS),
        (asked, nranks, collective, dataType) => {
          const range = { minBytes: asked, maxBytes: asked, stepFactor: 2 };
          const options = { ...SWEEP, ...range, collective, dataTypes: [dataType] };
          const [size] = benchSizes(options, nranks);
          const { bytes, count } = size ?? { bytes: -1, count: -1 };
          const each = elementBytes(dataType);
          const isBlockwise = BLOCKWISE.includes(collective);
          expect(bytes).toBe(count * each * (isBlockwise ? nranks : 1));
          expect(bytes).toBeLessThanOrEqual(asked);
          expect(bytes).toBeGreaterThan(asked - (isBlockwise ? 16 * nranks + each : each));
        },
      ),
    );
  });
});
