/**
 * Forward and backward pass as jobs for the device: each phase is one command submission of TPC
 * kernels. Pure; who submits them, and what is all-reduced between them, is `trainer.ts`.
 */
import type { Job, KernelJob, Tensor } from '../node/device/job.ts';
import { CLASSES, PIXELS } from './digits.ts';
import {
  type Block,
  GRADIENT_COUNT,
  HIDDEN,
  LAYOUT,
  LEARNING_RATE,
  METRIC_COUNT,
  PARAMETER_COUNT,
} from './model.ts';

/** Bytes of a float32. */
export const FLOAT_BYTES = 4;

/** Device addresses of a rank's buffers. */
export interface ModelMemory {
  /** `PARAMETER_COUNT` elements. */
  readonly parameters: number;
  /** `GRADIENT_COUNT` elements. */
  readonly gradients: number;
  /** `METRIC_COUNT` elements: sums over the batches of an epoch. */
  readonly epochMetrics: number;
  /** `METRIC_COUNT` elements: sums over the held-out rows. */
  readonly heldOutMetrics: number;
  /** Rows x `HIDDEN`: outputs of the hidden layer, and the gradients that reach it. */
  readonly hidden: number;
  readonly hiddenGradients: number;
  /** Rows x `CLASSES`: logits, then their gradients. */
  readonly logits: number;
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
 * metrics of these rows. Without rows: zeros, which other ranks' parts are added to.
 */
export function gradientJobs(memory: ModelMemory, input: DeviceRows, batchRows: number): Job[] {
  const { rows } = input;
  if (rows === 0) return [fill(floats(memory.gradients, GRADIENT_COUNT), 0)];
  const metrics = memory.gradients + PARAMETER_COUNT * FLOAT_BYTES;
  const { hidden, logits, pixels } = tensorsOf(memory, input);
  const hiddenGradients = floats(memory.hiddenGradients, rows * HIDDEN);
  const weights2 = block(memory.parameters, LAYOUT.weights2);
  const gradient = (of: Block): Tensor => block(memory.gradients, of);
  return [
    ...forwardJobs(memory, input),
    softmaxCrossEntropy(memory, input, metrics, 1 / batchRows),
    // weights2: hidden^T x d(logits); bias2: column sums.
    kernel(
      'matmul_f32',
      [gradient(LAYOUT.weights2), hidden, logits],
      [HIDDEN, rows, CLASSES, 1, 0, 0],
    ),
    kernel('column_sum_f32', [gradient(LAYOUT.bias2), logits], [rows, CLASSES]),
    // d(hidden) = d(logits) x weights2^T where the unit was active.
    kernel('matmul_f32', [hiddenGradients, logits, weights2], [rows, CLASSES, HIDDEN, 0, 1, 0]),
    kernel('relu_backward_f32', [hiddenGradients, hiddenGradients, hidden], []),
    // weights1: pixels^T x d(hidden); bias1: column sums.
    kernel(
      'matmul_f32',
      [gradient(LAYOUT.weights1), pixels, hiddenGradients],
      [PIXELS, rows, HIDDEN, 1, 0, 0],
    ),
    kernel('column_sum_f32', [gradient(LAYOUT.bias1), hiddenGradients], [rows, HIDDEN]),
  ];
}

/** One step of gradient descent by the summed gradients; their metrics go to the epoch's. */
export function updateJobs(memory: ModelMemory): Job[] {
  const metrics = memory.gradients + PARAMETER_COUNT * FLOAT_BYTES;
  return [
    scaleAdd(memory.parameters, memory.gradients, PARAMETER_COUNT, -LEARNING_RATE),
    scaleAdd(memory.epochMetrics, metrics, METRIC_COUNT, 1),
  ];
}

/** The metrics of held-out rows. */
export function evaluationJobs(memory: ModelMemory, input: DeviceRows): Job[] {
  if (input.rows === 0) return [fill(floats(memory.heldOutMetrics, METRIC_COUNT), 0)];
  return [
    ...forwardJobs(memory, input),
    softmaxCrossEntropy(memory, input, memory.heldOutMetrics, 0),
  ];
}

/** An epoch begins: its metrics are zero. */
export function clearEpochJobs(memory: ModelMemory): Job[] {
  return [fill(floats(memory.epochMetrics, METRIC_COUNT), 0)];
}

/** Hidden layer and logits. */
function forwardJobs(memory: ModelMemory, input: DeviceRows): Job[] {
  const { rows } = input;
  const { hidden, logits, pixels } = tensorsOf(memory, input);
  const parameter = (of: Block): Tensor => block(memory.parameters, of);
  return [
    kernel(
      'matmul_f32',
      [hidden, pixels, parameter(LAYOUT.weights1)],
      [rows, PIXELS, HIDDEN, 0, 0, 0],
    ),
    kernel('add_bias_f32', [hidden, parameter(LAYOUT.bias1)], [rows, HIDDEN]),
    kernel('relu_f32', [hidden, hidden], []),
    kernel(
      'matmul_f32',
      [logits, hidden, parameter(LAYOUT.weights2)],
      [rows, HIDDEN, CLASSES, 0, 0, 0],
    ),
    kernel('add_bias_f32', [logits, parameter(LAYOUT.bias2)], [rows, CLASSES]),
  ];
}

/** Metrics at `metrics`; the logits become their gradients, times `scale`. */
function softmaxCrossEntropy(
  memory: ModelMemory,
  input: DeviceRows,
  metrics: number,
  scale: number,
): KernelJob {
  const { rows } = input;
  const { logits, labels } = tensorsOf(memory, input);
  const loss = floats(metrics, 1);
  const correct = floats(metrics + FLOAT_BYTES, 1);
  const tensors = [logits, loss, correct, logits, labels];
  return kernel('softmax_cross_entropy_f32', tensors, [rows, CLASSES, scale]);
}

function tensorsOf(memory: ModelMemory, { rows, pixels, labels }: DeviceRows) {
  return {
    hidden: floats(memory.hidden, rows * HIDDEN),
    logits: floats(memory.logits, rows * CLASSES),
    pixels: floats(pixels, rows * PIXELS),
    labels: floats(labels, rows),
  };
}

function scaleAdd(y: number, x: number, count: number, alpha: number): KernelJob {
  return kernel('scale_add_f32', [floats(y, count), floats(x, count)], [alpha]);
}

function fill(tensor: Tensor, value: number): KernelJob {
  return kernel('fill_f32', [tensor], [value]);
}

function kernel(
  name: KernelJob['kernel'],
  tensors: readonly Tensor[],
  scalars: readonly number[],
): KernelJob {
  return { kind: 'kernel', kernel: name, tensors, scalars };
}

function floats(address: number, count: number): Tensor {
  return { address, bytes: count * FLOAT_BYTES };
}

function block(base: number, { offset, rows, columns }: Block): Tensor {
  return floats(base + offset * FLOAT_BYTES, rows * columns);
}
