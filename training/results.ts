/** Collects the ranks' reports of a training into a summary. */
import { z } from 'zod';
import { HlsimError } from '../common/errors.ts';
import type { StepTimes } from './gradient-step.ts';
import { medianOf } from './layer-times.ts';
import type { TrainOptions } from './options.ts';
import { type EpochReport, type FinalReport, type LayerTimes, trainReport } from './report.ts';
import { trainingCalls, wireBytes } from './wire-bytes.ts';

/** An epoch has ended on all ranks. */
export type TrainEvent = EpochReport & { readonly epochs: number };

export interface TrainSummary {
  readonly nranks: number;
  readonly options: TrainOptions;
  readonly trainingRows: number;
  readonly heldOutRows: number;
  /** Mean training loss of each epoch. */
  readonly loss: readonly number[];
  /** Part of the held-out rows that the trained model classifies right. */
  readonly accuracy: number;
  /** Whether all ranks ended with the same bits. */
  readonly weightsIdentical: boolean;
  /** SHA-256 of rank 0's weights: equal for equal seeds, ranks and versions. */
  readonly weightsDigest: string;
  /** Payload that all NICs sent, as they counted it. */
  readonly wireBytes: number;
  /** The same by the formulas of the algorithms. */
  readonly wireBytesFormula: number;
  /** Headers, credits and the like. */
  readonly controlBytes: number;
  /** Collectives of each rank. */
  readonly collectives: number;
  /** All-reduces of a step. */
  readonly buckets: number;
  /** Where the time of a step went, in milliseconds: means over all steps and ranks. */
  readonly step: StepTimes;
  /** Medians over the ranks, if they were asked for. */
  readonly layerTimes?: LayerTimes;
  /** Wall clock of the slowest rank. */
  readonly seconds: number;
}

export class TrainResults {
  readonly #options: TrainOptions;
  readonly #nranks: number;
  readonly #loss: number[] = [];
  readonly #finals = new Map<number, FinalReport>();

  constructor(options: TrainOptions, nranks: number) {
    this.#options = options;
    this.#nranks = nranks;
  }

  /**
   * Takes a rank's report; returns an epoch that has ended. Throws `HLSIM_PROTOCOL_ERROR` for a report
   * that is malformed, out of order or from a rank that should not send it.
   */
  add(rank: number, report: unknown): TrainEvent | undefined {
    const parsed = trainReport.safeParse(report);
    if (!parsed.success) throw unexpected(rank, 'a training report', z.prettifyError(parsed.error));
    if (!Number.isInteger(rank) || rank < 0 || rank >= this.#nranks) {
      throw unexpected(rank, `reports of ranks below ${this.#nranks}`, `one of rank ${rank}`);
    }
    if (parsed.data.kind === 'epoch') return this.#addEpoch(rank, parsed.data);
    if (this.#finals.has(rank)) throw unexpected(rank, 'one final report', 'a second one');
    this.#finals.set(rank, parsed.data);
    return undefined;
  }

  /** `undefined` while the report of any epoch or rank is missing. */
  summary(): TrainSummary | undefined {
    const first = this.#finals.get(0);
    const isComplete =
      this.#loss.length === this.#options.epochs && this.#finals.size === this.#nranks;
    if (!isComplete || first === undefined) return undefined;
    const finals = [...this.#finals.values()];
    const sum = (of: (report: FinalReport) => number): number =>
      finals.reduce((total, report) => total + of(report), 0);
    const calls = trainingCalls(this.#options, first.trainingRows);
    return {
      nranks: this.#nranks,
      options: this.#options,
      trainingRows: first.trainingRows,
      heldOutRows: first.heldOutRows,
      loss: [...this.#loss],
      accuracy: first.accuracy,
      weightsIdentical: finals.every(({ weightsDigest }) => weightsDigest === first.weightsDigest),
      weightsDigest: first.weightsDigest,
      wireBytes: sum(({ payloadBytesSent }) => payloadBytesSent),
      wireBytesFormula: wireBytes(calls, this.#nranks, first.path),
      controlBytes: sum(({ controlBytesSent }) => controlBytesSent),
      collectives: first.collectives,
      buckets: first.buckets,
      step: meanStep(finals),
      ...medianLayers(finals),
      seconds: Math.max(...finals.map(({ seconds }) => seconds)),
    };
  }

  #addEpoch(rank: number, report: EpochReport): TrainEvent {
    const { epochs } = this.#options;
    const expected = this.#loss.length + 1;
    if (rank !== 0 || report.epoch !== expected || expected > epochs) {
      const wanted = `epoch ${expected} of ${epochs} from rank 0`;
      throw unexpected(rank, wanted, `epoch ${report.epoch} from rank ${rank}`);
    }
    this.#loss.push(report.loss);
    return { ...report, epochs };
  }
}

function meanStep(finals: readonly FinalReport[]): StepTimes {
  const mean = (of: keyof StepTimes): number =>
    finals.reduce((total, report) => total + report[of], 0) / finals.length;
  return {
    computeMs: mean('computeMs'),
    communicationMs: mean('communicationMs'),
    exposedMs: mean('exposedMs'),
  };
}

function medianLayers(finals: readonly FinalReport[]): Pick<TrainSummary, 'layerTimes'> {
  const timed = finals.flatMap(({ layerTimes }) => layerTimes ?? []);
  const [first] = timed;
  if (first === undefined) return {};
  const layers = first.layers.map((_, index) => {
    const own = timed.flatMap((one) => one.layers[index] ?? []);
    return {
      forwardMs: medianOf(own.map(({ forwardMs }) => forwardMs)),
      backwardMs: medianOf(own.map(({ backwardMs }) => backwardMs)),
    };
  });
  return { layerTimes: { layers, updateMs: medianOf(timed.map(({ updateMs }) => updateMs)) } };
}

function unexpected(rank: number, expected: string, found: string): HlsimError {
  return new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected ${expected} but found: ${found}: run the same version of hlsim on all hosts`,
    { fields: { rank } },
  );
}
