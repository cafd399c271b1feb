/** The table of `hlsim predict`: nccl-tests' columns, and beside each time what bounds it. */
import { algorithmBandwidth, busBandwidthFactor } from '../bench/busbw.ts';
import { BLOCKS } from '../collectives/collective.ts';
import { COLLECTIVE_WORDS } from '../collectives/names.ts';
import { ranksIn } from '../collectives/topology.ts';
import { formatBytes } from '../common/bytes.ts';
import {
  type ExperimentCase,
  MODEL_SUMMARIES,
  wordOfModel,
} from '../timing/experiment/experiment.ts';
import type { Network } from '../timing/network.ts';
import { SLICE_BYTES_DEFAULT, type SweepRow } from '../timing/sweep.ts';
import type { CaseResult } from './predict-run.ts';
import { counted } from './wording.ts';

/** Of a row, as nccl-tests has them: microseconds and GB/s. */
export interface Bandwidths {
  readonly timeUs: number;
  readonly algBw: number;
  readonly busBw: number;
}

/** Undefined if the row has no time. */
export function bandwidthsOf(
  row: SweepRow,
  { collective }: ExperimentCase,
): Bandwidths | undefined {
  if (row.outcome.kind !== 'predicted') return undefined;
  const timeUs = row.outcome.seconds * 1e6;
  const algBw = timeUs === 0 ? 0 : algorithmBandwidth(row.bytes, timeUs);
  return { timeUs, algBw, busBw: algBw * busBandwidthFactor(collective, row.nranks) };
}

/** Above everything else of a case. */
export function caseHeader(settings: ExperimentCase): string {
  const { collective, models, slots, sliceBytes, channels, exact, jitter, name } = settings;
  const slices =
    sliceBytes === undefined
      ? `${formatBytes(SLICE_BYTES_DEFAULT)} unless the tuner says otherwise`
      : formatBytes(sliceBytes);
  const random =
    jitter === undefined
      ? []
      : [
          `# Jitter: latencies and issue times longer by ${jitter.fraction} of themselves on average, ` +
            `${counted(jitter.runs, 'run')}, seeds from ${jitter.seed}; time is that of the run without`,
        ];
  return [
    ...(name === '' ? [] : [`# Case: ${name}`]),
    `# Collective predicted: ${collective}`,
    '# Time: VIRTUAL time of a model, not a measurement',
    ...models.map((model) => `# Model: ${wordOfModel(model)}: ${MODEL_SUMMARIES[model]}`),
    `# Execution: slices of ${slices}, ${counted(slots, 'slot')} a connection` +
      `${channels === undefined ? '' : `, ${counted(channels, 'channel')}`}; ${exact ? 'every rank is simulated' : 'of ranks that are alike one is simulated'}`,
    `# Algorithm: ${algorithmText(settings)}`,
    ...random,
  ].join('\n');
}

function algorithmText({ algorithms, schedule }: ExperimentCase): string {
  if (schedule !== undefined) return `the schedule file ${schedule}`;
  if (algorithms === 'auto')
    return "HCCL's own where it has one and cards share boxes, else what hlsim's tuner chooses (--algorithm all compares)";
  if (algorithms === 'all') return 'each that is possible, * marks the fastest of each size';
  return (algorithms ?? []).join(', ');
}

/** Above the rows of one network. */
export function networkHeader(network: Network, settings: ExperimentCase): string {
  const { name, parameters } = network;
  const assumed = parameters.filter(({ status }) => status === 'assumed');
  const list = assumed.map(({ name: parameter, text }) => `${parameter} ${text}`).join(', ');
  return [
    '#',
    `# Network: ${name}`,
    ...settings.changes.map((change) => `# Changed: ${changeText(change)}`),
    list === ''
      ? '# Assumed parameters: none'
      : `# Assumed parameters, without a public source: ${list}`,
    '#',
    ...columnHeaders(settings),
  ].join('\n');
}

function changeText(change: ExperimentCase['changes'][number]): string {
  switch (change.kind) {
    case 'straggler':
      return `the card of rank ${change.rank} takes ${change.slow} times as long`;
    case 'degrade':
      return `links ${change.link} run at ${change.rate} of their rate`;
    case 'fail':
      return `links ${change.link} carry nothing`;
  }
}

const WIDTHS = [12, 12, 8, 6, 6, 9, 7, 7, 9, 6] as const;
const NAMES = [
  'size',
  'count',
  'type',
  'redop',
  'root',
  'time',
  'algbw',
  'busbw',
  'bound',
  'of it',
];
const UNITS = ['(B)', '(elements)', '', '', '', '(us)', '(GB/s)', '(GB/s)', '(us)', '(%)'];
const PERCENTILES = ['p50', 'p95', 'p99', 'max'] as const;
const PERCENTILE_WIDTH = 9;

function columnHeaders({ jitter }: ExperimentCase): string[] {
  const random = (texts: readonly string[]) =>
    jitter === undefined ? [] : texts.map((text) => text.padStart(PERCENTILE_WIDTH));
  const line = (texts: readonly string[], last: readonly string[], end: string): string => {
    const cells = texts.map((text, index) =>
      text.padStart((WIDTHS[index] ?? 0) - (index === 0 ? 2 : 0)),
    );
    return `# ${[...cells, ...last, ` ${end}`].join('  ')}`.trimEnd();
  };
  return [
    line(NAMES, random(PERCENTILES), 'algorithm'),
    line(UNITS, random(PERCENTILES.map(() => '(us)')), ''),
  ];
}

