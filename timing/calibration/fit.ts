/**
 * Finds the parameters with which predictions are nearest to measurements.
 *
 * What is made least is the sum of the squares of log(predicted / measured): times span many powers of ten,
 * and all count alike. Parameters are positive, so that the search is for their logarithms. It begins with
 * powers of ten of one parameter after the other, as a file's guess may be far off where a small change
 * changes nothing; from there `leastSquares` goes downhill. No chance is in it: the same points give the same
 * parameters.
 */
import { assert, defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import type { FittedParameter } from './fitted-parameters.ts';
import { leastSquares, sumOfSquares } from './least-squares.ts';

/** Predicted seconds of the points of the fit, for values by the parameters' order. */
export type PredictAll = (values: readonly number[]) => readonly number[];

export interface FitRequest {
  readonly parameters: readonly FittedParameter[];
  /** Seconds, in the order in which `predictAll` gives them. */
  readonly measured: readonly number[];
  readonly predictAll: PredictAll;
  /** Told now and then how often all points were predicted. */
  readonly progress?: ((predictions: number) => void) | undefined;
}

export interface FitResult {
  /** In the parameters' order. */
  readonly values: readonly number[];
  /**
   * In the parameters' order: whether the points say what the value is. They do not where other parameters take so
   * much longer that this one hardly matters, as a rate that is far above the others.
   */
  readonly areDetermined: readonly boolean[];
  /** Root of the mean square of log(predicted / measured). */
  readonly deviation: number;
}

/** Powers of ten to each side of where the search begins. */
const DECADES = 5;
/** One parameter after the other, so often. */
const PASSES = 2;
/** For derivatives, of logarithms: small against what matters, large against rounding. */
const STEP = 1e-3;
/** A parameter is of no influence if no power of ten of it changes any time by more, as a part of it. */
const NO_INFLUENCE = 1e-9;
/** It is not determined if twice as much of it, and half of it, change no time by more. */
const HARDLY_ANY_INFLUENCE = 0.01;
const REMEMBERED_MAX = 4096;

/**
 * @throws HlsimError `HLSIM_USAGE` if there are fewer points than parameters, or a parameter is of no
 * influence on any point
 */
export function fitParameters(request: FitRequest): FitResult {
  const { parameters, measured } = request;
  if (measured.length < parameters.length) {
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected at least ${parameters.length} points to fit ${parameters.length} parameters with but found ${measured.length}: hold out fewer`,
    );
  }
  const search = new Search(request);
  const logs = search.downhill(search.byDecades(parameters.map(({ start }) => Math.log(start))));
  search.expectInfluence();
  return {
    values: logs.map(Math.exp),
    areDetermined: parameters.map((_, index) => search.isDetermined(logs, index)),
    deviation: Math.sqrt(search.error(logs) / measured.length),
  };
}

class Search {
  readonly #request: FitRequest;
  readonly #logMeasured: readonly number[];
  readonly #min: readonly number[];
  readonly #max: readonly number[];
  /** Residuals by the parameters' logarithms. */
  readonly #known = new Map<string, readonly number[]>();
  /** Indices of parameters that some time was seen to depend on. */
  readonly #influential = new Set<number>();
  #predictions = 0;

  constructor(request: FitRequest) {
    this.#request = request;
    this.#logMeasured = request.measured.map(Math.log);
    this.#min = request.parameters.map(({ min }) => Math.log(min));
    this.#max = request.parameters.map(({ max }) => Math.log(max));
  }

  /** Sum of the squares. */
  error(logs: readonly number[]): number {
    return sumOfSquares(this.#residuals(logs));
  }

  byDecades(start: readonly number[]): readonly number[] {
    let best = start;
    for (let pass = 0; pass < PASSES; pass += 1) {
      for (const index of start.keys()) best = this.#bestDecade(best, index);
    }
    return best;
  }

  downhill(start: readonly number[]): readonly number[] {
    const residuals = (logs: readonly number[]) => this.#residuals(logs);
    return leastSquares({ residuals, min: this.#min, max: this.#max, step: STEP }, start);
  }

  expectInfluence(): void {
    for (const [index, { name }] of this.#request.parameters.entries()) {
      if (this.#influential.has(index)) continue;
      throw new HlsimError(
        'HLSIM_USAGE',
        `Expected points whose times depend on ${name} but found none among those of the fit: leave it out, or hold out fewer`,
      );
    }
  }

  isDetermined(logs: readonly number[], index: number): boolean {
    return [Math.LN2, -Math.LN2].some(
      (by) => this.#changeBetween(logs, this.#moved(logs, index, by)) > HARDLY_ANY_INFLUENCE,
    );
  }

  /** Of the time that changes most, as a difference of logarithms. */
  #changeBetween(some: readonly number[], others: readonly number[]): number {
    const residuals = this.#residuals(others);
    const changes = this.#residuals(some).map((one, point) => one - (residuals[point] ?? 0));
    return Math.max(...changes.map(Math.abs));
  }

  #bestDecade(logs: readonly number[], index: number): readonly number[] {
    let best = logs;
    for (let decade = -DECADES; decade <= DECADES; decade += 1) {
      const candidate = this.#moved(logs, index, decade * Math.LN10);
      if (this.#changeBetween(logs, candidate) > NO_INFLUENCE) this.#influential.add(index);
      if (this.error(candidate) < this.error(best)) best = candidate;
    }
    return best;
  }

  /** Within the parameter's limits. */
  #moved(logs: readonly number[], index: number, by: number): readonly number[] {
    return logs.map((log, at) => {
      if (at !== index) return log;
      const [min, max] = [this.#min[at] ?? log, this.#max[at] ?? log];
      return Math.min(max, Math.max(min, log + by));
    });
  }

  #residuals(logs: readonly number[]): readonly number[] {
    const key = logs.join(' ');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    assert(this.#known.size < REMEMBERED_MAX, `Expected fewer than ${REMEMBERED_MAX} predictions`);
    const found = this.#request
      .predictAll(logs.map(Math.exp))
      .map((seconds, point) => Math.log(seconds) - defined(this.#logMeasured[point], 'a point'));
    this.#known.set(key, found);
    this.#predictions += 1;
    this.#request.progress?.(this.#predictions);
    return found;
  }
}
