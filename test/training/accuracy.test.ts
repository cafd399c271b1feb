/** The training that `hlsim train digits` does by default, on one simulated host per seed. */
import { describe, expect, it } from 'vitest';
import { hcclCommDestroy } from '../../node/hccl/api.ts';
import { loadDigits, splitDigits } from '../../training/digits.ts';
import { trainOptions } from '../../training/options.ts';
import type { EpochReport } from '../../training/report.ts';
import { Trainer } from '../../training/trainer.ts';
import { inlineWorld } from '../simulation/inline-library.ts';
import { SimulatedCluster } from '../simulation/simulated-cluster.ts';
import { trainingLibrary } from './training-library.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const ACCURACY_MIN = 0.95;

async function trainByDefault(seed: number): Promise<EpochReport[]> {
  const options = trainOptions({ seed });
  const digits = splitDigits(loadDigits(), seed);
  const cluster = new SimulatedCluster({ hosts: 1 });
  const { clock } = cluster.scheduler;
  const epochs: EpochReport[] = [];
  const job = await cluster.run(async (rank) => {
    const library = trainingLibrary(rank);
    const world = await inlineWorld(rank);
    const trainer = await Trainer.start({ library, world, digits, options, clock });
    while (epochs.length < options.epochs) epochs.push(await trainer.runEpoch());
    await trainer.close();
    await hcclCommDestroy(rank.channel, world.comm);
  });
  expect([...job.errors.values()]).toEqual([]);
  return epochs;
}

describe('the default training', () => {
  it.each(SEEDS)(
    'with seed %i classifies at least 0.95 of the held-out digits right',
    async (seed) => {
      const epochs = await trainByDefault(seed);
      expect(epochs.at(-1)?.heldOutAccuracy).toBeGreaterThanOrEqual(ACCURACY_MIN);
      // Steps that are too long would show as a loss that jumps.
      const loss = epochs.map((epoch) => epoch.loss);
      expect(loss.at(-1)).toBeLessThan(0.1);
      for (const [index, value] of loss.entries()) {
        expect(value, `epoch ${index + 1}`).toBeLessThan(1.2 * (loss[index - 1] ?? 3));
      }
    },
  );
});
