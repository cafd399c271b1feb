/** The plots of a prediction: time and bus bandwidth over size, and efficiency over boxes. */
import { decadeAxis, shareAxis, sizeAxis } from '../bench/plot/axes.ts';
import { type Curve, drawLinePlot, type Panel } from '../bench/plot/line-plot.ts';
import { durationText, rateText } from '../bench/plot/tick-texts.ts';
import { formatBytes } from '../common/bytes.ts';
import { type ExperimentCase, wordOfModel } from '../timing/experiment/experiment.ts';
import type { SweepRow } from '../timing/sweep.ts';
import type { CaseResult } from './predict-run.ts';
import { bandwidthsOf } from './predict-table.ts';
import { counted } from './wording.ts';

/** Panels of a row: more would be too wide for any screen. */
const NETWORKS_DRAWN_MAX = 6;
/** Curves of the efficiency panel: the smallest size, the largest, and some between. */
const SIZES_DRAWN_MAX = 5;

/** Rows that end and move something: others have no place on a logarithmic axis. */
interface Group {
  readonly title: string;
  readonly rows: readonly SweepRow[];
  readonly nameOf: (row: SweepRow) => string;
}

/** A whole SVG file. */
export function drawPrediction(result: CaseResult): string {
  const { settings, sections } = result;
  const groups = groupsOf(result);
  const all = groups.flatMap(({ rows }) => rows);
  // More boxes use more of the network's parameters than one.
  const assumed = new Map(
    sections
      .flatMap(({ network }) => network.parameters)
      .filter(({ status }) => status === 'assumed')
      .map(({ name, text }) => [name, text]),
  );
  const efficiency = efficiencyPanel(result);
  return drawLinePlot({
    title: `${settings.collective} on ${settings.topology}, predicted`,
    notes: [
      `Virtual time of the model ${settings.models.map(wordOfModel).join(', ')}, not a measurement. Dashed: lower bound.`,
      `Assumed parameters: ${[...assumed].map(([name, text]) => `${name} ${text}`).join(', ') || 'none'}`,
    ],
    sections:
      all.length === 0
        ? []
        : [
            {
              legend: isOneWay(settings) ? 'Boxes' : 'Algorithms',
              rows: panelRows(groups, all, settings),
            },
            ...(efficiency === undefined
              ? []
              : [{ legend: 'Sizes, fastest algorithm', rows: [[efficiency]] }]),
          ],
  });
}

/** Of one group side by side; of several below each other, so that those of one kind are side by side. */
function panelRows(
  groups: readonly Group[],
  all: readonly SweepRow[],
  settings: ExperimentCase,
): Panel[][] {
  const times = groups.map((group) => timePanel(group, all));
  const bandwidths = groups.map((group) => bandwidthPanel(group, all, settings));
  return groups.length === 1 ? [[...times, ...bandwidths]] : [times, bandwidths];
}

/** One way of doing it: a curve for each network in one panel. Several: a panel for each network. */
function groupsOf({ settings, sections }: CaseResult): readonly Group[] {
  if (isOneWay(settings)) {
    const rows = sections.flatMap((section) => section.rows).filter(isDrawn);
    return [{ title: '', rows, nameOf: ({ boxes, nranks }) => ranksText(boxes, nranks) }];
  }
  const several = settings.models.length > 1;
  const nameOf = ({ algorithm, model }: SweepRow) =>
    several ? `${algorithm}, ${wordOfModel(model)}` : algorithm;
  return sections.slice(0, NETWORKS_DRAWN_MAX).map(({ network, rows }) => ({
    title: ranksText(network.topology.boxes, network.nranks),
    rows: rows.filter(isDrawn),
    nameOf,
  }));
}

/** One row for each size and network. */
function isOneWay({ models, algorithms }: ExperimentCase): boolean {
  const isOne =
    algorithms === undefined ||
    algorithms === 'auto' ||
    (algorithms !== 'all' && algorithms.length === 1);
  return models.length === 1 && isOne;
}

function ranksText(boxes: number, nranks: number): string {
  return boxes === nranks
    ? counted(nranks, 'rank')
    : `${counted(boxes, 'box', 'boxes')}, ${counted(nranks, 'rank')}`;
}

function isDrawn({ outcome, bytes }: SweepRow): boolean {
  return outcome.kind === 'predicted' && outcome.seconds > 0 && bytes > 0;
}

