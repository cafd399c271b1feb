/**
 * One rank of a data-parallel training. Every rank holds the whole model and a shard of the rows;
 * gradients are all-reduced in place in HBM, so all ranks take the same step.
 *
 *     rank's rows of the batch -> kernels -> gradients -> hcclAllReduce -> kernels -> parameters
 *
 * The sum over the ranks is in the same fixed order everywhere: the weights stay bit-identical.
 */
import { createHash } from 'node:crypto';
import type * as Library from 'hlsim';
import type { Clock } from '../common/clock.ts';
import { CLASSES, type Digits, PIXELS, pickRows, type SplitDigits } from './digits.ts';
import {
  GRADIENT_COUNT,
  HIDDEN,
  initialParameters,
  METRIC_COUNT,
  PARAMETER_COUNT,
} from './model.ts';
import type { TrainOptions } from './options.ts';
import { type DeviceLibrary, RankDevice } from './rank-device.ts';
import type { EpochReport, FinalReport } from './report.ts';
import { type BatchShard, batchShards, rowNumbers, rowShard } from './shard.ts';
import {
  clearEpochJobs,
  type DeviceRows,
  deviceRows,
  evaluationJobs,
  FLOAT_BYTES,
  gradientJobs,
  type ModelMemory,
  updateJobs,
} from './step.ts';

/** The calls that a training makes: the package's, or those of a test. */
export type TrainingLibrary = DeviceLibrary &
  Pick<
    typeof Library,
    | 'hcclAllReduce'
    | 'hcclBroadcast'
    | 'hcclCommGetCounters'
    | 'hcclFloat32'
    | 'hcclSum'
    | 'synStreamSynchronize'
  >;

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

export class Trainer {
  readonly #init: TrainerInit;
  readonly #device: RankDevice;
  readonly #memory: ModelMemory;
  readonly #training: DeviceRows;
  readonly #heldOut: DeviceRows;
  readonly #shards: readonly BatchShard[];
  readonly #startMs: number;
  #epoch = 0;
  #accuracy = 0;

  private constructor(
    init: TrainerInit,
    device: RankDevice,
    memory: ModelMemory,
    rows: { readonly training: DeviceRows; readonly heldOut: DeviceRows },
  ) {
    const { digits, options, world, clock } = init;
    this.#init = init;
    this.#device = device;
    this.#memory = memory;
    this.#training = rows.training;
    this.#heldOut = rows.heldOut;
    this.#shards = batchShards(digits.training.rows, options.batch, world.rank, world.worldSize);
    this.#startMs = clock.now();
  }

  /** Allocates, uploads this rank's rows, and gets the first weights from rank 0. */
  static async start(init: TrainerInit): Promise<Trainer> {
    const { library, world, digits, options } = init;
    const { rank, worldSize, fd } = world;
    const shards = batchShards(digits.training.rows, options.batch, rank, worldSize);
    const training = pickRows(digits.training, rowNumbers(shards));
    const heldOutShard = rowShard(digits.heldOut.rows, rank, worldSize);
    const heldOut = pickRows(digits.heldOut, rowNumbers([heldOutShard]));
    const stagingBytes = Math.max(
      training.pixels.byteLength,
      heldOut.pixels.byteLength,
      PARAMETER_COUNT * FLOAT_BYTES,
    );
    const device = await RankDevice.open(library, fd, stagingBytes);
    const rowsAtOnce = Math.max(heldOut.rows, ...shards.map(({ rows }) => rows));
    const memory = await allocateModel(device, rowsAtOnce);
    const trainer = new Trainer(init, device, memory, {
      training: await uploadRows(device, training),
      heldOut: await uploadRows(device, heldOut),
    });
    await trainer.#shareInitialParameters();
    return trainer;
  }

