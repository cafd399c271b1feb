/** Fits parameters of a topology to one part of measured points, and tells how far it is from the other. */
import { defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import type { Prover } from '../experiment/proof.ts';
import type { LinkModel } from '../prediction.ts';
import type { TopologyFile } from '../topology/file.ts';
import {
  type Accuracy,
  accuracyByGroup,
  accuracyOf,
  type GroupAccuracy,
  type PredictedPoint,
  predictedPoint,
} from './accuracy.ts';
import { fitParameters } from './fit.ts';
import { type FittedParameter, fittedParameters } from './fitted-parameters.ts';
import type { Holdout } from './holdout.ts';
import type { MeasuredPoint } from './point.ts';
import { PointModel } from './point-model.ts';

export interface CalibrationRequest {
  readonly topology: TopologyFile;
  readonly points: readonly MeasuredPoint[];
  /** Names of parameters, or `alpha`, `beta`, `gamma`. */
  readonly fit: readonly string[];
  /** Absent: nothing is held out, and nothing is known of the accuracy. */
  readonly holdout?: Holdout | undefined;
  readonly model: LinkModel;
  readonly slotsPerConnection: number;
  /** Told now and then how often all points were predicted. */
  readonly progress?: (predictions: number) => void;
}

export interface FittedValue extends FittedParameter {
  /** Bytes a second, seconds, or a plain number. */
  readonly value: number;
  /** See `FitResult.areDetermined`. */
  readonly isDetermined: boolean;
}

export interface Calibration {
  readonly fitted: readonly FittedValue[];
  /** Root of the mean square of log(predicted / measured), of the points of the fit. */
  readonly deviation: number;
  readonly fittedPoints: readonly PredictedPoint[];
  readonly heldOutPoints: readonly PredictedPoint[];
  /** Of the held-out points; absent if there are none. */
  readonly accuracy?: Accuracy;
  readonly groups: readonly GroupAccuracy[];
}

/** @throws HlsimError for points or names that do not fit together, or a split that leaves nothing */
export function calibrate(request: CalibrationRequest, prover: Prover): Calibration {
  const { topology, points, model, slotsPerConnection, progress } = request;
  const { fitIndices, heldIndices } = splitOf(request);
  const pointModel = new PointModel({ topology, points, model, slotsPerConnection }, prover);
  const parameters = fittedParameters(topology, request.fit, pointModel.usedParameters());
  const overridesOf = (values: readonly number[]) =>
    Object.fromEntries(
      parameters.map(({ name }, index) => [name, defined(values[index], `the value of ${name}`)]),
    );
  const at = (index: number): MeasuredPoint => defined(points[index], `point ${index}`);
  const { values, areDetermined, deviation } = fitParameters({
    parameters,
    measured: fitIndices.map((index) => at(index).seconds),
    predictAll: (candidate) => pointModel.predict(overridesOf(candidate), fitIndices),
    progress,
  });
  const times = pointModel.predict(overridesOf(values));
  const predicted = (index: number): PredictedPoint =>
    predictedPoint(at(index), defined(times[index], `time ${index}`));
  const heldOutPoints = heldIndices.map(predicted);
  return {
    fitted: parameters.map((parameter, index) => ({
      ...parameter,
      value: defined(values[index], `the value of ${parameter.name}`),
      isDetermined: areDetermined[index] === true,
    })),
    deviation,
    fittedPoints: fitIndices.map(predicted),
    heldOutPoints,
    ...(heldOutPoints.length === 0 ? {} : { accuracy: accuracyOf(heldOutPoints) }),
    groups: accuracyByGroup(heldOutPoints),
  };
}

function splitOf({ points, holdout }: CalibrationRequest): {
  readonly fitIndices: readonly number[];
  readonly heldIndices: readonly number[];
} {
  const indices = points.map((_, index) => index);
  if (holdout === undefined) return { fitIndices: indices, heldIndices: [] };
  const held = points.map(holdout);
  const heldIndices = indices.filter((index) => held[index] === true);
  const fitIndices = indices.filter((index) => held[index] !== true);
  if (heldIndices.length > 0 && fitIndices.length > 0) return { fitIndices, heldIndices };
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected a rule that holds out some of ${points.length} points but found one that holds out ${heldIndices.length === 0 ? 'none' : 'all'}`,
  );
}
