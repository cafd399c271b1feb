/**
 * The classifier once more, in plain loops over numbers: the oracle for the kernels' steps. With
 * `Math.fround` as `round` every stored value is a float32, without it everything is float64.
 */
import { type Digits, PIXELS, pickRows, type SplitDigits } from '../../training/digits.ts';
import {
  initialParameters,
  type Layer,
  LEARNING_RATE,
  type Model,
  modelOf,
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

/** One row through all layers: the inputs of each, then the logits. */
function forward(
  { layers }: Model,
  parameters: ArrayLike<number>,
  pixels: ArrayLike<number>,
  round: Round,
) {
  const values: ArrayLike<number>[] = [pixels];
  let inputs = pixels;
  let logits: number[] = [];
  for (const layer of layers) {
    logits = dense(parameters, layer, inputs, round);
    inputs = logits.map((value) => Math.max(0, value));
    values.push(inputs);
  }
  return { inputs: values.slice(0, -1), logits };
}

function dense(
  parameters: ArrayLike<number>,
  { weights, bias }: Layer,
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
  model: Model,
  parameters: ArrayLike<number>,
  digits: Digits,
  batchRows: number,
  round: Round = exact,
): PlainGradient {
  const gradient = new Float64Array(model.parameterCount);
  const add = (at: number, value: number): void => {
    gradient[at] = round((gradient[at] ?? 0) + round(value));
  };
  let loss = 0;
  let correct = 0;
  for (let row = 0; row < digits.rows; row++) {
    const pixels = digits.pixels.subarray(row * PIXELS, (row + 1) * PIXELS);
    const label = digits.labels[row] ?? Number.NaN;
    const { inputs, logits } = forward(model, parameters, pixels, round);
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    loss += Math.log(sum) - ((logits[label] ?? Number.NaN) - largest);
    if (logits.indexOf(largest) === label) correct++;
    const errors = powers.map((power, column) =>
      round((power / sum - (column === label ? 1 : 0)) / batchRows),
    );
    backward(model, parameters, inputs, errors, add, round);
  }
  return { gradient, loss: round(loss), correct };
}

function backward(
  { layers }: Model,
  parameters: ArrayLike<number>,
  inputs: readonly ArrayLike<number>[],
  logitErrors: readonly number[],
  add: (at: number, value: number) => void,
  round: Round,
): void {
  let errors = logitErrors;
  for (const [index, { weights, bias }] of [...layers.entries()].reverse()) {
    const input = inputs[index] ?? [];
    const below: number[] = [];
    for (let row = 0; row < weights.rows; row++) {
      const value = input[row] ?? Number.NaN;
      const first = weights.offset + row * weights.columns;
      for (const [column, of] of errors.entries()) add(first + column, value * of);
      // Nobody asks for the pixels' gradients; ReLU lets those of active units through.
      if (index === 0 || value <= 0) {
        below.push(0);
        continue;
      }
      let error = 0;
      for (const [column, of] of errors.entries()) {
        error = round(error + round(of * (parameters[first + column] ?? Number.NaN)));
      }
      below.push(error);
    }
    for (const [column, error] of errors.entries()) add(bias.offset + column, error);
    errors = below;
  }
}

/** Mean loss of each epoch of a training in one place, in float32. */
export function plainTraining(
  { training }: SplitDigits,
  { epochs, seed, batch, hidden }: TrainOptions,
): number[] {
  const model = modelOf(hidden);
  const parameters = initialParameters(model, seed);
  return Array.from({ length: epochs }, () => {
    let loss = 0;
    for (let first = 0; first < training.rows; first += batch) {
      const rows = Math.min(batch, training.rows - first);
      const part = pickRows(
        training,
        Array.from({ length: rows }, (_, row) => first + row),
      );
      const step = plainGradient(model, parameters, part, rows, Math.fround);
      loss += step.loss;
      for (const [index, slope] of step.gradient.entries()) {
        const change = Math.fround(Math.fround(-LEARNING_RATE) * slope);
        parameters[index] = (parameters[index] ?? 0) + change;
      }
    }
    return loss / training.rows;
  });
}
