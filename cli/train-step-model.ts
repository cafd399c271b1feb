/** `hlsim train --step-model`: the layers of a training, with the times that they took here. */
import { HlsimError } from '../common/errors.ts';
import { writeTrainingModel } from '../timing/training-step/model-file.ts';
import { TIMED_STEPS } from '../training/layer-times.ts';
import { METRIC_COUNT, modelOf } from '../training/model.ts';
import type { TrainSummary } from '../training/results.ts';

/**
 * A model file for `hlsim step`.
 *
 * @throws HlsimError `HLSIM_INTERNAL` if no rank timed its layers
 */
export function stepModelText({ options, layerTimes, nranks }: TrainSummary): string {
  if (layerTimes === undefined) {
    throw new HlsimError('HLSIM_INTERNAL', 'Expected times of the layers but no rank sent any');
  }
  const { hidden, batch, bucketBytes, overlap } = options;
  const layers = modelOf(hidden).layers.map(({ weights, bias }, index) => ({
    name: index === hidden.length ? 'logits' : `hidden${index + 1}`,
    parameters: weights.rows * weights.columns + bias.columns,
    forwardSeconds: (layerTimes.layers[index]?.forwardMs ?? Number.NaN) / 1000,
    backwardSeconds: (layerTimes.layers[index]?.backwardMs ?? Number.NaN) / 1000,
    overlap: true,
  }));
  return writeTrainingModel(
    {
      ...{ name: 'digits', elementType: 'float32', layers, metrics: METRIC_COUNT },
      updateSeconds: layerTimes.updateMs / 1000,
      ...{ bucketBytes, overlap: overlap === 'on' },
    },
    `wall clock of this machine: median of ${TIMED_STEPS} steps, then of ${nranks} ranks that computed at the same time; batch of ${batch} rows over all ranks; each layer submitted by itself`,
  );
}
