/** A training's progress and summary, for people and as JSON. */
import { formatBytes } from '../common/bytes.ts';
import type { Overlap, StepTimes } from './gradient-step.ts';
import type { TrainEvent, TrainSummary } from './results.ts';

/** One line for an epoch. */
export function renderEpoch(event: TrainEvent): string {
  const { epoch, epochs, loss, trainingAccuracy, heldOutAccuracy, seconds } = event;
  const number = String(epoch).padStart(String(epochs).length);
  return [
    `epoch ${number}/${epochs}`,
    `loss ${loss.toFixed(6)}`,
    `training accuracy ${percent(trainingAccuracy)}`,
    `held-out accuracy ${percent(heldOutAccuracy)}`,
    `${seconds.toFixed(2)} s`,
  ].join('  ');
}

/** Several lines at the end. */
export function renderSummary(summary: TrainSummary): string {
  const { nranks, trainingRows, heldOutRows, options, accuracy, collectives, seconds } = summary;
  const { wireBytes, wireBytesFormula, controlBytes } = summary;
  const right = Math.round(accuracy * heldOutRows);
  const formula =
    wireBytes === wireBytesFormula
      ? 'exactly what the formulas of the algorithms give'
      : `WRONG: the formulas of the algorithms give ${wireBytesFormula} B`;
  const rows: readonly (readonly [name: string, value: string])[] = [
    ['Trained', `${nranks} ranks, ${trainingRows} images, seed ${options.seed}`],
    ['Held-out accuracy', `${percent(accuracy)} (${right} of ${heldOutRows} images)`],
    [
      'Weights',
      summary.weightsIdentical
        ? `bit-identical on all ranks (SHA-256 ${summary.weightsDigest.slice(0, 16)})`
        : 'DIFFERENT between the ranks',
    ],
    ['Collectives', `${collectives} on every rank`],
    ['Step', stepText(summary)],
    ['Communication', communicationText(summary)],
    ['Payload on the wire', `${wireBytes} B (${formatBytes(wireBytes)}), ${formula}`],
    ['Control messages', `${controlBytes} B (${formatBytes(controlBytes)})`],
    ['Time', `${seconds.toFixed(2)} s, wall clock of this machine`],
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(21)}${value}`).join('\n');
}

/** For `--json`. */
export interface TrainJson {
  readonly accuracy: number;
  readonly loss: readonly number[];
  readonly weightsIdentical: boolean;
  readonly weightsDigest: string;
  readonly wireBytes: number;
  readonly wireBytesFormula: number;
  readonly controlBytes: number;
  readonly collectives: number;
  readonly buckets: number;
  readonly hidden: readonly number[];
  readonly bucketBytes: number;
  readonly overlap: Overlap;
  /** Milliseconds of a rank's median step, the mean over the ranks. */
  readonly step: StepTimes;
  readonly ranks: number;
  readonly epochs: number;
  readonly seed: number;
  readonly batch: number;
  readonly trainingRows: number;
  readonly heldOutRows: number;
  readonly seconds: number;
  /** Which clock `seconds` is of. */
  readonly clock: 'wall';
}

export function trainJson({ options, nranks, ...rest }: TrainSummary): TrainJson {
  return { ...rest, ...options, ranks: nranks, clock: 'wall' };
}

function stepText({ step: { computeMs, exposedMs } }: TrainSummary): string {
  const wholeMs = computeMs + exposedMs;
  return `${milliseconds(wholeMs)}: ${milliseconds(computeMs)} computing, ${milliseconds(exposedMs)} waiting for gradients`;
}

function communicationText({ step, buckets, options }: TrainSummary): string {
  const { communicationMs, exposedMs } = step;
  const words = buckets === 1 ? '1 bucket' : `${buckets} buckets`;
  const hiddenMs = Math.max(0, communicationMs - exposedMs);
  return `${milliseconds(communicationMs)} of a step, ${milliseconds(hiddenMs)} of it beside computing (overlap ${options.overlap}, ${words})`;
}

function milliseconds(value: number): string {
  return `${value.toFixed(3)} ms`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(2)} %`;
}