function timePanel({ title, rows, nameOf }: Group, all: readonly SweepRow[]): Panel {
  const bounds = all.map(({ bound }) => bound.seconds * 1e6).filter((value) => value > 0);
  return {
    title,
    ...sizeSide(all),
    yLabel: 'time',
    yAxis: decadeAxis([...all.map(timeUs), ...bounds]),
    yTick: durationText,
    curves: [
      ...boundCurves(rows, nameOf, ({ bound }) => bound.seconds * 1e6),
      ...curvesOf(rows, nameOf, timeUs),
    ],
  };
}

function bandwidthPanel(
  { title, rows, nameOf }: Group,
  all: readonly SweepRow[],
  settings: ExperimentCase,
): Panel {
  const busBw = (row: SweepRow): number => bandwidthsOf(row, settings)?.busBw ?? 0;
  const boundBw = (row: SweepRow): number =>
    row.fraction === undefined || row.fraction === 0 ? 0 : busBw(row) / row.fraction;
  const values = all.flatMap((row) => [busBw(row), boundBw(row)]).filter((value) => value > 0);
  return {
    title,
    ...sizeSide(all),
    yLabel: 'bus bandwidth',
    yAxis: decadeAxis(values.length === 0 ? [1] : values),
    yTick: rateText,
    curves: [...boundCurves(rows, nameOf, boundBw), ...curvesOf(rows, nameOf, busBw)],
  };
}

function sizeSide(all: readonly SweepRow[]): Pick<Panel, 'xLabel' | 'xAxis' | 'xTick'> {
  return { xLabel: 'size', xAxis: sizeAxis(all.map(({ bytes }) => bytes)), xTick: formatBytes };
}

/** Of the fastest rows; undefined for one network alone. */
function efficiencyPanel({ sections, settings }: CaseResult): Panel | undefined {
  const rows = sections
    .flatMap((section) => section.rows)
    .filter((row) => isDrawn(row) && row.best && row.model === settings.models[0]);
  const boxes = [...new Set(rows.map((row) => row.boxes))];
  if (boxes.length < 2) return undefined;
  const sizes = drawnSizes(settings.sizes);
  const curves = sizes.map((size): Curve => {
    // Sizes are rounded down differently for each number of ranks: the row of a size is the one at its place.
    const index = settings.sizes.indexOf(size);
    const points = sections.flatMap((section) => {
      const best = section.rows.filter((row) => row.best && row.model === settings.models[0])[
        index
      ];
      if (best?.fraction === undefined) return [];
      return [{ x: best.boxes, y: best.fraction }];
    });
    return { name: formatBytes(size), points };
  });
  return {
    title: 'efficiency: lower bound by predicted time',
    xLabel: 'boxes',
    yLabel: 'part of the bound reached',
    xAxis: sizeAxis(boxes, 10),
    yAxis: shareAxis(Math.max(...curves.flatMap(({ points }) => points.map(({ y }) => y)))),
    xTick: String,
    yTick: (value) => `${Math.round(100 * value)} %`,
    curves,
  };
}

function drawnSizes(sizes: readonly number[]): readonly number[] {
  const last = sizes.length - 1;
  const count = Math.min(SIZES_DRAWN_MAX, sizes.length);
  const indices = Array.from({ length: count }, (_, k) =>
    count === 1 ? 0 : Math.round((k * last) / (count - 1)),
  );
  return [...new Set(indices)].flatMap((index) => sizes[index] ?? []);
}

function curvesOf(
  rows: readonly SweepRow[],
  nameOf: (row: SweepRow) => string,
  measure: (row: SweepRow) => number,
): Curve[] {
  return namesIn(rows, nameOf).map((name) => {
    const own = rows.filter((row) => nameOf(row) === name);
    const points = own.map((row) => ({ x: row.bytes, y: measure(row) })).filter(({ y }) => y > 0);
    return { name, points };
  });
}

/** The bound is the network's: one for each network, in the colour of its first curve. */
function boundCurves(
  rows: readonly SweepRow[],
  nameOf: (row: SweepRow) => string,
  measure: (row: SweepRow) => number,
): Curve[] {
  const firsts = new Map<number, string>();
  for (const row of rows) if (!firsts.has(row.nranks)) firsts.set(row.nranks, nameOf(row));
  return [...firsts].map(([nranks, boundOf]) => {
    const own = rows.filter((row) => row.nranks === nranks && nameOf(row) === boundOf);
    const points = own.map((row) => ({ x: row.bytes, y: measure(row) })).filter(({ y }) => y > 0);
    return { name: `bound of ${boundOf}`, points, boundOf };
  });
}

function namesIn(rows: readonly SweepRow[], nameOf: (row: SweepRow) => string): readonly string[] {
  return [...new Set(rows.map(nameOf))];
}

function timeUs({ outcome }: SweepRow): number {
  return outcome.kind === 'predicted' ? outcome.seconds * 1e6 : 0;
}
