/** What `hlsim calibrate` prints, and writes as JSON. */
import { wordOfCollective } from '../collectives/names.ts';
import { formatBytes } from '../common/bytes.ts';
import type { PredictedPoint } from '../timing/calibration/accuracy.ts';
import type { Calibration } from '../timing/calibration/calibrate.ts';
import { quantityText } from '../timing/calibration/parameter-file.ts';
import { nameOfPoint } from '../timing/calibration/point.ts';
import type { TopologyFile } from '../timing/topology/file.ts';
import { timeText } from './model-readers.ts';
import { renderTable } from './table.ts';
import { counted } from './wording.ts';

/** Points that are listed one by one, those with the largest errors. */
const WORST_SHOWN = 5;
const DIGITS_SHOWN = 5;

export interface CalibrationInputs {
  readonly pointsFile: string;
  readonly topology: TopologyFile;
  /** The word for the model. */
  readonly model: string;
  /** As it was given. */
  readonly holdout: string | undefined;
}

export function calibrationText(calibration: Calibration, inputs: CalibrationInputs): string {
  const { topology, model, holdout, pointsFile } = inputs;
  const { fitted, deviation, fittedPoints } = calibration;
  const rows = fitted.map(({ name, quantity, value }) => [
    name,
    `${quantityText(quantity, value, DIGITS_SHOWN)}`,
    topology.parameters[name]?.value.text ?? '',
  ]);
  const undetermined = fitted.flatMap(({ name, isDetermined }) =>
    isDetermined
      ? []
      : `Not determined: ${name}, as neither half nor twice as much of it changes a time of the fit by 1 %; others take longer`,
  );
  return [
    `Parameters of ${topology.name} fitted to ${pointsFile}, model ${model} (virtual time against measured time)`,
    '',
    renderTable(['parameter', 'fitted', 'before'], rows),
    '',
    ...undetermined,
    `Fitted on ${counted(fittedPoints.length, 'point')}; times there are off by a factor of ${Math.exp(deviation).toPrecision(4)} (root mean square), which says nothing of the accuracy`,
    ...accuracyLines(calibration, holdout),
  ].join('\n');
}

function accuracyLines(
  { accuracy, groups, heldOutPoints }: Calibration,
  holdout: string | undefined,
): string[] {
  if (accuracy === undefined) {
    return ['Accuracy: unknown, as no point was held out (--holdout)'];
  }
  const rows = groups.map(({ collective, algorithm, nranks, points, median, mean, max }) => [
    collective,
    algorithm,
    String(nranks),
    String(points),
    percent(median),
    percent(mean),
    percent(max),
  ]);
  const worst = heldOutPoints
    .toSorted((a, b) => Math.abs(b.error) - Math.abs(a.error))
    .slice(0, WORST_SHOWN);
  return [
    `Accuracy, on the ${counted(accuracy.points, 'point')} held out (${holdout}): error median ${percent(accuracy.median)}, mean ${percent(accuracy.mean)}, max ${percent(accuracy.max)}`,
    '',
    renderTable(['collective', 'algorithm', 'ranks', 'points', 'median', 'mean', 'max'], rows),
    '',
    'Farthest off:',
    renderTable(
      ['line', 'algorithm', 'ranks', 'size', 'measured', 'predicted', 'error'],
      worst.map(({ point, seconds, error }) => [
        String(point.line),
        nameOfPoint(point),
        String(point.nranks),
        formatBytes(point.bytes),
        timeText(point.seconds),
        timeText(seconds),
        `${error < 0 ? '-' : '+'}${percent(Math.abs(error))}`,
      ]),
    ),
  ];
}

/** Everything, as plain data; the same inputs give the same. */
export function calibrationJson(calibration: Calibration, inputs: CalibrationInputs): object {
  const { fitted, deviation, accuracy, groups, fittedPoints, heldOutPoints } = calibration;
  const { topology, pointsFile, model, holdout = null } = inputs;
  return {
    topology: topology.name,
    points: pointsFile,
    model,
    holdout,
    parameters: fitted.map(({ name, quantity, value, isDetermined }) => {
      return { name, quantity, value, determined: isDetermined };
    }),
    fit: { points: fittedPoints.length, deviation },
    accuracy: accuracy === undefined ? null : { ...accuracy, groups },
    fitted: fittedPoints.map(pointJson),
    heldOut: heldOutPoints.map(pointJson),
  };
}

function pointJson({ point, seconds, error }: PredictedPoint): object {
  const { line, collective, nranks, bytes, measure } = point;
  return {
    line,
    algorithm: nameOfPoint(point),
    collective: wordOfCollective(collective),
    ranks: nranks,
    bytes,
    measure,
    measuredSeconds: point.seconds,
    predictedSeconds: seconds,
    error,
  };
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}
