import { describe, expect, it } from 'vitest';
import { layoutOf } from '../../bench/layout.ts';
import {
  checkJobs,
  expectOperands,
  type Measured,
  prepareJobs,
  roundingJobs,
} from '../../bench/operand-jobs.ts';
import type { BenchSize } from '../../bench/sizes.ts';
import type { CollectiveWord } from '../../collectives/names.ts';
import { MiB } from '../../common/bytes.ts';
import { HlsimError } from '../../common/errors.ts';

const BUFFERS = { send: 0x1000_0000, recv: 0x2000_0000, counter: 0x3000_0000 };

function measured(collective: CollectiveWord, size: Partial<BenchSize>, changes = {}): Measured {
  const whole: BenchSize = {
    ...{ bytes: 0, count: 6, dataType: 'float', reduceOp: 'sum' },
    ...size,
  };
  const layout = layoutOf({ collective, size: whole, rank: 1, nranks: 3, root: 0 });
  return { layout, size: whole, place: 'outOfPlace', seed: 9, rank: 1, nranks: 3, ...changes };
}

describe('prepareJobs()', () => {
  it('fill the result with what is never right, then the input', () => {
    expect(prepareJobs(BUFFERS, measured('all_reduce', {}))).toEqual([
      {
        ...{ kind: 'kernel', kernel: 'fill_u8', scalars: [0xff] },
        tensors: [{ address: BUFFERS.recv, bytes: 24 }],
      },
      {
        ...{ kind: 'kernel', kernel: 'fill_operands_f32', scalars: [0, 3, 1, 9, 0] },
        tensors: [{ address: BUFFERS.send, bytes: 24 }],
      },
    ]);
  });

  it('in place, the input lies inside the result', () => {
    const jobs = prepareJobs(BUFFERS, measured('all_gather', {}, { place: 'inPlace' }));
    expect(jobs.map(({ tensors }) => tensors)).toEqual([
      [{ address: BUFFERS.recv, bytes: 72 }],
      [{ address: BUFFERS.recv + 24, bytes: 24 }],
    ]);
  });

  it('fill signed integers with the least of them', () => {
    const [fill] = prepareJobs(BUFFERS, measured('all_reduce', { dataType: 'int8' }));
    expect(fill?.scalars).toEqual([0x80]);
  });

  it('are none of what a rank has none of', () => {
    expect(prepareJobs(BUFFERS, measured('scatter', {}))).toHaveLength(1);
    expect(prepareJobs(BUFFERS, measured('gather', {}))).toHaveLength(1);
    expect(prepareJobs(BUFFERS, measured('all_reduce', { count: 0 }))).toEqual([]);
  });
});

describe('checkJobs()', () => {
  it('start the counter, and compare each part', () => {
    const [start, ...checks] = checkJobs(BUFFERS, measured('all_gather', {}));
    expect(start).toMatchObject({ kernel: 'fill_u8', scalars: [0] });
    expect(checks.map(({ kernel, scalars }) => [kernel, ...scalars])).toEqual([
      ['check_reduced_f32', 0, 3, 0, 1, 9, 0],
      ['check_reduced_f32', 0, 3, 1, 1, 9, 0],
      ['check_reduced_f32', 0, 3, 2, 1, 9, 0],
    ]);
    const addresses = checks.map(({ tensors }) => tensors[0]?.address);
    expect(addresses).toEqual([0, 24, 48].map((offset) => BUFFERS.recv + offset));
  });

  it.each([
    ['all_reduce', 'float', 'sum'],
    ['reduce_scatter', 'bfloat16', 'avg'],
    ['all_gather', 'int64', 'none'],
  ] as const)(
    'of %s %s compare every element once, little at a time',
    (collective, dataType, reduceOp) => {
      const one = measured(collective, { count: 3_000_001, dataType, reduceOp });
      const [, ...checks] = checkJobs(BUFFERS, one);
      const bytes = { float: 4, bfloat16: 2, int64: 8 }[dataType];
      let next = BUFFERS.recv;
      for (const { tensors, scalars } of checks) {
        const [, , firstRank = -1, ranks = 0, , firstIndex = 0] = scalars;
        const [data] = tensors;
        expect(data?.address).toBe(next);
        next += data?.bytes ?? 0;
        expect((data?.bytes ?? 0) * ranks).toBeLessThanOrEqual(2 * MiB);
        const place = ((data?.address ?? 0) - BUFFERS.recv) / bytes;
        const block = collective === 'all_gather' ? firstRank : 0;
        const own = collective === 'reduce_scatter' ? 3_000_001 : 0;
        expect(firstIndex).toBe(place - block * 3_000_001 + own);
      }
      expect(next).toBe(BUFFERS.recv + one.layout.outputLength * bytes);
    },
  );
});

describe('roundingJobs()', () => {
  it('scale floats, and leave integers alone', () => {
    const [job, ...more] = roundingJobs(BUFFERS, measured('all_reduce', { dataType: 'half' }));
    expect(more).toEqual([]);
    expect(job?.kernel).toBe('multiply_f16');
    expect(roundingJobs(BUFFERS, measured('all_reduce', { dataType: 'int32' }))).toEqual([]);
  });
});

describe('expectOperands()', () => {
  const size = (dataType: BenchSize['dataType'], reduceOp: BenchSize['reduceOp']) => [
    { bytes: 8, count: 2, dataType, reduceOp },
  ];

  it('refuses sums of more ranks than the type has exact operands for', () => {
    expect(() => expectOperands(size('bfloat16', 'sum'), 256)).not.toThrow();
    expect(() => expectOperands(size('bfloat16', 'max'), 257)).not.toThrow();
    expect(() => expectOperands(size('bfloat16', 'avg'), 257)).toThrow(HlsimError);
    expect(() => expectOperands(size('bfloat16', 'sum'), 257)).toThrow(
      /fewer than 257 ranks.*bfloat16 for sum/,
    );
  });
});
