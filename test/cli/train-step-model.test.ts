/** What `hlsim train --step-model` writes, read back as `hlsim step` reads it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stepModelText } from '../../cli/train-step-model.ts';
import { hcclCommDestroy } from '../../node/hccl/api.ts';
import { readTrainingModel } from '../../timing/training-step/model-file.ts';
import { trainOptions } from '../../training/options.ts';
import { TrainResults, type TrainSummary } from '../../training/results.ts';
import { Trainer } from '../../training/trainer.ts';
import { inlineWorld } from '../simulation/inline-library.ts';
import { SimulatedCluster } from '../simulation/simulated-cluster.ts';
import { smallSplit } from '../training/samples.ts';
import { trainingLibrary } from '../training/training-library.ts';
import { record } from './recording-terminal.ts';

/** Two ranks, one epoch. */
async function trained(timeLayers: boolean, batch = 32): Promise<TrainSummary> {
  const hidden = [16, 8];
  const options = trainOptions({ epochs: 1, hidden, batch, ...(timeLayers ? { timeLayers } : {}) });
  const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.01 });
  const results = new TrainResults(options, 2);
  const job = await cluster.run(async (rank) => {
    const library = trainingLibrary(rank);
    const world = await inlineWorld(rank);
    const { clock } = cluster.scheduler;
    const digits = smallSplit(4 * batch, 16);
    const trainer = await Trainer.start({ library, world, digits, options, clock });
    const report = await trainer.runEpoch();
    if (rank.rank === 0) results.add(0, report);
    results.add(rank.rank, await trainer.finish());
    await trainer.close();
    await hcclCommDestroy(rank.channel, world.comm);
  });
  expect([...job.errors.values()]).toEqual([]);
  const summary = results.summary();
  if (summary === undefined) throw new Error('the summary is missing');
  return summary;
}

describe('hlsim train --step-model', () => {
  it('writes a model that hlsim step reads, with the layers, times and settings of the training', async () => {
    const summary = await trained(true);
    const text = stepModelText(summary);
    const model = readTrainingModel(text, 'digits.step.yaml');
    expect(model.layers.map(({ name, parameters }) => [name, parameters])).toEqual([
      ['hidden1', 64 * 16 + 16],
      ['hidden2', 16 * 8 + 8],
      ['logits', 8 * 10 + 10],
    ]);
    const { layerTimes } = summary;
    for (const [index, layer] of model.layers.entries()) {
      const { forwardMs = Number.NaN, backwardMs = Number.NaN } = layerTimes?.layers[index] ?? {};
      expect(layer.forwardSeconds).toBeCloseTo(forwardMs / 1000, 9);
      expect(layer.backwardSeconds).toBeCloseTo(backwardMs / 1000, 9);
    }
    expect(model).toMatchObject({ metrics: 2, bucketBytes: 256 * 1024, overlap: true });
    const folder = mkdtempSync(join(tmpdir(), 'hlsim-step-model-'));
    try {
      const file = join(folder, 'digits.step.yaml');
      writeFileSync(file, text);
      const { exitCode, notes } = await record('step', file, '--topology', 'hls2');
      expect([exitCode, notes]).toEqual([0, '']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('has the times of the ranks with rows, and ends on those without', async () => {
    const { layerTimes } = await trained(true, 1);
    expect(layerTimes?.layers).toHaveLength(3);
  });

  it('changes no weight and no byte of the training, and times nothing unless asked', async () => {
    const [plain, timed] = [await trained(false), await trained(true)];
    expect(plain.layerTimes).toBeUndefined();
    expect(timed.weightsDigest).toBe(plain.weightsDigest);
    expect(timed.wireBytes).toBe(plain.wireBytes);
    expect(() => stepModelText(plain)).toThrow(/no rank sent any/);
  });

  it('takes each layer by its own times', () => {
    const layers = [
      { forwardMs: 1, backwardMs: 2 },
      { forwardMs: 3, backwardMs: 4 },
    ];
    const options = trainOptions({ hidden: [32] });
    const text = stepModelText({
      options,
      nranks: 2,
      layerTimes: { layers, updateMs: 5 },
    } as TrainSummary);
    const model = readTrainingModel(text, 'a.yaml');
    expect(model.layers.map((one) => [one.forwardSeconds, one.backwardSeconds])).toEqual([
      [0.001, 0.002],
      [0.003, 0.004],
    ]);
    expect(model.updateSeconds).toBe(0.005);
  });
});
