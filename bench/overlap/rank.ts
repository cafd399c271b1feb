/**
 * One rank of the overlap benchmark: the step of `hlsim train` (forward pass, backward pass, buckets
 * all-reduced), without the update of the parameters, which is the same either way.
 */
import { createHash } from 'node:crypto';
import process from 'node:process';
import type * as Library from 'hlsim';
import { MiB } from '../../common/bytes.ts';
import type { Clock } from '../../common/clock.ts';
import type { Job } from '../../node/device/job.ts';
import { BucketReducer, type ReducerLibrary } from '../../training/bucket-reducer.ts';
import { type Bucket, FLOAT_BYTES, gradientBuckets } from '../../training/buckets.ts';
import { loadDigits, pickRows } from '../../training/digits.ts';
import { type Overlap, type StepInit, summedGradients } from '../../training/gradient-step.ts';
import { initialParameters, modelOf } from '../../training/model.ts';
import { allocateModel, uploadRows } from '../../training/model-memory.ts';
import { type DeviceLibrary, RankDevice } from '../../training/rank-device.ts';
import {
  type DeviceRows,
  deviceRows,
  gradientJobs,
  type ModelMemory,
} from '../../training/step.ts';
import {
  type OverlapOptions,
  PLACES,
  type Place,
  type PlaceReport,
  type RankReport,
  type StepCost,
  VARIANTS,
  type Variant,
} from './options.ts';
import { ProgramWork } from './program-work.ts';

export type OverlapLibrary = DeviceLibrary &
  ReducerLibrary &
  Pick<typeof Library, 'jobBarrier' | 'storeGet' | 'storeSet'>;

export interface OverlapInit {
  readonly library: OverlapLibrary;
  readonly world: Pick<Library.World, 'rank' | 'fd' | 'comm'>;
  readonly options: OverlapOptions;
  readonly clock: Clock;
}

/** Most rows of a rank, and where the search for their number begins. */
const ROWS_MAX = 1024;
const ROWS_FIRST = 8;
/** Each makes the next guess from what the last one took. */
const CALIBRATIONS = 4;
const CALIBRATION_STEPS = 5;
const SEED = 1;

/** Computing alone sums nothing. */
const NO_REDUCTION = { begin: () => undefined, finish: () => Promise.resolve(0) };

export class OverlapRank {
  readonly #init: OverlapInit;
  readonly #device: RankDevice;
  readonly #memory: ModelMemory;
  readonly #rows: DeviceRows;
  readonly #buckets: readonly Bucket[];
  readonly #reducer: BucketReducer;
  readonly #program: ProgramWork;
  #jobs: Job[][] = [];

  private constructor(
    init: OverlapInit,
    parts: {
      readonly device: RankDevice;
      readonly memory: ModelMemory;
      readonly rows: DeviceRows;
      readonly buckets: readonly Bucket[];
      readonly reducer: BucketReducer;
    },
  ) {
    this.#init = init;
    this.#device = parts.device;
    this.#memory = parts.memory;
    this.#rows = parts.rows;
    this.#buckets = parts.buckets;
    this.#reducer = parts.reducer;
    this.#program = new ProgramWork(parts.memory.model, parts.buckets, ROWS_MAX);
  }

  static async open(init: OverlapInit): Promise<OverlapRank> {
    const { library, world, options, clock } = init;
    const device = await RankDevice.open(library, world.fd, MiB);
    const model = modelOf(options.hidden);
    const memory = await allocateModel(device, model, ROWS_MAX);
    const { parameters, gradients } = memory;
    await device.upload(new Uint8Array(initialParameters(model, SEED).buffer), parameters);
    const digits = loadDigits();
    const numbers = Array.from({ length: ROWS_MAX }, (_, row) => row % digits.rows);
    const rows = await uploadRows(device, pickRows(digits, numbers));
    const buckets = gradientBuckets(model, options.bucketBytes);
    const { comm } = world;
    const reducer = await BucketReducer.open({ library, comm, clock, gradients, buckets });
    return new OverlapRank(init, { device, memory, rows, buckets, reducer });
  }

