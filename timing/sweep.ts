/**
 * Predicts a collective over sizes, algorithms and link models on one network: the rows of the table that
 * `hlsim predict` prints. What is predicted is proved first, and no prediction of the default model may be
 * below the lower bound of its network.
 */
import type { CollectiveShape } from '../collectives/collective.ts';
import { problemElements } from '../collectives/problem-size.ts';
import { assert } from '../common/assert.ts';
import { formatBytes } from '../common/bytes.ts';
import type { HlsimError } from '../common/errors.ts';
import { predict } from './engine/predict.ts';
import { padded } from './experiment/padding.ts';
import { type Percentiles, percentilesOf } from './experiment/percentiles.ts';
import { type Proof, Prover } from './experiment/proof.ts';
import {
  buildRequestOf,
  countsOf,
  partsOf,
  ScheduleCache,
  type Way,
  type WaysRequest,
  waysOf,
} from './experiment/ways.ts';
import { tooLargeError, WorkSizes } from './experiment/work-size.ts';
import { type LowerBound, lowerBound } from './lower-bound.ts';
import type { LinkModel, Predicted, PredictionRequest, Stuck } from './prediction.ts';

/** Several runs with random delays: run k has the seed `seed` + k. */
export interface JitterRuns {
  readonly fraction: number;
  readonly seed: number;
  readonly runs: number;
}

export interface SweepRequest extends WaysRequest {
  /** nccl-tests' sizes, rounded down to what can be dealt to the ranks. */
  readonly sizes: readonly number[];
  readonly models: readonly LinkModel[];
  readonly slotsPerConnection: number;
  readonly ranks: PredictionRequest['ranks'];
  readonly jitter?: JitterRuns | undefined;
  /** Told before each prediction, and now and then during it: what, and what part of it is done. */
  readonly progress?: (what: string, done: number) => void;
}

/** One prediction, and what it is measured by. */
export interface SweepRow {
  readonly boxes: number;
  readonly nranks: number;
  /** nccl-tests' size: what was asked for, rounded down. */
  readonly bytes: number;
  /** nccl-tests' count: elements of the vector, or of one rank's block. */
  readonly count: number;
  readonly model: LinkModel;
  readonly algorithm: string;
  readonly channels: number;
  readonly chunks?: number;
  readonly sliceBytes: number;
  /** What the prediction is of, where all chunks were made as large as the largest: see `padded`. */
  readonly paddedBytes?: number;
  /** Absent for what was not tried. */
  readonly proof?: Proof;
  /** What no algorithm can beat on this network. */
  readonly bound: LowerBound;
  readonly outcome: Predicted | Stuck | TooLarge;
  /** `bound` by the predicted time: 1 is as good as can be. Absent where nothing moves, or there is no time. */
  readonly fraction?: number;
  /** Of the algorithms for this size and model the fastest; the first of several. */
  readonly best: boolean;
  /** With `jitter`. `outcome` is the run without. */
  readonly percentiles?: Percentiles;
}

/** Not tried: it would take more time or memory than a prediction may. Only where all algorithms are compared. */
export interface TooLarge {
  readonly kind: 'tooLarge';
  readonly reason: string;
}

/** Which row is meant. */
type RowKey = Way & Pick<SweepRow, 'bytes' | 'model'>;

/** Default of HCCL's slices (HCL, `HCL_SLICE_SIZE`). */
export const SLICE_BYTES_DEFAULT = 512 * 1024;
/** Assumed: messages of a connection that are under way, or not yet taken. */
export const SLOTS_DEFAULT = 8;

/** What rounding of a sum of many times may lose. */
const ROUNDING = 1e-9;

/** Predicts, and remembers what it proved and built from one network to the next. */
export class Sweeper {
  readonly #prover = new Prover();
  readonly #sizes = new WorkSizes();
  readonly #schedules = new ScheduleCache();

  /**
   * Throws what would end the sweep, before its first prediction.
   *
   * @throws HlsimError `HLSIM_USAGE` for what cannot be built, or is too large
   */
  check(request: SweepRequest): void {
    for (const size of request.sizes) {
      const reasons = waysOf(request, size, SLICE_BYTES_DEFAULT).map((way) =>
        this.#tooLarge(request, way, size),
      );
      const isOneEnough = request.work.kind === 'all';
      const first = isOneEnough && reasons.includes(undefined) ? undefined : reasons.find(Boolean);
      if (first !== undefined) throw first;
    }
  }

