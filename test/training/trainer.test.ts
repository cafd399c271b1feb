/** The whole training on simulated hosts: the real program's trainer, HCCL, NICs and kernels. */
import { describe, expect, it } from 'vitest';
import { hcclCommDestroy } from '../../node/hccl/api.ts';
import { loadDigits, type SplitDigits, splitDigits } from '../../training/digits.ts';
import { type TrainOptions, trainOptions } from '../../training/options.ts';
import { TrainResults, type TrainSummary } from '../../training/results.ts';
import { Trainer } from '../../training/trainer.ts';
import { inlineWorld } from '../simulation/inline-library.ts';
import { SimulatedCluster } from '../simulation/simulated-cluster.ts';
import { plainTraining } from './plain-model.ts';
import { smallSplit } from './samples.ts';
import { trainingLibrary } from './training-library.ts';

async function train(
  hosts: number,
  digits: SplitDigits,
  options: TrainOptions,
): Promise<TrainSummary> {
  const cluster = new SimulatedCluster({ hosts, latencyMs: 0.01 });
  const results = new TrainResults(options, hosts);
  const { clock } = cluster.scheduler;
  const job = await cluster.run(async (rank) => {
    const library = trainingLibrary(rank);
    const world = await inlineWorld(rank);
    const { dramBytes } = await library.hlthunk_get_hw_ip_info(world.fd);
    const trainer = await Trainer.start({ library, world, digits, options, clock });
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const report = await trainer.runEpoch();
      if (rank.rank === 0) results.add(0, report);
    }
    results.add(rank.rank, await trainer.finish());
    await trainer.close();
    await hcclCommDestroy(rank.channel, world.comm);
    const { dramFreeBytes } = await library.hlthunk_get_dram_usage(world.fd);
    expect(dramFreeBytes).toBe(dramBytes);
  });
  expect([...job.errors.values()]).toEqual([]);
  const summary = results.summary();
  if (summary === undefined) throw new Error('the summary is missing');
  return summary;
}

function largestDifference(found: readonly number[], expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  return Math.max(...found.map((loss, epoch) => Math.abs(loss / (expected[epoch] ?? 0) - 1)));
}

describe('a training on simulated hosts', () => {
  it('reaches the losses of the plain model, on 1, 2, 3, 4 and 7 ranks, to 1e-5', async () => {
    const digits = smallSplit(300, 75);
    const options = trainOptions({ epochs: 4, seed: 11 });
    const expected = plainTraining(digits, options);
    expect(expected.at(-1)).toBeLessThan(0.6 * (expected[0] ?? 0));
    for (const hosts of [1, 2, 3, 4, 7]) {
      const summary = await train(hosts, digits, options);
      expect(largestDifference(summary.loss, expected), `${hosts} ranks`).toBeLessThan(1e-5);
      expect(summary.weightsIdentical, `${hosts} ranks`).toBe(true);
      expect(summary.wireBytes, `${hosts} ranks`).toBe(summary.wireBytesFormula);
      expect(summary.collectives, `${hosts} ranks`).toBe(1 + 4 * 5 + 4);
    }
  });

  it('of the default length and data ends 4 ranks where it ends 1, to 1e-5 in every epoch', async () => {
    const options = trainOptions({});
    const digits = splitDigits(loadDigits(), options.seed);
    const one = await train(1, digits, options);
    const four = await train(4, digits, options);
    expect(largestDifference(four.loss, one.loss)).toBeLessThan(1e-5);
    expect(four.accuracy).toBeGreaterThanOrEqual(0.95);
    expect(four.accuracy).toBe(one.accuracy);
    expect(four.weightsIdentical).toBe(true);
    expect(four.wireBytes).toBe(four.wireBytesFormula);
  });

  it('works where some ranks have no rows at all', async () => {
    const digits = smallSplit(20, 2);
    const options = trainOptions({ epochs: 2, batch: 3 });
    const expected = plainTraining(digits, options);
    const summary = await train(5, digits, options);
    expect(largestDifference(summary.loss, expected)).toBeLessThan(1e-5);
    expect(summary.weightsIdentical).toBe(true);
    expect(summary.wireBytes).toBe(summary.wireBytesFormula);
  });

  it('gives the same bits twice, and other bits for another seed', async () => {
    const digits = smallSplit(64, 16);
    const options = trainOptions({ epochs: 2, seed: 3, batch: 32 });
    const first = await train(3, digits, options);
    expect(await train(3, digits, options)).toEqual(first);
    const other = await train(3, digits, { ...options, seed: 4 });
    expect(other.weightsDigest).not.toBe(first.weightsDigest);
  });
});
