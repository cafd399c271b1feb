/**
 * Forward and backward pass as jobs for the device: each phase is one command submission of TPC
 * kernels. Pure; who submits them, and what is all-reduced between them, is `trainer.ts`.
 */
import { defined } from '../common/assert.ts';
import type { Job, KernelJob, Tensor } from '../node/device/job.ts';
import { type Bucket, FLOAT_BYTES } from './buckets.ts';
import { CLASSES, PIXELS } from './digits.ts';
import { type Block, type Layer, LEARNING_RATE, METRIC_COUNT, type Model } from './model.ts';
import type { RowRange } from './shard.ts';
import { SUBMISSION_WORK } from './submissions.ts';
import { block, elements, fill, kernel, scaleAdd } from './tensors.ts';

/** Device addresses of a rank's buffers. */
export interface ModelMemory {
  readonly model: Model;
  /** `parameterCount` elements. */
  readonly parameters: number;
  /** `gradientCount` elements. */
  readonly gradients: number;
  /** `METRIC_COUNT` elements: sums over the batches of an epoch. */
  readonly epochMetrics: number;
  /** `METRIC_COUNT` elements: sums over the held-out rows. */
  readonly heldOutMetrics: number;
  /** Of each layer, rows x its outputs: what it gives; in the end, of the last one, the logits' gradients. */
  readonly outputs: readonly number[];
  /** Of each layer but the last, rows x its outputs: the gradients that reach them. */
  readonly outputGradients: readonly number[];
}

/** Rows in device memory. */
export interface DeviceRows {
  readonly rows: number;
  /** `rows` x `PIXELS` elements. */
  readonly pixels: number;
  /** `rows` elements. */
  readonly labels: number;
}

/** Rows `first` to `first + rows` of a table in device memory. */
export function deviceRows(table: DeviceRows, first: number, rows: number): DeviceRows {
  return {
    rows,
    pixels: table.pixels + first * PIXELS * FLOAT_BYTES,
    labels: table.labels + first * FLOAT_BYTES,
  };
}

/**
 * Gradients of the mean loss of a batch of `batchRows` rows, as far as these rows contribute, and the
 * metrics of these rows: the jobs of each bucket, to be run one bucket after the other. Without rows:
 * zeros, which other ranks' parts are added to.
 */
export function gradientJobs(
  memory: ModelMemory,
  input: DeviceRows,
  batchRows: number,
  buckets: readonly Bucket[],
): Job[][] {
  if (input.rows === 0) {
    return buckets.map(({ offset, count }) => [fill(elements(memory.gradients, offset, count), 0)]);
  }
  const { forward, backward } = layerJobs(memory, input, batchRows);
  return buckets.map(({ layers }, index) => [
    ...(index === 0 ? forward.flat() : []),
    ...layers.flatMap((layer) => defined(backward[layer], `layer ${layer}`)),
  ]);
}

/** Jobs by the layers' numbers; the loss is computed with the last layer's forward pass. */
export interface LayerJobs {
  readonly forward: readonly (readonly Job[])[];
  readonly backward: readonly (readonly Job[])[];
}

/** The jobs of `gradientJobs`, one layer after the other. */
export function layerJobs(memory: ModelMemory, input: DeviceRows, batchRows: number): LayerJobs {
  const { layers, parameterCount } = memory.model;
  const metrics = memory.gradients + parameterCount * FLOAT_BYTES;
  const loss = softmaxCrossEntropy(memory, input, metrics, 1 / batchRows);
  return {
    forward: layers.map((_, index) => [
      ...layerForwardJobs(memory, input, index),
      ...(index === layers.length - 1 ? [loss] : []),
    ]),
    backward: layers.map((_, index) => backwardJobs(memory, input, index)),
  };
}

/** One step of gradient descent by the summed gradients; their metrics go to the epoch's. */
export function updateJobs(memory: ModelMemory): Job[] {
  const { parameterCount } = memory.model;
  const metrics = memory.gradients + parameterCount * FLOAT_BYTES;
  return [
    scaleAdd(memory.parameters, memory.gradients, parameterCount, -LEARNING_RATE),
    scaleAdd(memory.epochMetrics, metrics, METRIC_COUNT, 1),
  ];
}

/** The metrics of held-out rows. */
export function evaluationJobs(memory: ModelMemory, input: DeviceRows): Job[] {
  if (input.rows === 0) return [fill(elements(memory.heldOutMetrics, 0, METRIC_COUNT), 0)];
  return [
    ...forwardJobs(memory, input),
    softmaxCrossEntropy(memory, input, memory.heldOutMetrics, 0),
  ];
}

/** An epoch begins: its metrics are zero. */
export function clearEpochJobs(memory: ModelMemory): Job[] {
  return [fill(elements(memory.epochMetrics, 0, METRIC_COUNT), 0)];
}

/** All layers, from the pixels to the logits. */
function forwardJobs(memory: ModelMemory, input: DeviceRows): Job[] {
  return memory.model.layers.flatMap((_, index) => layerForwardJobs(memory, input, index));
}

function layerForwardJobs(memory: ModelMemory, input: DeviceRows, index: number): Job[] {
  const { rows } = input;
  const { weights, bias } = layerOf(memory, index);
  const parameter = (of: Block): Tensor => block(memory.parameters, of);
  const outputs = outputsOf(memory, rows, index);
  const inputs = inputsOf(memory, input, index);
  return [
    ...rowJobs({ rows, inputs, outputs, weights: parameter(weights) }, weights, 0),
    kernel('add_bias_f32', [outputs, parameter(bias)], [rows, weights.columns]),
    ...(index === memory.model.layers.length - 1
      ? []
      : [kernel('relu_f32', [outputs, outputs], [])]),
  ];
}

