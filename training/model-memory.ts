/** A rank's buffers in HBM: the model's, and its rows of the data set. */
import { FLOAT_BYTES } from './buckets.ts';
import { type Digits, PIXELS } from './digits.ts';
import { METRIC_COUNT, type Model } from './model.ts';
import type { RankDevice } from './rank-device.ts';
import type { DeviceRows, ModelMemory } from './step.ts';

/** Memory for a model that works on at most `rows` rows at a time. Freed with the device. */
export async function allocateModel(
  device: Pick<RankDevice, 'allocate'>,
  model: Model,
  rows: number,
): Promise<ModelMemory> {
  const floats = (count: number) => device.allocate(count * FLOAT_BYTES);
  const outputs: number[] = [];
  const outputGradients: number[] = [];
  for (const [index, { weights }] of model.layers.entries()) {
    outputs.push(await floats(rows * weights.columns));
    const isLast = index === model.layers.length - 1;
    if (!isLast) outputGradients.push(await floats(rows * weights.columns));
  }
  return {
    model,
    parameters: await floats(model.parameterCount),
    gradients: await floats(model.gradientCount),
    epochMetrics: await floats(METRIC_COUNT),
    heldOutMetrics: await floats(METRIC_COUNT),
    outputs,
    outputGradients,
  };
}

/** Copies rows to the device. */
export async function uploadRows(
  device: Pick<RankDevice, 'allocate' | 'upload'>,
  digits: Digits,
): Promise<DeviceRows> {
  const { rows } = digits;
  const pixels = await device.allocate(rows * PIXELS * FLOAT_BYTES);
  const labels = await device.allocate(rows * FLOAT_BYTES);
  await device.upload(new Uint8Array(digits.pixels.buffer), pixels);
  await device.upload(new Uint8Array(digits.labels.buffer), labels);
  return { rows, pixels, labels };
}
