/** The picture of a sweep of steps: time and efficiency over ranks, a curve per size of buckets. */
import { decadeAxis, shareAxis, sizeAxis } from '../bench/plot/axes.ts';
import { type Curve, drawLinePlot, type Panel } from '../bench/plot/line-plot.ts';
import { durationText } from '../bench/plot/tick-texts.ts';
import { formatBytes } from '../common/bytes.ts';
import type { StepRow } from '../timing/training-step/step-sweep.ts';
import type { StepSettings } from './step-report.ts';

/** A whole SVG file. */
export function drawSteps({ model, topology }: StepSettings, rows: readonly StepRow[]): string {
  const shown = rows.filter(({ stepSeconds }) => stepSeconds > 0);
  const ranks = shown.map(({ network }) => network.nranks);
  const side = { xLabel: 'ranks', xAxis: sizeAxis(ranks, 10), xTick: String };
  const time: Panel = {
    ...side,
    title: 'step',
    yLabel: 'time',
    yAxis: decadeAxis(shown.flatMap((row) => [row.stepSeconds * 1e6, row.computeSeconds * 1e6])),
    yTick: durationText,
    curves: curvesOf(shown, ({ stepSeconds }) => stepSeconds * 1e6),
  };
  const efficiency: Panel = {
    ...side,
    title: 'efficiency: computing by the whole step',
    yLabel: 'part of the step',
    yAxis: shareAxis(),
    yTick: (value) => `${Math.round(100 * value)} %`,
    curves: curvesOf(shown, (row) => row.efficiency),
  };
  return drawLinePlot({
    title: `A training step of ${model.name} on ${topology}, predicted`,
    notes: ['Virtual time of a model, not a measurement.'],
    sections: shown.length === 0 ? [] : [{ legend: 'Buckets', rows: [[time, efficiency]] }],
  });
}

function curvesOf(rows: readonly StepRow[], measure: (row: StepRow) => number): Curve[] {
  const sizes = [...new Set(rows.map(({ bucketBytes }) => bucketBytes))];
  return sizes.map((size) => ({
    name: formatBytes(size),
    points: rows
      .filter(({ bucketBytes }) => bucketBytes === size)
      .map((row) => ({ x: row.network.nranks, y: measure(row) })),
  }));
}