  /**
   * The rows of one size and model together, as they are known.
   *
   * @throws HlsimError as `check` does, and `HLSIM_SCHEDULE_REFUTED` for what is wrong
   */
  *rows(request: SweepRequest): Generator<readonly SweepRow[]> {
    for (const model of request.models) {
      for (const size of request.sizes) {
        const ways = waysOf(request, size, SLICE_BYTES_DEFAULT);
        yield markBest(ways.map((way) => this.#row(request, size, model, way)));
      }
    }
  }

  /** What `row` was predicted from, to ask again: for the reasons, or for a trace. */
  requestOf(request: SweepRequest, row: RowKey): PredictionRequest {
    return padded(this.#askedBy(request, row), this.#sizes);
  }

  #row(request: SweepRequest, bytes: number, model: LinkModel, way: Way): SweepRow {
    const { network, progress, work } = request;
    const exactly = this.#askedBy(request, { ...way, bytes, model });
    const asked = padded(exactly, this.#sizes);
    const shape = shapeOf(asked.work);
    const actual = problemElements(shape, exactly.counts) * request.bytesPerElement;
    const bound = boundOf(request, exactly);
    const facts = {
      boxes: network.topology.boxes,
      nranks: network.nranks,
      bytes: actual,
      count: actual / request.bytesPerElement / partsOf(shape),
      model,
      ...way,
      ...(asked === exactly
        ? {}
        : { paddedBytes: problemElements(shape, asked.counts) * request.bytesPerElement }),
      bound,
      best: false,
    };
    const what = `${way.algorithm}, ${network.nranks} ranks, ${formatBytes(bytes)}`;
    const tooLarge = work.kind === 'all' ? this.#tooLarge(request, way, bytes) : undefined;
    if (tooLarge !== undefined) {
      return { ...facts, outcome: { kind: 'tooLarge', reason: tooLarge.message } };
    }
    progress?.(`proving ${way.algorithm} for ${network.nranks} ranks`, 0);
    const proof = this.#proofOf(request, way);
    const told = { ...asked, progress: (done: number) => progress?.(what, done) };
    told.progress(0);
    const outcome = predict(told);
    if (outcome.kind === 'stuck') return { ...facts, proof, outcome };
    expectAbove(bound, outcome.seconds, asked, what);
    const percentiles = runsOf(request, asked, what);
    return {
      ...facts,
      proof,
      outcome,
      ...(outcome.seconds === 0 ? {} : { fraction: bound.seconds / outcome.seconds }),
      ...(percentiles === undefined ? {} : { percentiles }),
    };
  }

  #proofOf(request: SweepRequest, way: Way): Proof {
    const { work, network } = request;
    if (work.kind === 'programs') return { of: 'whole', topology: network.topology };
    return this.#prover.prove(buildRequestOf(request, way));
  }

  #askedBy(request: SweepRequest, row: RowKey): PredictionRequest {
    const work = this.#schedules.workOf(request, row);
    return {
      work,
      counts: countsOf(request, shapeOf(work), row.bytes),
      bytesPerElement: request.bytesPerElement,
      network: request.network,
      model: row.model,
      execution: { sliceBytes: row.sliceBytes, slotsPerConnection: request.slotsPerConnection },
      ranks: request.ranks,
    };
  }

  #tooLarge(request: SweepRequest, way: Way, bytes: number): HlsimError | undefined {
    const [model = 'flow'] = request.models;
    const asked = this.requestOf(request, { ...way, bytes, model });
    const what = `${way.algorithm} ${request.collective} of ${formatBytes(bytes)} on ${request.network.nranks} ranks`;
    return tooLargeError(this.#sizes.of(asked), what);
  }
}

/**
 * The bound holds for the network as it is; of the models only `flow` takes it as it is. The others are
 * conventions of papers and simulators (a gigabyte of 2^30 bytes, times rounded down), and are shown beside it.
 */
function expectAbove(
  bound: LowerBound,
  seconds: number,
  { model }: PredictionRequest,
  what: string,
): void {
  if (model !== 'flow') return;
  assert(
    seconds >= bound.seconds * (1 - ROUNDING),
    `Expected ${what} to take at least ${bound.seconds} s (${bound.cut}) but found ${seconds} s`,
  );
}

function runsOf(
  { jitter, progress }: SweepRequest,
  asked: PredictionRequest,
  what: string,
): Percentiles | undefined {
  if (jitter === undefined) return undefined;
  const { fraction, seed, runs } = jitter;
  const times = Array.from({ length: runs }, (_, run) => {
    progress?.(`${what}, run ${run + 1} of ${runs}`, run / runs);
    const outcome = predict({ ...asked, jitter: { fraction, seed: seed + run } });
    assert(outcome.kind === 'predicted', `Expected run ${run}, which differs in time only, to end`);
    return outcome.seconds;
  });
  return percentilesOf(times);
}

function boundOf({ collective, root }: SweepRequest, asked: PredictionRequest): LowerBound {
  const { counts, bytesPerElement, network } = asked;
  return lowerBound({ collective, nranks: network.nranks, counts, bytesPerElement, root }, network);
}

function shapeOf(work: PredictionRequest['work']): CollectiveShape {
  if ('collective' in work) return work;
  const [first] = work;
  assert(first !== undefined, 'Expected the program of rank 0');
  return first;
}

function markBest(rows: readonly SweepRow[]): readonly SweepRow[] {
  const times = rows.map(({ outcome }) =>
    outcome.kind === 'predicted' ? outcome.seconds : Number.POSITIVE_INFINITY,
  );
  const least = times.indexOf(Math.min(...times));
  return rows.map((row, index) => ({
    ...row,
    best: index === least && row.outcome.kind === 'predicted',
  }));
}