/** One line. */
export function rowLine(row: SweepRow, settings: ExperimentCase): string {
  const { bytes, count, bound, fraction, percentiles } = row;
  const collective = COLLECTIVE_WORDS[settings.collective];
  const { reduces, rooted } = BLOCKS[collective];
  const found = bandwidthsOf(row, settings);
  const figures =
    found === undefined
      ? [row.outcome.kind === 'stuck' ? 'stuck' : 'too large', '', '']
      : [figure(found.timeUs, 9), figure(found.algBw, 7), figure(found.busBw, 7)];
  const cells = [
    ...[
      String(bytes),
      String(count),
      'float',
      reduces ? 'sum' : 'none',
      rooted ? String(settings.root) : '-1',
    ],
    ...figures,
    figure(bound.seconds * 1e6, 9),
    fraction === undefined ? 'N/A' : (100 * fraction).toFixed(1),
  ].map((text, index) => text.padStart(WIDTHS[index] ?? 0));
  const random =
    settings.jitter === undefined
      ? []
      : (percentiles === undefined
          ? PERCENTILES.map(() => 'N/A')
          : [
              percentiles.p50Seconds,
              percentiles.p95Seconds,
              percentiles.p99Seconds,
              percentiles.maxSeconds,
            ].map((seconds) => figure(seconds * 1e6, PERCENTILE_WIDTH))
        ).map((text) => text.padStart(PERCENTILE_WIDTH));
  return [...cells, ...random, ` ${wayText(row, settings)}`].join('  ').trimEnd();
}

/** `hccl x2 64 KiB *`: algorithm, channels if several, slice if not the usual one, model if several. */
function wayText(row: SweepRow, { models, algorithms, sliceBytes }: ExperimentCase): string {
  const { algorithm, channels, model, best, paddedBytes } = row;
  const isUsual = row.sliceBytes === (sliceBytes ?? SLICE_BYTES_DEFAULT);
  const isCompared = algorithms === 'all' || (Array.isArray(algorithms) && algorithms.length > 1);
  return [
    algorithm,
    ...(channels === 1 ? [] : [`x${channels}`]),
    ...(isUsual ? [] : [formatBytes(row.sliceBytes)]),
    ...(models.length > 1 ? [`(${wordOfModel(model)})`] : []),
    ...(paddedBytes === undefined ? [] : ['~']),
    ...(isCompared && best ? ['*'] : []),
  ].join(' ');
}

/** As many decimals as fit, at most two. */
function figure(value: number, width: number): string {
  const digits = value < 1 ? 1 : Math.floor(Math.log10(value)) + 1;
  if (digits > width) return value.toExponential(Math.max(0, width - 6));
  return value.toFixed(Math.max(0, Math.min(2, width - 1 - digits)));
}

/** Below the rows: what was proved, what limits, and what the averages are. */
export function caseFooter({ sections, settings }: CaseResult): string {
  const rows = sections.flatMap((section) => section.rows);
  const bounds = sections.flatMap((section) => {
    const last = section.rows.at(-1);
    return last === undefined
      ? []
      : [
          `# Lower bound of ${formatBytes(last.bytes)} on ${counted(last.nranks, 'rank')}: ${last.bound.cut}`,
        ];
  });
  return [
    '#',
    ...proofLines(rows, settings),
    ...bounds,
    ...paddedLines(rows),
    ...leftOutLines(rows),
    `# Avg bus bandwidth: ${averageBusBandwidth(rows, settings)}`,
  ].join('\n');
}

/** Algorithms that were proved for the same ranks in one line. */
function proofLines(rows: readonly SweepRow[], { schedule }: ExperimentCase): string[] {
  if (schedule !== undefined) return ['# Proved: the schedule file as it is'];
  const ranks = new Map<string, Set<string>>();
  for (const { algorithm, channels, nranks, proof } of rows) {
    if (proof === undefined) continue;
    const name = channels === 1 ? algorithm : `${algorithm} x${channels}`;
    const { boxes } = proof.topology;
    const by =
      proof.of === 'whole'
        ? ''
        : ` (NOT as a whole: the same algorithm on ${ranksIn(proof.topology)} ranks in ${counted(boxes, 'box', 'boxes')})`;
    ranks.set(name, (ranks.get(name) ?? new Set()).add(`${nranks}${by}`));
  }
  const names = new Map<string, string[]>();
  for (const [name, on] of ranks) {
    const list = [...on].join(', ');
    names.set(list, [...(names.get(list) ?? []), name]);
  }
  return [...names].map(([list, some]) => `# Proved: ${some.join(', ')} on ${list} ranks`);
}

/** What `~` means, with what was added the most. */
function paddedLines(rows: readonly SweepRow[]): string[] {
  const most = rows
    .flatMap(({ bytes, paddedBytes }) =>
      paddedBytes === undefined ? [] : [{ bytes, paddedBytes }],
    )
    .sort((a, b) => b.paddedBytes / b.bytes - a.paddedBytes / a.bytes)[0];
  if (most === undefined) return [];
  const { bytes, paddedBytes } = most;
  return [
    '# ~ All chunks are taken as large as the largest: too many ranks would be unlike to simulate each; the most that was',
    `#   added is ${formatBytes(bytes)} taken as ${formatBytes(paddedBytes)}; --exact takes chunks as they are`,
  ];
}

/** Why some rows have no time. */
function leftOutLines(rows: readonly SweepRow[]): string[] {
  const reasons = rows.flatMap(({ outcome }) =>
    outcome.kind === 'tooLarge' ? [outcome.reason] : [],
  );
  return [...new Set(reasons)].map((reason) => `# Not tried: ${reason}`);
}

function averageBusBandwidth(rows: readonly SweepRow[], settings: ExperimentCase): string {
  const found = rows.flatMap((row) => bandwidthsOf(row, settings)?.busBw ?? []);
  const sum = found.reduce((total, one) => total + one, 0);
  return found.length === 0 ? 'none' : `${Number((sum / found.length).toPrecision(6))}`;
}
