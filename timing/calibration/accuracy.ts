/** How far predictions are from measurements. */
import { wordOfCollective } from '../../collectives/names.ts';
import { type MeasuredPoint, nameOfPoint } from './point.ts';

export interface PredictedPoint {
  readonly point: MeasuredPoint;
  readonly seconds: number;
  /** (predicted - measured) / measured: 0.1 is ten percent too slow. */
  readonly error: number;
}

/** Of the absolute values of relative errors. */
export interface Accuracy {
  readonly points: number;
  readonly median: number;
  readonly mean: number;
  readonly max: number;
}

export interface GroupAccuracy extends Accuracy {
  readonly algorithm: string;
  readonly collective: string;
  readonly nranks: number;
}

export function predictedPoint(point: MeasuredPoint, seconds: number): PredictedPoint {
  return { point, seconds, error: (seconds - point.seconds) / point.seconds };
}

/** Of at least one. */
export function accuracyOf(predictions: readonly PredictedPoint[]): Accuracy {
  const errors = predictions.map(({ error }) => Math.abs(error)).sort((a, b) => a - b);
  const sum = errors.reduce((total, error) => total + error, 0);
  return {
    points: errors.length,
    median: medianOf(errors),
    mean: sum / errors.length,
    max: errors.at(-1) ?? Number.NaN,
  };
}

/** Per collective, algorithm and number of ranks, in the order in which they come up first. */
export function accuracyByGroup(predictions: readonly PredictedPoint[]): readonly GroupAccuracy[] {
  const groups = new Map<string, PredictedPoint[]>();
  for (const prediction of predictions) {
    const { point } = prediction;
    const key = `${point.collective} ${point.nranks} ${nameOfPoint(point)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [prediction]);
    else group.push(prediction);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { point } = first;
    return {
      algorithm: nameOfPoint(point),
      collective: wordOfCollective(point.collective),
      nranks: point.nranks,
      ...accuracyOf(group),
    };
  });
}

function medianOf(ascending: readonly number[]): number {
  const middle = ascending.length / 2;
  const [low, high] = [ascending[Math.ceil(middle) - 1], ascending[Math.floor(middle)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}
