import { describe, expect, it } from 'vitest';
import { type RankLine, rankLines, timingsOf } from '../../bench/peers/lines.ts';
import { expected, given, operand, sumOfOperands } from '../../bench/peers/operands.ts';
import { readPeerOptions } from '../../bench/peers/options.ts';
import { rotated } from '../../bench/peers/rounds.ts';
import {
  measurementArgument,
  measurementKey,
  readMeasurement,
  sweepOf,
} from '../../bench/peers/sweep.ts';
import { KiB, MiB } from '../../common/bytes.ts';
import { ranksOf } from '../../common/math.ts';
import { PLAN } from './peers-samples.ts';

describe('sweep', () => {
  const collectives = ['all_reduce', 'all_gather'] as const;

  it('rounds a size up to a whole element on each rank, and measures no size twice', () => {
    const plan = sweepOf({ collectives, sizes: [8, 16, 64], quick: false }, 8);
    const bytes = (name: string) =>
      plan.filter(({ collective }) => collective === name).map((one) => one.bytes);
    expect(bytes('all_reduce')).toEqual([8, 16, 64]);
    expect(bytes('all_gather')).toEqual([32, 64]);
  });

  it('times fewer calls of large arrays and of many ranks, but never fewer than three', () => {
    const iterations = (ranks: number) =>
      sweepOf({ collectives: ['all_reduce'], sizes: [8, MiB, 64 * MiB], quick: true }, ranks).map(
        (one) => one.iterations,
      );
    const [small = 0, medium = 0, large = 0] = iterations(2);
    expect(small).toBeGreaterThan(medium);
    expect(medium).toBeGreaterThan(large);
    expect(iterations(4)[0]).toBeLessThan(small);
    expect(Math.min(...iterations(8))).toBe(3);
  });

  it('is told to the programs in words that read back', () => {
    for (const measurement of PLAN) {
      expect(readMeasurement(measurementArgument(measurement), 2)).toEqual(measurement);
    }
    for (const text of ['', 'all_reduce:8', 'broadcast:8:1:1', 'all_reduce:0:1:1']) {
      expect(readMeasurement(text, 2)).toBeUndefined();
    }
  });
});

describe('operands', () => {
  it('differ from rank to rank, and their sum is exact in float32', () => {
    for (const index of [0, 1, 8190, 8191, 16384]) {
      const values = ranksOf(32).map((rank) => operand(rank, index));
      expect(new Set(values).size).toBe(32);
      const sum = values.reduce((total, value) => total + value, 0);
      expect(sumOfOperands(32, index)).toBe(sum);
      expect(Math.fround(sum)).toBe(sum);
    }
  });

  it("in place, a rank of an all-gather gives its own block alone and must get everybody's", () => {
    const place = { rank: 1, ranks: 2, count: 4 };
    const before = [0, 1, 2, 3].map((index) => given('all_gather', place, index));
    expect(before).toEqual([-1, -1, operand(1, 0), operand(1, 1)]);
    const after = [0, 1, 2, 3].map((index) => expected('all_gather', place, index));
    expect(after).toEqual([operand(0, 0), operand(0, 1), operand(1, 0), operand(1, 1)]);
  });
});

describe('lines of the contestants', () => {
  const line = (rank: number, more: Partial<RankLine> = {}): string =>
    JSON.stringify({
      collective: 'all_reduce',
      count: 262144,
      ranks: 2,
      rank,
      timeUs: 5,
      wrong: 0,
      ...more,
    });

  it('are found behind the prefix of hlsim run and among other output', () => {
    const text = ['A warning', `[1] ${line(1)}`, line(0), ''].join('\n');
    expect(rankLines(text).map(({ rank }) => rank)).toEqual([1, 0]);
  });

  it('one that is cut off or not of the agreed form is an error', () => {
    expect(() => rankLines(line(0).slice(0, 20))).toThrow('Expected a measurement');
    expect(() => rankLines(line(0, { timeUs: -1 }))).toThrow('Expected a measurement');
  });

  it('the time is the slowest rank, wrong elements are those of all', () => {
    const lines = rankLines([line(0, { wrong: 2 }), line(1, { timeUs: 9, wrong: 1 })].join('\n'));
    const [measurement] = PLAN;
    const key = measurement === undefined ? '' : measurementKey(measurement);
    expect(timingsOf(lines, PLAN).get(key)).toEqual({ timeUs: 9, wrong: 3 });
  });

  it('a rank that is missing, or reports twice, is an error', () => {
    expect(() => timingsOf(rankLines(line(0)), PLAN)).toThrow('from each of 2 ranks');
    const twice = rankLines([line(0), line(0), line(1)].join('\n'));
    expect(() => timingsOf(twice, PLAN)).toThrow('found 3 lines');
  });
});

describe('rounds', () => {
  it('every contestant is first, in turn, and nobody is left out', () => {
    const orders = [0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join(''));
    expect(orders).toEqual(['abc', 'bca', 'cab', 'abc']);
    expect(rotated([], 3)).toEqual([]);
  });
});

describe('command line', () => {
  it('without flags: everything, in five rounds', () => {
    const options = readPeerOptions([]);
    expect(options).toMatchObject({ ranks: [2, 4, 8], rounds: 5, quick: false });
    expect([options.sizes[0], options.sizes.at(-1)]).toEqual([8, 64 * MiB]);
    expect(options.contestants).toHaveLength(5);
  });

  it('reads lists, sorts sizes and drops what is named twice', () => {
    const args = ['--ranks', '4,2,4', '--sizes', '1M,4K', '--contestants', 'gloo', '--quick'];
    const { ranks, sizes, contestants } = readPeerOptions(args);
    expect({ ranks, sizes, contestants }).toEqual({
      ranks: [4, 2],
      sizes: [4 * KiB, MiB],
      contestants: ['gloo'],
    });
  });

  it.each([
    [['--ranks', '1'], '--ranks'],
    [['--sizes', '8,x'], '--sizes'],
    [['--rounds', '0'], '--rounds'],
    [['--collectives', 'broadcast'], '--collectives'],
    [['--contestants', 'nccl'], '--contestants'],
    [['--fast'], '--fast'],
  ])('refuses %j', (args, flag) => {
    expect(() => readPeerOptions(args)).toThrow(flag);
  });
});