  /** One pass over the training rows, then an evaluation. */
  async runEpoch(): Promise<EpochReport> {
    const { digits, clock } = this.#init;
    const startMs = clock.now();
    await this.#device.run(clearEpochJobs(this.#memory));
    let first = 0;
    for (const { rows, batchRows } of this.#shards) {
      await this.#step(deviceRows(this.#training, first, rows), batchRows);
      first += rows;
    }
    const { loss, correct } = await this.#metrics(this.#memory.epochMetrics);
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
    const bytes = PARAMETER_COUNT * FLOAT_BYTES;
    const weights = await this.#device.download(this.#memory.parameters, bytes);
    const counters = await library.hcclCommGetCounters(world.comm);
    return {
      kind: 'final',
      accuracy: this.#accuracy,
      weightsDigest: createHash('sha256').update(weights).digest('hex'),
      trainingRows: digits.training.rows,
      heldOutRows: digits.heldOut.rows,
      payloadBytesSent: counters.payloadBytesSent,
      controlBytesSent: counters.controlBytesSent,
      collectives: counters.collectives,
      seconds: (clock.now() - this.#startMs) / 1000,
    };
  }

  /** Gives back all device memory. */
  async close(): Promise<void> {
    await this.#device.close();
  }

  async #shareInitialParameters(): Promise<void> {
    const { library, world, options } = this.#init;
    const { parameters } = this.#memory;
    if (world.rank === ROOT) {
      const initial = initialParameters(options.seed);
      await this.#device.upload(new Uint8Array(initial.buffer), parameters);
    }
    const { hcclBroadcast, hcclFloat32, synStreamSynchronize } = library;
    await hcclBroadcast(parameters, parameters, PARAMETER_COUNT, hcclFloat32, ROOT, world.comm);
    await synStreamSynchronize();
  }

  async #step(input: DeviceRows, batchRows: number): Promise<void> {
    await this.#device.run(gradientJobs(this.#memory, input, batchRows));
    await this.#allReduce(this.#memory.gradients, GRADIENT_COUNT);
    await this.#device.run(updateJobs(this.#memory));
  }

  /** Part of all held-out rows that are classified right. */
  async #evaluate(): Promise<number> {
    await this.#device.run(evaluationJobs(this.#memory, this.#heldOut));
    await this.#allReduce(this.#memory.heldOutMetrics, METRIC_COUNT);
    const { correct } = await this.#metrics(this.#memory.heldOutMetrics);
    return correct / this.#init.digits.heldOut.rows;
  }

  /** In place, and to its end: a command submission does not wait for a collective by itself. */
  async #allReduce(address: number, count: number): Promise<void> {
    const { library, world } = this.#init;
    const { hcclAllReduce, hcclFloat32, hcclSum, synStreamSynchronize } = library;
    await hcclAllReduce(address, address, count, hcclFloat32, hcclSum, world.comm);
    await synStreamSynchronize();
  }

  async #metrics(address: number): Promise<{ readonly loss: number; readonly correct: number }> {
    const bytes = await this.#device.download(address, METRIC_COUNT * FLOAT_BYTES);
    const [loss = Number.NaN, correct = Number.NaN] = new Float32Array(bytes.buffer);
    return { loss, correct };
  }
}

async function allocateModel(device: RankDevice, rows: number): Promise<ModelMemory> {
  const floats = (count: number) => device.allocate(count * FLOAT_BYTES);
  return {
    parameters: await floats(PARAMETER_COUNT),
    gradients: await floats(GRADIENT_COUNT),
    epochMetrics: await floats(METRIC_COUNT),
    heldOutMetrics: await floats(METRIC_COUNT),
    hidden: await floats(rows * HIDDEN),
    hiddenGradients: await floats(rows * HIDDEN),
    logits: await floats(rows * CLASSES),
  };
}

async function uploadRows(device: RankDevice, digits: Digits): Promise<DeviceRows> {
  const { rows } = digits;
  const pixels = await device.allocate(rows * PIXELS * FLOAT_BYTES);
  const labels = await device.allocate(rows * FLOAT_BYTES);
  await device.upload(new Uint8Array(digits.pixels.buffer), pixels);
  await device.upload(new Uint8Array(digits.labels.buffer), labels);
  return { rows, pixels, labels };
}
