import { describe, expect, it } from 'vitest';
import { recursiveDoublingAllReduce } from '../../collectives/algorithms/recursive-doubling.ts';
import { ringAllGather, ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { chunkTable } from '../../collectives/chunks.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { runPrograms } from '../../collectives/reference.ts';
import type { Schedule } from '../../collectives/schedule.ts';
import { Prng } from '../../common/prng.ts';
import { CASES, handWritten, PLACEMENTS, programAt } from './support.ts';

const COUNTS = [0, 1, 3, 1000, 10007];
const RANKS = [1, 2, 3, 4, 5, 7, 8, 13];

/** Integers that differ by rank and element, and whose sums are exact. */
function inputsOf(schedule: Schedule, counts: number | readonly number[]): Float32Array[] {
  const table = chunkTable(schedule, counts);
  return Array.from({ length: schedule.nranks }, (_, rank) =>
    Float32Array.from(
      { length: table.bufferLength(rank, 'input') },
      (_element, index) => rank + schedule.nranks * (index % 1009),
    ),
  );
}

/** What the collective is defined to give, computed directly. */
function definition(schedule: Schedule, inputs: readonly Float32Array[]): number[] {
  const first = inputs[schedule.root] ?? new Float32Array();
  if (schedule.collective === 'broadcast') return [...first];
  if (schedule.collective === 'allGather') return inputs.flatMap((input) => [...input]);
  return [...first].map((_, index) =>
    inputs.reduce((sum, input) => sum + (input[index] as number), 0),
  );
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

describe.each(CASES)('$algorithm $collective', ({ row }) => {
  it.each(COUNTS)('gives every rank what is defined, for %i elements', (count) => {
    for (const nranks of RANKS) {
      const schedule = row.build({ nranks, root: nranks - 1 });
      const inputs = inputsOf(schedule, count);
      const before = inputs.map((input) => [...input]);
      const expected = bitsOf(Float32Array.from(definition(schedule, inputs)));
      for (const { inPlace } of PLACEMENTS) {
        const programs = lowerAll(schedule);
        const outputs = runPrograms(programs, chunkTable(schedule, count), inputs, { inPlace });
        for (const output of outputs) expect(bitsOf(output)).toBe(expected);
      }
      expect(inputs.map((input) => [...input])).toEqual(before);
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

  it('gathers contributions of different lengths', () => {
    const schedule = ringAllGather({ nranks: 4, chunks: 2 });
    const counts = [3, 0, 1, 6];
    const inputs = inputsOf(schedule, counts);
    for (const { inPlace } of PLACEMENTS) {
      const outputs = runPrograms(lowerAll(schedule), chunkTable(schedule, counts), inputs, {
        inPlace,
      });
      for (const output of outputs) expect([...output]).toEqual(definition(schedule, inputs));
    }
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
