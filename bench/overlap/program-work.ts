/**
 * Forward and backward pass in the program's own thread, in plain JavaScript on its own memory: what a
 * program does that computes without the device. Takes the place of the device in a step; the host's main
 * thread, and HCCL in it, is left alone.
 */
import { defined } from '../../common/assert.ts';
import type { Bucket } from '../../training/buckets.ts';
import type { Layer, Model } from '../../training/model.ts';

interface LayerMemory {
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  readonly inputs: Float32Array;
  readonly errors: Float32Array;
}

export class ProgramWork {
  readonly #model: Model;
  readonly #buckets: readonly Bucket[];
  readonly #memory: readonly LayerMemory[];
  /** Rows of the part of the batch. */
  rows = 1;
  #waits = 0;

  constructor(model: Model, buckets: readonly Bucket[], rowsMax: number) {
    this.#model = model;
    this.#buckets = buckets;
    this.#memory = model.layers.map(({ weights: { rows: inputs, columns: outputs } }) => ({
      weights: new Float32Array(inputs * outputs).fill(0.01),
      gradients: new Float32Array(inputs * outputs),
      inputs: new Float32Array(rowsMax * inputs).fill(0.5),
      errors: new Float32Array(rowsMax * outputs).fill(0.25),
    }));
  }

  /** Nothing is done before somebody waits for it. */
  submit(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Computes the next bucket of the pass, round and round; the thread does nothing else meanwhile. */
  wait(): Promise<void> {
    const index = this.#waits++ % this.#buckets.length;
    if (index === 0) {
      for (const [number, layer] of this.#model.layers.entries()) this.#forward(number, layer);
    }
    for (const number of defined(this.#buckets[index], `bucket ${index}`).layers) {
      this.#backward(number);
    }
    return Promise.resolve();
  }

  /** outputs = inputs x weights; the errors' memory takes them, of which only the time matters. */
  #forward(number: number, { weights }: Layer): void {
    const memory = defined(this.#memory[number], `layer ${number}`);
    product(memory.errors, memory.inputs, memory.weights, this.rows, weights.rows, weights.columns);
    memory.errors.fill(0.25);
  }

  /** d(weights) = inputs^T x errors, and the errors below = errors x weights^T. */
  #backward(number: number): void {
    const { weights } = defined(this.#model.layers[number], `layer ${number}`);
    const memory = defined(this.#memory[number], `layer ${number}`);
    memory.gradients.fill(0);
    outerProducts(memory, this.rows, weights.rows, weights.columns);
  }
}

/** c (m x n) = a (m x k) times b (k x n) */
function product(
  c: Float32Array,
  a: Float32Array,
  b: Float32Array,
  m: number,
  k: number,
  n: number,
): void {
  c.fill(0, 0, m * n);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const factor = a[i * k + p] ?? 0;
      for (let j = 0; j < n; j++) c[i * n + j] = (c[i * n + j] ?? 0) + factor * (b[p * n + j] ?? 0);
    }
  }
}

/** Both products of a layer's backward pass, row by row of the batch. */
function outerProducts(
  { weights, gradients, inputs, errors }: LayerMemory,
  rows: number,
  inputCount: number,
  outputCount: number,
): void {
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < inputCount; i++) {
      const factor = inputs[row * inputCount + i] ?? 0;
      let below = 0;
      for (let j = 0; j < outputCount; j++) {
        const error = errors[row * outputCount + j] ?? 0;
        const at = i * outputCount + j;
        gradients[at] = (gradients[at] ?? 0) + factor * error;
        below += error * (weights[at] ?? 0);
      }
      // Kept, so that it is not compiled away; the inputs stay what they were.
      if (below === Number.POSITIVE_INFINITY) inputs[row * inputCount + i] = below;
    }
  }
}
