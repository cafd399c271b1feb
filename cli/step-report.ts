/** What `hlsim step` prints, and writes as JSON. */
import { formatBytes } from '../common/bytes.ts';
import type { Network } from '../timing/network.ts';
import type { StepRow } from '../timing/training-step/step-sweep.ts';
import type { TrainingModel } from '../timing/training-step/training-model.ts';
import { timeText } from './model-readers.ts';
import { counted } from './wording.ts';

export interface StepSettings {
  readonly model: TrainingModel;
  readonly modelFile: string;
  /** As it was given. */
  readonly topology: string;
  readonly overlap: boolean;
  readonly algorithm: string | undefined;
}

const COLUMNS = [
  ['boxes', 6],
  ['ranks', 6],
  ['bucket', 9],
  ['buckets', 8],
  ['compute', 11],
  ['all-reduce', 11],
  ['exposed', 11],
  ['step', 11],
  ['efficiency', 11],
] as const;

/** Above the rows. */
export function stepHeader(
  { model, modelFile, topology, overlap, algorithm }: StepSettings,
  first: Network,
): string {
  const parameters = model.layers.reduce((sum, one) => sum + one.parameters, 0);
  const assumed = first.parameters.filter(({ status }) => status === 'assumed');
  const list = assumed.map(({ name, text }) => `${name} ${text}`).join(', ');
  return [
    `# Training step predicted: ${model.name} (${modelFile}), ${counted(model.layers.length, 'layer')}, ${counted(parameters, 'parameter')} of ${model.elementType}`,
    '# Time: VIRTUAL time of a model, not a measurement; the computing times are those of the file, the same on every rank',
    `# Topology: ${topology}; ${overlap ? 'buckets are all-reduced beside the backward pass' : 'all-reduces begin after the backward pass'}, one after the other`,
    `# Algorithm: ${algorithm ?? "HCCL's own where cards share boxes, else what hlsim's tuner chooses for each bucket"}`,
    `# Assumed parameters: ${list === '' ? 'none' : list}`,
    '# efficiency: computing by the whole step; * marks the fastest size of buckets',
    '#',
    `# ${COLUMNS.map(([name, width], index) => name.padStart(width - (index === 0 ? 2 : 0))).join('  ')}`,
  ].join('\n');
}

export function stepLine(row: StepRow): string {
  const { network, bucketBytes, buckets, best } = row;
  const cells = [
    String(network.topology.boxes),
    String(network.nranks),
    formatBytes(bucketBytes),
    String(buckets.length),
    timeText(row.computeSeconds),
    timeText(row.communicationSeconds),
    timeText(row.exposedSeconds),
    timeText(row.stepSeconds),
    `${(100 * row.efficiency).toFixed(1)} %`,
  ];
  const line = cells.map((cell, index) => cell.padStart(COLUMNS[index]?.[1] ?? 0)).join('  ');
  return best ? `${line} *` : line;
}

/** Everything, as plain data; the same inputs give the same. */
export function stepJson(
  { model, modelFile, topology, overlap, algorithm }: StepSettings,
  rows: readonly StepRow[],
): object {
  return {
    clock: 'virtual',
    model: model.name,
    file: modelFile,
    topology,
    overlap,
    algorithm: algorithm ?? null,
    results: rows.map(({ network, ...row }) => ({
      boxes: network.topology.boxes,
      ranks: network.nranks,
      assumed: network.parameters
        .filter(({ status }) => status === 'assumed')
        .map(({ name }) => name),
      ...row,
    })),
  };
}
