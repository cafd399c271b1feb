import { describe, expect, it } from 'vitest';
import { recursiveDoublingAllReduce } from '../../collectives/algorithms/recursive-doubling.ts';
import { ringAllGather, ringAllReduce } from '../../collectives/algorithms/ring.ts';
import {
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  elementArray,
  readElement,
  writeElement,
} from '../../collectives/arithmetic.ts';
import { chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import { BLOCKS } from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { runPrograms } from '../../collectives/reference.ts';
import type { Schedule } from '../../collectives/schedule.ts';
import { Prng } from '../../common/prng.ts';
import { CASES, type Case, handWritten, PLACEMENTS, programAt, scheduleOf } from './support.ts';

const COUNTS = [0, 1, 3, 37];
const RANKS = [1, 2, 3, 4, 5, 7, 8, 13];

/** A count, or counts, of about that many elements for each rank. */
function countsFor({ collective, nranks }: Schedule, count: number): ElementCounts {
  const uneven = (length: number) =>
    Array.from({ length }, (_, index) => (count === 0 ? 0 : (index * 5 + count) % 11));
  if (collective === 'allGatherV' || collective === 'reduceScatterV') return uneven(nranks);
  if (collective === 'allToAllV') return uneven(nranks * nranks);
  return collective === 'allToAll' ? count * nranks : count;
}

/** Small integers that differ by rank and element: exact in every type, and so are sums of a few. */
function inputsOf(schedule: Schedule, counts: ElementCounts, type: ElementType): ElementArray[] {
  const table = chunkTable(schedule, counts);
  return Array.from({ length: schedule.nranks }, (_, rank) =>
    elementsOf(
      type,
      Array.from(
        { length: table.bufferLength(rank, 'input') },
        (_element, index) => 1 + ((3 * rank + index) % 5),
      ),
    ),
  );
}

function elementsOf(type: ElementType, values: readonly number[]): ElementArray {
  const { bytes } = ELEMENT_TYPES[type];
  const elements = elementArray(type, new ArrayBuffer(values.length * bytes), 0, values.length);
  const isBig = type === 'int64' || type === 'uint64';
  for (const [index, value] of values.entries()) {
    writeElement(type, elements, index, isBig ? BigInt(value) : value);
  }
  return elements;
}

function numbersOf(type: ElementType, elements: ElementArray): number[] {
  return Array.from({ length: elements.length }, (_, index) =>
    Number(readElement(type, elements, index)),
  );
}

const REDUCE: Readonly<Record<'sum' | 'prod' | 'min' | 'max', (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  prod: (a, b) => a * b,
  min: Math.min,
  max: Math.max,
};
type Operation = keyof typeof REDUCE;

/** What the collective is defined to give each rank, computed directly. */
function definition(
  { collective, nranks, root }: Schedule,
  counts: ElementCounts,
  inputs: readonly (readonly number[])[],
  op: Operation,
): number[][] {
  const ranks = Array.from({ length: nranks }, (_, rank) => rank);
  const input = (rank: number) => inputs[rank] ?? [];
  const reduced = (all: readonly (readonly number[])[], by: Operation = op) =>
    (all[0] ?? []).map((_, index) =>
      all.map((one) => one[index] ?? Number.NaN).reduce((a, b) => REDUCE[by](a, b)),
    );
  const atRoot = (value: number[]) => ranks.map((rank) => (rank === root ? value : []));
  const part = (rank: number, all: readonly number[]) => {
    const lengths = typeof counts === 'number' ? ranks.map(() => counts) : counts;
    const start = lengths.slice(0, rank).reduce((sum, length) => sum + length, 0);
    return all.slice(start, start + (lengths[rank] ?? 0));
  };
  const exchanged = (lengthOf: (source: number, destination: number) => number) =>
    ranks.map((destination) =>
      ranks.flatMap((source) => {
        const before = ranks.slice(0, destination).map((other) => lengthOf(source, other));
        const start = before.reduce((sum, length) => sum + length, 0);
        return input(source).slice(start, start + lengthOf(source, destination));
      }),
    );
  switch (collective) {
    case 'allReduce':
      return ranks.map(() => reduced(inputs));
    case 'barrier':
      return ranks.map(() => reduced(inputs, 'max'));
    case 'reduce':
      return atRoot(reduced(inputs));
    case 'broadcast':
      return ranks.map(() => [...input(root)]);
    case 'allGather':
    case 'allGatherV':
      return ranks.map(() => ranks.flatMap(input));
    case 'gather':
      return atRoot(ranks.flatMap(input));
    case 'scatter':
      return ranks.map((rank) => part(rank, input(root)));
    case 'reduceScatter':
    case 'reduceScatterV':
      return ranks.map((rank) => part(rank, reduced(inputs)));
    case 'sendRecv':
      return ranks.map((rank) => [...input((rank + nranks - 1) % nranks)]);
    case 'allToAll':
      return exchanged(() => Number(counts) / nranks);
    case 'allToAllV':
      return exchanged((source, destination) => {
        return typeof counts === 'number' ? 0 : (counts[source * nranks + destination] ?? 0);
      });
    case 'custom':
      return [];
  }
}

/** Runs the case's schedule in both placements and compares every output with the definition. */
function expectDefinition(
  one: Case,
  options: { nranks: number; count: number; type?: ElementType; op?: Operation },
): number {
  const { nranks, count, type = 'float32', op = 'sum' } = options;
  let compared = 0;
  for (const { inPlace } of PLACEMENTS) {
    const placement = inPlace ? 'inPlace' : 'outOfPlace';
    const schedule = scheduleOf(one, { nranks, root: nranks - 1, placement });
    if (schedule === undefined) continue;
    const counts = countsFor(schedule, count);
    const inputs = inputsOf(schedule, counts, type);
    const before = inputs.map((input) => numbersOf(type, input));
    const table = chunkTable(schedule, counts);
    const outputs = runPrograms(lowerAll(schedule), table, inputs, { inPlace, type, op });
    const expected = definition(schedule, counts, before, op);
    expect(outputs.map((output) => numbersOf(type, output))).toEqual(expected);
    expect(inputs.map((input) => numbersOf(type, input))).toEqual(before);
    compared++;
  }
  return compared;
}

function bitsOf(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}

function randomInputs(nranks: number, length: number, seed: number): Float32Array[] {
  const prng = new Prng(seed);
  return Array.from({ length: nranks }, () =>
    Float32Array.from({ length }, () => prng.normal() * 10 ** (prng.below(9) - 4)),
  );
}

describe.each(CASES)('$algorithm $collective', (one) => {
  it.each(COUNTS)('gives every rank what is defined, for %i elements', (count) => {
    const compared = RANKS.map((nranks) => expectDefinition(one, { nranks, count }));
    expect(Math.max(...compared)).toBeGreaterThan(0);
  });

  it('gives every rank what is defined, for 1009 elements', () => {
    expect([2, 3].map((nranks) => expectDefinition(one, { nranks, count: 1009 }))).not.toEqual([0]);
  });
});

describe.each(Object.keys(ELEMENT_TYPES) as ElementType[])('%s', (type) => {
  const collectives = [...new Set(CASES.map(({ collective }) => collective))];
  it.each(collectives)('is moved and reduced by %s as defined', (collective) => {
    const one = CASES.find((candidate) => candidate.collective === collective);
    const ops = BLOCKS[collective].reduces
      ? (['sum', 'prod', 'min', 'max'] as const)
      : ['sum' as const];
    for (const op of ops) {
      if (one !== undefined) expectDefinition(one, { nranks: 3, count: 17, type, op });
    }
  });
});

describe.each([
  { name: 'ring', build: ringAllReduce },
  { name: 'recursive doubling', build: recursiveDoublingAllReduce },
])('$name all-reduce', ({ build }) => {
  it.each(RANKS)('leaves the same bits on all %i ranks, in both placements', (nranks) => {
    const schedule = build({ nranks });
    const programs = lowerAll(schedule);
    const inputs = randomInputs(nranks, 1003, nranks);
    const bits = PLACEMENTS.flatMap(({ inPlace }) =>
      runPrograms(programs, chunkTable(schedule, 1003), inputs, { inPlace }).map(bitsOf),
    );
    expect(new Set(bits).size).toBe(1);
  });
});

describe('runPrograms()', () => {
  it('rounds to float32 after every addition', () => {
    const schedule = ringAllReduce({ nranks: 3 });
    const inputs = [1, 2 ** -24, 2 ** -24].map((value) => new Float32Array(3).fill(value));
    const [output] = runPrograms(lowerAll(schedule), chunkTable(schedule, 3), inputs, {
      inPlace: false,
    });
    // Chunk c is summed from rank c on around the ring: (1 + ε) + ε = 1, but (ε + ε) + 1 = 1 + 2ε.
    expect([...(output ?? [])]).toEqual([1, 1 + 2 ** -23, 1]);
  });

  it('ends an average with one multiplication, or one division towards zero', () => {
    const schedule = ringAllReduce({ nranks: 3 });
    const run = (type: ElementType, values: readonly number[]) => {
      const inputs = values.map((value) => elementsOf(type, [value]));
      const table = chunkTable(schedule, 1);
      const options = { inPlace: false, type, op: 'avg' } as const;
      const outputs = runPrograms(lowerAll(schedule), table, inputs, options);
      return outputs.map((output) => numbersOf(type, output)[0]);
    };
    const third = Math.fround(1 / 3);
    expect(run('float32', [1, 2, 4])).toEqual(Array(3).fill(Math.fround(7 * third)));
    expect(run('float64', [1, 2, 4])).toEqual(Array(3).fill(7 * (1 / 3)));
    expect(run('int32', [-1, -2, -4])).toEqual([-2, -2, -2]);
    expect(run('uint64', [1, 2, 5])).toEqual([2, 2, 2]);
  });

  it('averages only what a collective reduces', () => {
    const schedule = ringAllGather({ nranks: 2 });
    const inputs = [2, 6].map((value) => elementsOf('int32', [value]));
    const options = { inPlace: false, type: 'int32', op: 'avg' } as const;
    const [output] = runPrograms(lowerAll(schedule), chunkTable(schedule, 1), inputs, options);
    expect(output && numbersOf('int32', output)).toEqual([2, 6]);
  });

  it("multiplies each rank's input with its own scalar before it is added up", () => {
    const schedule = ringAllReduce({ nranks: 2 });
    const inputs = [3, 5].map((value) => elementsOf('int64', [value]));
    const options = { inPlace: true, type: 'int64', scalars: [10n, 100n] } as const;
    const outputs = runPrograms(lowerAll(schedule), chunkTable(schedule, 1), inputs, options);
    expect(outputs.map((output) => numbersOf('int64', output))).toEqual([[530], [530]]);
  });

  it('rounds 16-bit floats after every addition', () => {
    const schedule = ringAllReduce({ nranks: 3 });
    // bfloat16 has 8 bits: 256 + 1 rounds to even, 256; (1 + 1) + 256 = 258 is exact.
    const inputs = [256, 1, 1].map((value) => elementsOf('bfloat16', [value, value, value]));
    const options = { inPlace: false, type: 'bfloat16' } as const;
    const [output] = runPrograms(lowerAll(schedule), chunkTable(schedule, 3), inputs, options);
    expect(output && numbersOf('bfloat16', output)).toEqual([256, 258, 256]);
  });

  it('shows what was never written as NaN', () => {
    const silent = handWritten([[[]]]);
    const table = chunkTable(programAt(silent, 0), 2);
    const [output] = runPrograms(silent, table, [new Float32Array(2)], { inPlace: false });
    expect([...(output ?? [])]).toEqual([Number.NaN, Number.NaN]);
  });

  it('refuses inputs of the wrong length, and programs that never end', () => {
    const schedule = ringAllReduce({ nranks: 2 });
    const table = chunkTable(schedule, 4);
    const inputs = [new Float32Array(4), new Float32Array(5)];
    const run = (programs = lowerAll(schedule)) =>
      runPrograms(programs, table, inputs, { inPlace: false });
    expect(() => run()).toThrow('Expected 4 elements from rank 1 but found 5');
    inputs[1] = new Float32Array(4);
    const [first, second] = lowerAll(schedule);
    const mute = { ...programAt([second ?? programAt([], 0)], 0), channels: [] };
    expect(() => run([programAt([first ?? mute], 0), mute])).toThrow('but 1 channels wait');
  });
});