/** Gradients of one layer's weights and bias, when those of the layers above are there. */
function backwardJobs(memory: ModelMemory, input: DeviceRows, index: number): Job[] {
  const { rows } = input;
  const { weights, bias } = layerOf(memory, index);
  const errors = errorsOf(memory, rows, index);
  return [
    ...errorJobs(memory, rows, index),
    // weights: inputs^T x d(outputs); bias: column sums.
    ...weightJobs(memory, input, index),
    kernel('column_sum_f32', [block(memory.gradients, bias), errors], [rows, weights.columns]),
  ];
}

/** d(outputs) = d(outputs above) x weights above^T where the unit was active; the logits have theirs. */
function errorJobs(memory: ModelMemory, rows: number, index: number): Job[] {
  if (index === memory.model.layers.length - 1) return [];
  const { weights } = layerOf(memory, index + 1);
  const errors = errorsOf(memory, rows, index);
  return [
    ...rowJobs(
      {
        ...{ rows, inputs: errorsOf(memory, rows, index + 1), outputs: errors },
        weights: block(memory.parameters, weights),
      },
      { rows: weights.columns, columns: weights.rows },
      1,
    ),
    kernel('relu_backward_f32', [errors, errors, outputsOf(memory, rows, index)], []),
  ];
}

/** inputs^T x d(outputs): products of some rows after another, added up; in the order of one product. */
function weightJobs(memory: ModelMemory, input: DeviceRows, index: number): Job[] {
  const { weights } = layerOf(memory, index);
  const inputs = inputsOf(memory, input, index);
  const errors = errorsOf(memory, input.rows, index);
  return parts(input.rows, weights).map(({ first, rows }) =>
    kernel(
      'matmul_f32',
      [
        block(memory.gradients, weights),
        elements(inputs.address, first * weights.rows, rows * weights.rows),
        elements(errors.address, first * weights.columns, rows * weights.columns),
      ],
      [weights.rows, rows, weights.columns, 1, 0, first === 0 ? 0 : 1],
    ),
  );
}

interface RowProduct {
  readonly rows: number;
  readonly inputs: Tensor;
  readonly weights: Tensor;
  readonly outputs: Tensor;
}

/** outputs = inputs x weights, of which `sizes` are those of the second after it is transposed, some rows at a time. */
function rowJobs(
  { rows: all, inputs, weights, outputs }: RowProduct,
  sizes: Pick<Block, 'rows' | 'columns'>,
  transposed: 0 | 1,
): Job[] {
  return parts(all, sizes).map(({ first, rows }) =>
    kernel(
      'matmul_f32',
      [
        elements(outputs.address, first * sizes.columns, rows * sizes.columns),
        elements(inputs.address, first * sizes.rows, rows * sizes.rows),
        weights,
      ],
      [rows, sizes.rows, sizes.columns, 0, transposed, 0],
    ),
  );
}

/** Rows in parts whose product with a matrix of these sizes fits a submission; one row at least. */
function parts(
  rows: number,
  { rows: inputs, columns }: Pick<Block, 'rows' | 'columns'>,
): RowRange[] {
  const atOnce = Math.max(1, Math.floor(SUBMISSION_WORK / (inputs * columns)));
  return Array.from({ length: Math.ceil(rows / atOnce) }, (_, part) => ({
    first: part * atOnce,
    rows: Math.min(atOnce, rows - part * atOnce),
  }));
}

/** Metrics at `metrics`; the logits become their gradients, times `scale`. */
function softmaxCrossEntropy(
  memory: ModelMemory,
  { rows, labels }: DeviceRows,
  metrics: number,
  scale: number,
): KernelJob {
  const logits = outputsOf(memory, rows, memory.model.layers.length - 1);
  const loss = elements(metrics, 0, 1);
  const correct = elements(metrics, 1, 1);
  const tensors = [logits, loss, correct, logits, elements(labels, 0, rows)];
  return kernel('softmax_cross_entropy_f32', tensors, [rows, CLASSES, scale]);
}

function layerOf({ model }: ModelMemory, index: number): Layer {
  return defined(model.layers[index], `layer ${index}`);
}

function inputsOf(memory: ModelMemory, { rows, pixels }: DeviceRows, index: number): Tensor {
  return index === 0 ? elements(pixels, 0, rows * PIXELS) : outputsOf(memory, rows, index - 1);
}

function outputsOf(memory: ModelMemory, rows: number, index: number): Tensor {
  return perUnit(memory, memory.outputs, rows, index);
}

/** Gradients of a layer's outputs: those of the logits take the logits' place. */
function errorsOf(memory: ModelMemory, rows: number, index: number): Tensor {
  const isLast = index === memory.model.layers.length - 1;
  return perUnit(memory, isLast ? memory.outputs : memory.outputGradients, rows, index);
}

function perUnit(
  memory: ModelMemory,
  addresses: readonly number[],
  rows: number,
  index: number,
): Tensor {
  const address = defined(addresses[index], `the memory of layer ${index}`);
  return elements(address, 0, rows * layerOf(memory, index).weights.columns);
}
