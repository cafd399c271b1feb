/** Runs of engines that are held against the reference. */
import { expect } from 'vitest';
import { chunkTable, type ElementCounts } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import type { Program } from '../../../collectives/program.ts';
import { runPrograms } from '../../../collectives/reference.ts';
import { defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { World } from './engine-world.ts';

export const SLICE_BYTES = 64;

/** Counts of about this many elements a block; uneven where a collective takes a list. */
export function countsOf(collective: CollectiveName, nranks: number, count: number): ElementCounts {
  switch (collective) {
    case 'allToAll':
      return count * nranks;
    case 'allGatherV':
    case 'reduceScatterV':
      return Array.from({ length: nranks }, (_, rank) => (count * (rank % 3)) >> 1);
    case 'allToAllV':
      // As much one way as the other, so that it can be done in place.
      return Array.from({ length: nranks * nranks }, (_, pair) => {
        const [source, target] = [Math.floor(pair / nranks), pair % nranks];
        return (count * ((source + target) % 4)) >> 1;
      });
    default:
      return count;
  }
}

export interface Trial {
  readonly programs: readonly Program[];
  readonly counts: ElementCounts;
  readonly inPlace: boolean;
  readonly seed: number;
  readonly sliceBytes?: number;
}

/** Runs the programs; every rank's output must have the bits of the reference. */
export function expectReference({
  programs,
  counts,
  inPlace,
  seed,
  sliceBytes = SLICE_BYTES,
}: Trial) {
  const table = chunkTable(defined(programs[0], 'a program'), counts);
  const prng = new Prng(seed);
  const inputs = programs.map(({ rank }) =>
    Float32Array.from({ length: table.bufferLength(rank, 'input') }, () => prng.normal()),
  );
  const world = new World({ programs, table, inputs, inPlace, sliceBytes, prng });
  world.run();
  expect(world.finished, `seed ${seed}: ranks that came to the end`).toBe(programs.length);
  const expected = runPrograms(programs, table, inputs, { inPlace });
  expected.forEach((output, rank) => {
    const found = world.output(rank);
    if (Buffer.from(found.buffer).equals(Buffer.from(output.slice().buffer))) return;
    expect.fail(`seed ${seed}, rank ${rank}: ${found} instead of ${output}`);
  });
  return world;
}
