/**
 * Measures and checks one collective at one size, on one rank, with the rules of nccl-tests: warm up,
 * all ranks start together, iterations follow each other without waiting, the time is their mean; then
 * one more run on fresh data, of which every element is compared, on the device.
 */
import { createHash } from 'node:crypto';
import type * as Library from 'hlsim';
import { ELEMENT_TYPES } from '../collectives/arithmetic.ts';
import type { Clock } from '../common/clock.ts';
import { JOBS_PER_CS_MAX, type KernelJob } from '../node/device/job.ts';
import type { RankDevice } from '../training/rank-device.ts';
import { type BenchBuffers, DIGEST_BYTES } from './buffers.ts';
import { type CallLibrary, type CollectiveCall, postCall } from './calls.ts';
import { DATA_TYPES } from './data-types.ts';
import { hasInPlace, layoutOf, type Place } from './layout.ts';
import { buffersOf, checkJobs, type Measured, prepareJobs, roundingJobs } from './operand-jobs.ts';
import type { BenchOptions } from './options.ts';
import type { ChoiceReport, Measurement, SizeReport } from './report.ts';
import type { BenchSize } from './sizes.ts';

/** The calls that this file makes: the package's, or those of a test. */
export type MeasureLibrary = CallLibrary &
  Pick<typeof Library, 'hcclCommLastChoice' | 'jobBarrier' | 'synStreamSynchronize'>;

export interface MeasureInit {
  readonly library: MeasureLibrary;
  readonly world: Pick<Library.World, 'rank' | 'worldSize' | 'comm'>;
  readonly device: RankDevice;
  readonly buffers: BenchBuffers;
  readonly options: BenchOptions;
  readonly clock: Clock;
}

/** Calls that are on their way to the library at a time. Enough to keep its stream filled. */
const POSTED_CALLS_MAX = 64;

/** One size, first out of place, then in place where that exists. */
export async function measureSize(
  init: MeasureInit,
  size: BenchSize,
  index: number,
): Promise<SizeReport> {
  const { collective, places } = init.options;
  // Every measurement has operands of its own: what an earlier one left behind is wrong for this.
  const outOfPlace = places.includes('outOfPlace')
    ? await measure(init, size, 'outOfPlace', 2 * index)
    : null;
  const inPlace =
    places.includes('inPlace') && hasInPlace(collective)
      ? await measure(init, size, 'inPlace', 2 * index + 1)
      : null;
  const choice = await choiceOf(init);
  return { kind: 'size', index, ...size, outOfPlace, inPlace, choice };
}

async function choiceOf({ library, world }: MeasureInit): Promise<ChoiceReport | null> {
  const choice = await library.hcclCommLastChoice(world.comm);
  if (choice === null) return null;
  const { collective: _, ...report } = choice;
  return report;
}

async function measure(
  init: MeasureInit,
  size: BenchSize,
  place: Place,
  seed: number,
): Promise<Measurement> {
  const { library, device, buffers, options, clock, world } = init;
  const { rank, worldSize: nranks } = world;
  const { collective, root, iterations, warmupIterations } = options;
  const layout = layoutOf({ collective, size, rank, nranks, root });
  const measured: Measured = { layout, size, place, seed, rank, nranks };
  const call: CollectiveCall = {
    ...{ collective, size, layout, root, world },
    ...buffersOf(buffers, measured),
  };
  await runJobs(device, prepareJobs(buffers, measured));
  await runCalls(init, call, warmupIterations);
  await library.jobBarrier();
  const startMs = clock.now();
  await runCalls(init, call, iterations);
  const timeUs = ((clock.now() - startMs) * 1000) / iterations;
  const wrong = options.check ? await countWrong(init, call, measured) : null;
  const digest = options.digest ? await digestOf(init, call, measured) : null;
  return { timeUs, wrong, digest };
}

/** Wrong elements of this rank's result of one more run. */
async function countWrong(
  init: MeasureInit,
  call: CollectiveCall,
  measured: Measured,
): Promise<number> {
  const { device, buffers } = init;
  await runJobs(device, prepareJobs(buffers, measured));
  await runCalls(init, call, 1);
  await runJobs(device, checkJobs(buffers, measured));
  const counter = await device.download(buffers.counter, 4);
  return new DataView(counter.buffer).getUint32(0, true);
}

/** SHA-256 of this rank's result of one more run, on inputs whose sums are rounded. */
async function digestOf(
  init: MeasureInit,
  call: CollectiveCall,
  measured: Measured,
): Promise<string> {
  const { device, buffers } = init;
  await runJobs(device, [...prepareJobs(buffers, measured), ...roundingJobs(buffers, measured)]);
  await runCalls(init, call, 1);
  const { bytes } = ELEMENT_TYPES[DATA_TYPES[measured.size.dataType]];
  const length = measured.layout.outputLength * bytes;
  const hash = createHash('sha256');
  for (let offset = 0; offset < length; offset += DIGEST_BYTES) {
    const part = Math.min(DIGEST_BYTES, length - offset);
    hash.update(await device.download(call.output + offset, part));
  }
  return hash.digest('hex');
}

/** Runs any number of jobs, as many submissions as that takes. */
async function runJobs(device: RankDevice, jobs: readonly KernelJob[]): Promise<void> {
  for (let first = 0; first < jobs.length; first += JOBS_PER_CS_MAX) {
    await device.run(jobs.slice(first, first + JOBS_PER_CS_MAX));
  }
}

/** Posts `times` calls one behind the other, or each after the last has ended, and waits for all. */
async function runCalls(init: MeasureInit, call: CollectiveCall, times: number): Promise<void> {
  if (init.options.blocking === true) return runBlocking(init, call, times);
  let posted: Promise<void>[] = [];
  for (let count = 0; count < times; count++) {
    posted.push(postCall(init.library, call));
    if (posted.length < POSTED_CALLS_MAX) continue;
    await Promise.all(posted);
    posted = [];
  }
  await Promise.all(posted);
  await init.library.synStreamSynchronize();
}

async function runBlocking(
  { library }: MeasureInit,
  call: CollectiveCall,
  times: number,
): Promise<void> {
  for (let count = 0; count < times; count++) {
    // Only a call that is on its stream is one that the stream's synchronisation waits for.
    await postCall(library, call);
    await library.synStreamSynchronize();
  }
}
