/**
 * One rank of a data-parallel training. Every rank holds the whole model and a shard of the rows;
 * gradients are all-reduced in place in HBM, bucket by bucket, so all ranks take the same step.
 *
 *     rank's rows of the batch -> kernels -> gradients -> hcclAllReduce -> kernels -> parameters
 *
 * The sum over the ranks is in the same fixed order everywhere: the weights stay bit-identical.
 */
import { createHash } from 'node:crypto';
import type * as Library from 'hlsim';
import { MiB } from '../common/bytes.ts';
import type { Clock } from '../common/clock.ts';
import { BucketReducer, type ReducerLibrary } from './bucket-reducer.ts';
import { type Bucket, FLOAT_BYTES, gradientBuckets } from './buckets.ts';
import { pickRows, type SplitDigits } from './digits.ts';
import { summedGradients } from './gradient-step.ts';
import { measureLayers, reduceWithOthers } from './layer-times.ts';
import { initialParameters, METRIC_COUNT, modelOf } from './model.ts';
import { allocateModel, uploadRows } from './model-memory.ts';
import type { TrainOptions } from './options.ts';
import { type DeviceLibrary, RankDevice } from './rank-device.ts';
import type { EpochReport, FinalReport, LayerTimes } from './report.ts';
import { type BatchShard, batchShards, rowNumbers, rowShard } from './shard.ts';
import {
  clearEpochJobs,
  type DeviceRows,
  deviceRows,
  evaluationJobs,
  gradientJobs,
  layerJobs,
  type ModelMemory,
  updateJobs,
} from './step.ts';
import { TimesOfSteps } from './times-of-steps.ts';

/** The calls that a training makes: the package's, or those of a test. */
export type TrainingLibrary = DeviceLibrary &
  ReducerLibrary &
  Pick<typeof Library, 'hcclBroadcast' | 'hcclCommGetCounters'>;

export interface TrainerInit {
  readonly library: TrainingLibrary;
  readonly world: Pick<Library.World, 'rank' | 'worldSize' | 'fd' | 'comm'>;
  readonly digits: SplitDigits;
  readonly options: TrainOptions;
  /** For figures that say how long something took. */
  readonly clock: Clock;
}

/** The rank that makes the first weights and tells the epochs. */
const ROOT = 0;
/** Uploads and downloads go in parts of this length. */
const STAGING_BYTES = MiB;

interface TrainerParts {
  readonly device: RankDevice;
  readonly memory: ModelMemory;
  readonly training: DeviceRows;
  readonly heldOut: DeviceRows;
  readonly buckets: readonly Bucket[];
  readonly reducer: BucketReducer;
  readonly shards: readonly BatchShard[];
}

export class Trainer {
  readonly #init: TrainerInit;
  readonly #parts: TrainerParts;
  readonly #startMs: number;
  #epoch = 0;
  readonly #times = new TimesOfSteps();
  #accuracy = 0;

  private constructor(init: TrainerInit, parts: TrainerParts) {
    this.#init = init;
    this.#parts = parts;
    this.#startMs = init.clock.now();
  }

  /** Allocates, uploads this rank's rows, and gets the first weights from rank 0. */
  static async start(init: TrainerInit): Promise<Trainer> {
    const { library, world, digits, options, clock } = init;
    const { rank, worldSize, fd, comm } = world;
    const shards = batchShards(digits.training.rows, options.batch, rank, worldSize);
    const heldOutShard = rowShard(digits.heldOut.rows, rank, worldSize);
    const device = await RankDevice.open(library, fd, STAGING_BYTES);
    const model = modelOf(options.hidden);
    const rowsAtOnce = Math.max(heldOutShard.rows, ...shards.map(({ rows }) => rows));
    const memory = await allocateModel(device, model, rowsAtOnce);
    const buckets = gradientBuckets(model, options.bucketBytes);
    const { gradients } = memory;
    const trainer = new Trainer(init, {
      ...{ device, memory, buckets, shards },
      training: await uploadRows(device, pickRows(digits.training, rowNumbers(shards))),
      heldOut: await uploadRows(device, pickRows(digits.heldOut, rowNumbers([heldOutShard]))),
      reducer: await BucketReducer.open({ library, comm, clock, gradients, buckets }),
    });
    await trainer.#shareInitialParameters();
    return trainer;
  }

