import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import { interpret } from '../../../collectives/interpret.ts';
import { runPrograms } from '../../../collectives/reference.ts';
import { verify } from '../../../collectives/verify.ts';
import { defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { PROVED_DEPTH } from '../../../node/hccl/lanes.ts';
import { World } from './engine-world.ts';
import { randomPrograms } from './random-programs.ts';

/** Elements of a block, of which 16 are a slice and 64 a window. */
const SIZES = [0, 1, 5, 16, 40, 64, 100, 300, 700];
const SLICE_BYTES = 64;

/** Depths with which programs are proved: every fourth needs more than the engine has unasked. */
const DEEP = 7;

function trial(seed: number) {
  const depth = seed % 4 === 0 ? DEEP : PROVED_DEPTH;
  const prng = new Prng(seed);
  const below = (limit: number) => prng.uint32() % limit;
  const nranks = 2 + below(4);
  const inPlace = below(2) === 0;
  const programs = randomPrograms({
    prng,
    nranks,
    channels: 1 + below(5),
    steps: 10 + below(60),
    inPlace,
    depth,
  });
  const counts = programs.map(() => defined(SIZES[below(SIZES.length)], 'a size'));
  return { programs, counts, inPlace, depth };
}

describe('random programs', () => {
  it('are proved but for what they come to', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { programs, inPlace, depth } = trial(seed);
      expect(interpret(programs, () => 0, { depth })).toEqual([]);
      const { findings } = verify(programs, { inPlace, depth });
      expect(findings.filter(({ kind }) => kind !== 'postcondition')).toEqual([]);
    }
  });

  it('come to their end with the bits of the reference, whatever the sizes and the order of things', () => {
    let staged = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const { programs, counts, inPlace, depth } = trial(seed);
      const table = chunkTable(defined(programs[0], 'a program'), counts);
      const inputs = counts.map((count, rank) =>
        Float32Array.from({ length: count }, (_, index) => Math.fround(rank + 1 / (index + 3))),
      );
      const expected = runPrograms(programs, table, inputs, { inPlace });
      for (let order = 0; order < 2; order++) {
        const prng = new Prng(1000 * seed + order);
        const world = new World({
          programs,
          table,
          inputs,
          inPlace,
          sliceBytes: SLICE_BYTES,
          prng,
          depth,
        });
        world.run();
        expect(world.finished, `seed ${seed}, order ${order}`).toBe(programs.length);
        staged += world.staged;
        expected.forEach((output, rank) => {
          const found = Buffer.from(world.output(rank).buffer);
          const isEqual = found.equals(Buffer.from(output.slice().buffer));
          expect(isEqual, `seed ${seed}, order ${order}, rank ${rank}`).toBe(true);
        });
      }
    }
    expect(staged, 'messages that had to be staged').toBeGreaterThan(0);
  });
});
