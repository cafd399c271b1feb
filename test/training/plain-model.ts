/**
 * The classifier once more, in plain loops over numbers: the oracle for the kernels' steps. With
 * `Math.fround` as `round` every stored value is a float32, without it everything is float64.
 */
import { CLASSES, type Digits, PIXELS, pickRows, type SplitDigits } from '../../training/digits.ts';
import {
  type Block,
  HIDDEN,
  initialParameters,
  LAYOUT,
  LEARNING_RATE,
  PARAMETER_COUNT,
} from '../../training/model.ts';
import type { TrainOptions } from '../../training/options.ts';

export type Round = (value: number) => number;

export interface PlainGradient {
  readonly gradient: Float64Array;
  /** Sum over the rows. */
  readonly loss: number;
  readonly correct: number;
}

const exact: Round = (value) => value;

/** Logits of one row, with the hidden layer's outputs. */
function forward(parameters: ArrayLike<number>, pixels: ArrayLike<number>, round: Round) {
  const hidden = dense(parameters, LAYOUT.weights1, LAYOUT.bias1, pixels, round).map((value) =>
    Math.max(0, value),
  );
  return { hidden, logits: dense(parameters, LAYOUT.weights2, LAYOUT.bias2, hidden, round) };
}

function dense(
  parameters: ArrayLike<number>,
  weights: Block,
  bias: Block,
  input: ArrayLike<number>,
  round: Round,
): number[] {
  return Array.from({ length: weights.columns }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < weights.rows; row++) {
      const weight = parameters[weights.offset + row * weights.columns + column] ?? Number.NaN;
      sum = round(sum + round((input[row] ?? Number.NaN) * weight));
    }
    return round(sum + (parameters[bias.offset + column] ?? Number.NaN));
  });
}

/** Gradient of (sum of the rows' losses) / batchRows. */
export function plainGradient(
  parameters: ArrayLike<number>,
  digits: Digits,
  batchRows: number,
  round: Round = exact,
): PlainGradient {
  const gradient = new Float64Array(PARAMETER_COUNT);
  const add = (at: number, value: number): void => {
    gradient[at] = round((gradient[at] ?? 0) + round(value));
  };
  let loss = 0;
  let correct = 0;
  for (let row = 0; row < digits.rows; row++) {
    const pixels = digits.pixels.subarray(row * PIXELS, (row + 1) * PIXELS);
    const label = digits.labels[row] ?? Number.NaN;
    const { hidden, logits } = forward(parameters, pixels, round);
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    loss += Math.log(sum) - ((logits[label] ?? Number.NaN) - largest);
    if (logits.indexOf(largest) === label) correct++;
    const errors = powers.map((power, column) =>
      round((power / sum - (column === label ? 1 : 0)) / batchRows),
    );
    backward(parameters, pixels, hidden, errors, add, round);
  }
  return { gradient, loss: round(loss), correct };
}

function backward(
  parameters: ArrayLike<number>,
  pixels: ArrayLike<number>,
  hidden: readonly number[],
  errors: readonly number[],
  add: (at: number, value: number) => void,
  round: Round,
): void {
  const { weights1, bias1, weights2, bias2 } = LAYOUT;
  for (const [column, error] of errors.entries()) {
    add(bias2.offset + column, error);
    for (let unit = 0; unit < HIDDEN; unit++) {
      add(weights2.offset + unit * CLASSES + column, (hidden[unit] ?? 0) * error);
    }
  }
  for (let unit = 0; unit < HIDDEN; unit++) {
    if ((hidden[unit] ?? 0) <= 0) continue;
    let error = 0;
    for (const [column, of] of errors.entries()) {
      const weight = parameters[weights2.offset + unit * CLASSES + column] ?? Number.NaN;
      error = round(error + round(of * weight));
    }
    add(bias1.offset + unit, error);
    for (let pixel = 0; pixel < PIXELS; pixel++) {
      add(weights1.offset + pixel * HIDDEN + unit, (pixels[pixel] ?? 0) * error);
    }
  }
}

/** Mean loss of each epoch of a training in one place, in float32. */
export function plainTraining(
  { training }: SplitDigits,
  { epochs, seed, batch }: TrainOptions,
): number[] {
  const parameters = initialParameters(seed);
  return Array.from({ length: epochs }, () => {
    let loss = 0;
    for (let first = 0; first < training.rows; first += batch) {
      const rows = Math.min(batch, training.rows - first);
      const part = pickRows(
        training,
        Array.from({ length: rows }, (_, row) => first + row),
      );
      const step = plainGradient(parameters, part, rows, Math.fround);
      loss += step.loss;
      for (const [index, slope] of step.gradient.entries()) {
        const change = Math.fround(Math.fround(-LEARNING_RATE) * slope);
        parameters[index] = (parameters[index] ?? 0) + change;
      }
    }
    return loss / training.rows;
  });
}