  /** All rounds of all variants, in turns. */
  async measure(): Promise<RankReport> {
    const rows = {
      device: await this.#calibrate('device'),
      program: await this.#calibrate('program'),
    };
    const rounds: Record<Place, PlaceReport['rounds']> = { device: [], program: [] };
    for (let round = 0; round < this.#init.options.rounds; round++) {
      for (const place of PLACES) {
        this.#useRows(place, rows[place]);
        rounds[place].push(await this.#round(place, round));
      }
    }
    this.#useRows('device', rows.device);
    return {
      rank: this.#init.world.rank,
      buckets: this.#buckets.length,
      gradientBytes: this.#memory.model.gradientCount * FLOAT_BYTES,
      places: {
        device: { rows: rows.device, rounds: rounds.device },
        program: { rows: rows.program, rounds: rounds.program },
      },
      digests: { on: await this.#digest('on'), off: await this.#digest('off') },
    };
  }

  async close(): Promise<void> {
    await this.#reducer.close();
    await this.#device.close();
  }

  /** Every variant once; each is the first of every fourth round. */
  async #round(place: Place, round: number): Promise<PlaceReport['rounds'][number]> {
    const costs: Partial<Record<Variant, StepCost>> = {};
    for (const index of VARIANTS.keys()) {
      const variant = VARIANTS[(index + round) % VARIANTS.length] ?? 'on';
      costs[variant] = await this.#cost(place, variant, this.#init.options.steps);
    }
    return costs as Record<Variant, StepCost>;
  }

  async #cost(place: Place, variant: Variant, steps: number): Promise<StepCost> {
    const { library, clock } = this.#init;
    // Untimed: whatever the variant before left in the caches of the machine is not its own.
    await this.#step(place, variant);
    await library.jobBarrier();
    const startMs = clock.now();
    const startCpu = process.cpuUsage();
    let firstMs = 0;
    for (let step = 0; step < steps; step++) firstMs += await this.#step(place, variant);
    const { user, system } = process.cpuUsage(startCpu);
    return {
      wallMs: (clock.now() - startMs) / steps,
      cpuMs: (user + system) / 1000 / steps,
      firstMs: firstMs / steps,
    };
  }

  /** Returns when the first bucket was computed, from the start of the step. */
  async #step(place: Place, variant: Variant): Promise<number> {
    const { clock } = this.#init;
    if (variant === 'communication') {
      for (const index of this.#buckets.keys()) this.#reducer.begin(index);
      await this.#reducer.finish();
      return 0;
    }
    const device = place === 'device' ? this.#device : this.#program;
    const startMs = clock.now();
    let firstMs: number | undefined;
    const watched: StepInit['device'] = {
      submit: (jobs) => device.submit(jobs),
      wait: async (sequence) => {
        await device.wait(sequence);
        firstMs ??= clock.now() - startMs;
      },
    };
    const reducer = variant === 'computing' ? NO_REDUCTION : this.#reducer;
    const overlap = variant === 'on' ? 'on' : 'off';
    await summedGradients({ device: watched, reducer, clock }, this.#jobs, overlap);
    return firstMs ?? 0;
  }

  /**
   * Finds with how many rows the rest of the backward pass, after its first bucket, takes as long as the
   * communication. Rank 0 measures, all take its number.
   */
  async #calibrate(place: Place): Promise<number> {
    const { library, world } = this.#init;
    let rows = ROWS_FIRST;
    for (let turn = 0; turn < CALIBRATIONS; turn++) {
      this.#useRows(place, rows);
      const communication = await this.#fastest(place, 'communication');
      const computing = await this.#fastest(place, 'computing');
      const beside = Math.max(computing.wallMs - computing.firstMs, computing.wallMs / ROWS_MAX);
      const guess = Math.round((rows * communication.wallMs) / beside);
      const key = `overlap.rows.${place}.${turn}`;
      if (world.rank === 0)
        await library.storeSet(key, String(Math.min(ROWS_MAX, Math.max(1, guess))));
      rows = Number(await library.storeGet(key));
    }
    return rows;
  }

  /** Of a few steps: what else the machine does makes others longer. */
  async #fastest(place: Place, variant: Variant): Promise<StepCost> {
    let fastest = await this.#cost(place, variant, 1);
    for (let step = 1; step < CALIBRATION_STEPS; step++) {
      const cost = await this.#cost(place, variant, 1);
      if (cost.wallMs < fastest.wallMs) fastest = cost;
    }
    return fastest;
  }

  #useRows(place: Place, rows: number): void {
    if (place === 'program') this.#program.rows = rows;
    const input = deviceRows(this.#rows, 0, rows);
    this.#jobs = gradientJobs(this.#memory, input, rows, this.#buckets);
  }

  async #digest(overlap: Overlap): Promise<string> {
    await this.#step('device', overlap);
    const bytes = this.#memory.model.gradientCount * FLOAT_BYTES;
    const sums = await this.#device.download(this.#memory.gradients, bytes);
    return createHash('sha256').update(sums).digest('hex');
  }
}