  /** One pass over the training rows, then an evaluation. */
  async runEpoch(): Promise<EpochReport> {
    const { digits, clock } = this.#init;
    const { device, memory, training, shards } = this.#parts;
    const startMs = clock.now();
    await device.run(clearEpochJobs(memory));
    let first = 0;
    for (const { rows, batchRows } of shards) {
      await this.#step(deviceRows(training, first, rows), batchRows);
      first += rows;
    }
    const { loss, correct } = await this.#metrics(memory.epochMetrics);
    this.#accuracy = await this.#evaluate();
    this.#epoch++;
    return {
      kind: 'epoch',
      epoch: this.#epoch,
      loss: loss / digits.training.rows,
      trainingAccuracy: correct / digits.training.rows,
      heldOutAccuracy: this.#accuracy,
      seconds: (clock.now() - startMs) / 1000,
    };
  }

  /** What this rank has in the end. */
  async finish(): Promise<FinalReport> {
    const { library, world, digits, clock } = this.#init;
    const { device, memory, buckets } = this.#parts;
    const bytes = memory.model.parameterCount * FLOAT_BYTES;
    const weights = await device.download(memory.parameters, bytes);
    const counters = await library.hcclCommGetCounters(world.comm);
    const seconds = (clock.now() - this.#startMs) / 1000;
    const layerTimes =
      this.#init.options.timeLayers === true ? await this.#timeLayers() : undefined;
    return {
      kind: 'final',
      accuracy: this.#accuracy,
      weightsDigest: createHash('sha256').update(weights).digest('hex'),
      trainingRows: digits.training.rows,
      heldOutRows: digits.heldOut.rows,
      path: counters.sharedCollectives > 0 ? 'p2p' : 'ws',
      payloadBytesSent: counters.payloadBytesSent,
      controlBytesSent: counters.controlBytesSent,
      collectives: counters.collectives,
      steps: this.#times.steps,
      buckets: buckets.length,
      ...this.#times.median(),
      ...(layerTimes === undefined ? {} : { layerTimes }),
      seconds,
    };
  }

  /** Gives back all device memory, and the stream. */
  async close(): Promise<void> {
    await this.#parts.reducer.close();
    await this.#parts.device.close();
  }

  /** By the rows of the first batch; undefined without rows. The weights are of no use afterwards. */
  async #timeLayers(): Promise<LayerTimes | undefined> {
    const { clock } = this.#init;
    const { device, memory, training, shards, reducer, buckets } = this.#parts;
    const reduce = (): Promise<number> => {
      for (const index of buckets.keys()) reducer.begin(index);
      return reducer.finish();
    };
    const [shard] = shards;
    if (shard === undefined || shard.rows === 0) {
      await reduceWithOthers(reduce);
      return undefined;
    }
    const layers = layerJobs(memory, deviceRows(training, 0, shard.rows), shard.batchRows);
    return measureLayers({ device, clock, layers, update: updateJobs(memory), reduce });
  }

  async #shareInitialParameters(): Promise<void> {
    const { library, world, options } = this.#init;
    const { device, memory } = this.#parts;
    const { model, parameters } = memory;
    if (world.rank === ROOT) {
      const initial = initialParameters(model, options.seed);
      await device.upload(new Uint8Array(initial.buffer), parameters);
    }
    const { hcclBroadcast, hcclFloat32, synStreamSynchronize } = library;
    const count = model.parameterCount;
    await hcclBroadcast(parameters, parameters, count, hcclFloat32, ROOT, world.comm);
    await synStreamSynchronize();
  }

  async #step(input: DeviceRows, batchRows: number): Promise<void> {
    const { clock, options } = this.#init;
    const { device, reducer, memory, buckets } = this.#parts;
    const jobs = gradientJobs(memory, input, batchRows, buckets);
    const step = await summedGradients({ device, reducer, clock }, jobs, options.overlap);
    const summedMs = clock.now();
    await device.run(updateJobs(memory));
    this.#times.add({ ...step, computeMs: step.computeMs + clock.now() - summedMs });
  }

  /** Part of all held-out rows that are classified right. */
  async #evaluate(): Promise<number> {
    const { library, world, digits } = this.#init;
    const { device, memory, heldOut } = this.#parts;
    const { heldOutMetrics: metrics } = memory;
    await device.run(evaluationJobs(memory, heldOut));
    const { hcclAllReduce, hcclFloat32, hcclSum, synStreamSynchronize } = library;
    // To its end: a command submission does not wait for a collective by itself.
    await hcclAllReduce(metrics, metrics, METRIC_COUNT, hcclFloat32, hcclSum, world.comm);
    await synStreamSynchronize();
    const { correct } = await this.#metrics(metrics);
    return correct / digits.heldOut.rows;
  }

  async #metrics(address: number): Promise<{ readonly loss: number; readonly correct: number }> {
    const bytes = await this.#parts.device.download(address, METRIC_COUNT * FLOAT_BYTES);
    const [loss = Number.NaN, correct = Number.NaN] = new Float32Array(bytes.buffer);
    return { loss, correct };
  }
}
