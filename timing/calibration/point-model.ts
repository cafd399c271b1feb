/** Predicts measured points on a topology whose parameters are still to be found. */

import type { CollectiveShape } from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { countsOfProblem } from '../../collectives/problem-size.ts';
import type { Program } from '../../collectives/program.ts';
import { type BuildRequest, buildSchedule } from '../../collectives/table.ts';
import { defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import { predict } from '../engine/predict.ts';
import type { Prover } from '../experiment/proof.ts';
import { tooLargeError, WorkSizes } from '../experiment/work-size.ts';
import type { Network } from '../network.ts';
import type { LinkModel, PredictionRequest } from '../prediction.ts';
import { SLICE_BYTES_DEFAULT } from '../sweep.ts';
import { cardsOfBoxes } from '../topology/cards-of-boxes.ts';
import type { TopologyFile } from '../topology/file.ts';
import { networkOf } from '../topology/network.ts';
import type { ParameterOverrides } from '../topology/values.ts';
import { backToBack } from './back-to-back.ts';
import { type MeasuredPoint, nameOfPoint } from './point.ts';

export interface PointModelInit {
  readonly topology: TopologyFile;
  readonly points: readonly MeasuredPoint[];
  readonly model: LinkModel;
  readonly slotsPerConnection: number;
}

/** Of calls back to back, those at the beginning, which fill the pipeline, are not counted. */
const CALLS_BEFORE = 2;
const CALLS_COUNTED = 2;

/**
 * Slices that all points together may simulate, as a fit does that a hundred times and more. Real measurements have
 * some thousands.
 */
const SLICES_MAX = 2_000_000;

/** A point with what is the same for every choice of parameters. */
interface Prepared {
  readonly point: MeasuredPoint;
  readonly request: PredictionRequest;
  /** Of `bandwidth`: after the first requests, the same with more calls. */
  readonly longer?: PredictionRequest;
}

export class PointModel {
  readonly #init: PointModelInit;
  readonly #prepared: readonly Prepared[];

  /**
   * Builds and proves what the points ran.
   *
   * @throws HlsimError for a point that cannot be: no such algorithm for these ranks, more cards than there
   * are, a schedule that is wrong
   */
  constructor(init: PointModelInit, prover: Prover) {
    this.#init = init;
    const budget = new WorkBudget();
    this.#prepared = init.points.map((point) =>
      atLine(point, () => prepare(point, init, prover, budget)),
    );
  }

  /** Names of the parameters that the points' networks are made with. */
  usedParameters(): ReadonlySet<string> {
    const networks = this.#prepared.map(({ request }) => request.network);
    return new Set(networks.flatMap(({ parameters }) => parameters.map(({ name }) => name)));
  }

  /** Seconds of each point, or of those at `indices`. */
  predict(overrides: ParameterOverrides, indices?: readonly number[]): readonly number[] {
    const networks = new Map<string, Network>();
    const chosen =
      indices?.map((index) => defined(this.#prepared[index], `point ${index}`)) ?? this.#prepared;
    return chosen.map((prepared) => {
      const { point } = prepared;
      const key = `${point.nranks} ${point.boxes}`;
      const network = networks.get(key) ?? networkOfPoint(point, this.#init.topology, overrides);
      networks.set(key, network);
      return atLine(point, () => secondsOf(prepared, network));
    });
  }
}

function secondsOf({ point, request, longer }: Prepared, network: Network): number {
  const first = predicted({ ...request, network }, point);
  const seconds =
    longer === undefined
      ? first
      : (predicted({ ...longer, network }, point) - first) / CALLS_COUNTED;
  if (seconds > 0) return seconds;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected points that take time but found that ${nameOfPoint(point)} on ${point.nranks} ranks takes none in the model: leave it out`,
  );
}

function predicted(request: PredictionRequest, point: MeasuredPoint): number {
  const outcome = predict(request);
  if (outcome.kind === 'predicted') return outcome.seconds;
  throw new HlsimError(
    'HLSIM_SCHEDULE_REFUTED',
    `Expected ${nameOfPoint(point)} to end but found it stuck with ${request.execution.slotsPerConnection} slots a connection: raise --slots`,
  );
}

function prepare(
  point: MeasuredPoint,
  { topology, model, slotsPerConnection }: PointModelInit,
  prover: Prover,
  budget: WorkBudget,
): Prepared {
  const { bytes, bytesPerElement } = point;
  const network = networkOfPoint(point, topology, {});
  const { work, prove } = workOf(point, network, prover);
  const shape: CollectiveShape =
    'rounds' in work ? work : defined(work[0], 'the program of rank 0');
  const { work: named } = point;
  const multipleOf = named.kind === 'programs' && named.equalChunks ? Math.max(1, shape.chunks) : 1;
  const request: PredictionRequest = {
    work,
    counts: countsOfProblem(shape, Math.floor(bytes / bytesPerElement), multipleOf),
    bytesPerElement,
    network,
    model,
    execution: { sliceBytes: point.sliceBytes ?? SLICE_BYTES_DEFAULT, slotsPerConnection },
    ranks: 'alike',
  };
  // Before anything is walked through: what is too much is not even proved.
  budget.spend(request, point.measure === 'latency' ? 1 : 2 * CALLS_BEFORE + CALLS_COUNTED);
  prove();
  if (point.measure === 'latency') return { point, request };
  const programs = programsOf(request.work);
  const called = (calls: number): PredictionRequest => ({
    ...request,
    work: programs.map((program) => backToBack(program, calls)),
  });
  return {
    point,
    request: called(CALLS_BEFORE),
    longer: called(CALLS_BEFORE + CALLS_COUNTED),
  };
}

function programsOf(work: PredictionRequest['work']): readonly Program[] {
  return 'rounds' in work ? lowerAll(work) : work;
}

/** What the points ask for, in bounded time and memory. */
class WorkBudget {
  readonly #sizes = new WorkSizes();
  #slices = 0;

  /** @throws HlsimError `HLSIM_USAGE` for more than a fit can simulate again and again */
  spend(request: PredictionRequest, calls: number): void {
    const size = this.#sizes.of(request);
    const tooLarge = tooLargeError(size, `${request.network.nranks} ranks`);
    if (tooLarge !== undefined) throw tooLarge;
    this.#slices += calls * Math.max(size.slicesSimulated, size.stepsBuilt);
    if (this.#slices <= SLICES_MAX) return;
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected points whose programs have at most ${SLICES_MAX} steps and slices together, as they are simulated again and again, but found about ${Number(this.#slices.toPrecision(2))} up to here: leave out points, or take fewer ranks or larger slices`,
    );
  }
}

/** Files were proved when they were read. */
function workOf(
  { work, collective, nranks, channels = 1, chunks }: MeasuredPoint,
  { topology }: Network,
  prover: Prover,
): { readonly work: PredictionRequest['work']; readonly prove: () => void } {
  if (work.kind === 'programs') {
    if (work.programs.length === nranks) return { work: work.programs, prove: () => undefined };
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected a schedule for ${nranks} ranks in ${work.name} but found one for ${work.programs.length}`,
    );
  }
  const request: BuildRequest = {
    collective,
    algorithm: work.name,
    topology,
    root: 0,
    channels,
    placement: 'outOfPlace',
    ...(chunks === undefined ? {} : { chunks }),
  };
  return { work: buildSchedule(request), prove: () => void prover.prove(request) };
}

/** The first cards of each box, or the first of all where the point says nothing of boxes. */
function networkOfPoint(
  { nranks, boxes }: MeasuredPoint,
  topology: TopologyFile,
  overrides: ParameterOverrides,
): Network {
  if (boxes === undefined) return networkOf(topology, { cards: nranks, overrides });
  if (nranks % boxes !== 0) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected as many ranks in each of ${boxes} boxes but found ${nranks}`,
    );
  }
  return networkOf(topology, {
    boxes,
    cards: cardsOfBoxes(topology, boxes, nranks / boxes),
    overrides,
  });
}

/** What is wrong with a point is told with its line. */
function atLine<T>({ line }: MeasuredPoint, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof HlsimError)) throw cause;
    throw new HlsimError(cause.code, `${cause.message} (point in line ${line})`, {
      cause,
      fields: { ...cause.fields, line },
    });
  }
}
