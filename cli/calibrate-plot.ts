/** The picture of a calibration: measured and predicted time over size, per collective and number of ranks. */
import { decadeAxis, sizeAxis } from '../bench/plot/axes.ts';
import { type Curve, drawLinePlot, type Panel } from '../bench/plot/line-plot.ts';
import { durationText } from '../bench/plot/tick-texts.ts';
import { wordOfCollective } from '../collectives/names.ts';
import { formatBytes } from '../common/bytes.ts';
import type { PredictedPoint } from '../timing/calibration/accuracy.ts';
import type { Calibration } from '../timing/calibration/calibrate.ts';
import { nameOfPoint } from '../timing/calibration/point.ts';
import type { CalibrationInputs } from './calibrate-report.ts';
import { counted } from './wording.ts';

/** More would be wider than any screen. */
const PANELS_MAX = 12;
const COLUMNS = 3;

interface Shown extends PredictedPoint {
  readonly isHeldOut: boolean;
}

/** A whole SVG file. */
export function drawCalibration(calibration: Calibration, inputs: CalibrationInputs): string {
  const { fittedPoints, heldOutPoints, accuracy } = calibration;
  const all: Shown[] = [
    ...fittedPoints.map((point) => ({ ...point, isHeldOut: false })),
    ...heldOutPoints.map((point) => ({ ...point, isHeldOut: true })),
  ];
  const groups = grouped(
    all,
    ({ point }) => `${wordOfCollective(point.collective)}, ${counted(point.nranks, 'rank')}`,
  );
  const panels = [...groups].slice(0, PANELS_MAX).map(([title, some]) => panelOf(title, some, all));
  const rows = Array.from({ length: Math.ceil(panels.length / COLUMNS) }, (_, row) =>
    panels.slice(row * COLUMNS, (row + 1) * COLUMNS),
  );
  const error =
    accuracy === undefined
      ? 'Nothing was held out.'
      : `Held out: ${counted(accuracy.points, 'point')}, median error ${(100 * accuracy.median).toFixed(1)} %.`;
  return drawLinePlot({
    title: `${inputs.topology.name} fitted to ${inputs.pointsFile}`,
    notes: [`Marks: measured. Dashed: model ${inputs.model}, virtual time. ${error}`],
    sections: [{ legend: 'Algorithms', rows }],
  });
}

function panelOf(title: string, shown: readonly Shown[], all: readonly Shown[]): Panel {
  const times = all.flatMap(({ point, seconds }) => [point.seconds * 1e6, seconds * 1e6]);
  const byName = grouped(
    shown.toSorted((a, b) => a.point.bytes - b.point.bytes),
    ({ point, isHeldOut }) => `${nameOfPoint(point)}${isHeldOut ? '' : ' (fitted)'}`,
  );
  return {
    title,
    xLabel: 'size',
    xAxis: sizeAxis(all.map(({ point }) => Math.max(1, point.bytes))),
    xTick: formatBytes,
    yLabel: 'time',
    yAxis: decadeAxis(times),
    yTick: durationText,
    curves: [...byName].flatMap(([name, some]): Curve[] => [
      {
        name: `predicted ${name}`,
        boundOf: name,
        points: some.map(({ point, seconds }) => at(point.bytes, seconds)),
      },
      { name, points: some.map(({ point }) => at(point.bytes, point.seconds)) },
    ]),
  };
}

/** In the order in which the keys come up first. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

function at(bytes: number, seconds: number): { readonly x: number; readonly y: number } {
  return { x: Math.max(1, bytes), y: seconds * 1e6 };
}
