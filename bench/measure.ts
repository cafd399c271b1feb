/**
 * Measures and checks one collective at one size, on one rank, with the rules of nccl-tests: warm up,
 * all ranks start together, iterations follow each other without waiting, the time is their mean; then
 * one more run on fresh data, of which every element is compared, on the device.
 */
import type * as Library from 'hlsim';
import type { Clock } from '../common/clock.ts';
import type { RankDevice } from '../training/rank-device.ts';
import type { BenchBuffers } from './buffers.ts';
import type { BenchOptions } from './options.ts';
import { checkJobs, type Pattern, type Place, prepareJobs } from './pattern-jobs.ts';
import type { Measurement, SizeReport } from './report.ts';
import { type BenchSize, ELEMENT_BYTES } from './sizes.ts';

/** The calls that this file makes: the package's, or those of a test. */
export type MeasureLibrary = Pick<
  typeof Library,
  | 'hcclAllGather'
  | 'hcclAllReduce'
  | 'hcclFloat32'
  | 'hcclSum'
  | 'jobBarrier'
  | 'synStreamSynchronize'
>;

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

/** One size, first out of place, then in place. */
export async function measureSize(
  init: MeasureInit,
  size: BenchSize,
  index: number,
): Promise<SizeReport> {
  // Every measurement has a pattern of its own: what an earlier one left behind is wrong for this.
  const outOfPlace = await measure(init, size, 'outOfPlace', 2 * index);
  const inPlace = await measure(init, size, 'inPlace', 2 * index + 1);
  return { kind: 'size', index, bytes: size.bytes, count: size.count, outOfPlace, inPlace };
}

async function measure(
  init: MeasureInit,
  { count }: BenchSize,
  place: Place,
  seed: number,
): Promise<Measurement> {
  const { library, device, buffers, options, clock, world } = init;
  const { rank, worldSize } = world;
  const { collective, iterations, warmupIterations } = options;
  const pattern: Pattern = { collective, count, place, seed, rank, nranks: worldSize };
  await device.run(prepareJobs(buffers, pattern));
  await runCollective(init, count, place, warmupIterations);
  await library.jobBarrier();
  const startMs = clock.now();
  await runCollective(init, count, place, iterations);
  const timeUs = ((clock.now() - startMs) * 1000) / iterations;
  const wrong = options.check ? await countWrong(init, pattern) : null;
  return { timeUs, wrong };
}

/** Wrong elements of this rank's result of one more run. */
async function countWrong(init: MeasureInit, pattern: Pattern): Promise<number> {
  const { device, buffers } = init;
  await device.run(prepareJobs(buffers, pattern));
  await runCollective(init, pattern.count, pattern.place, 1);
  await device.run(checkJobs(buffers, pattern));
  const counter = await device.download(buffers.counter, ELEMENT_BYTES);
  return new DataView(counter.buffer).getUint32(0, true);
}

/** Posts `times` calls one behind the other and waits until the last has ended. */
async function runCollective(
  init: MeasureInit,
  count: number,
  place: Place,
  times: number,
): Promise<void> {
  let posted: Promise<void>[] = [];
  for (let call = 0; call < times; call++) {
    posted.push(postCollective(init, count, place));
    if (posted.length < POSTED_CALLS_MAX) continue;
    await Promise.all(posted);
    posted = [];
  }
  await Promise.all(posted);
  await init.library.synStreamSynchronize();
}

function postCollective(init: MeasureInit, count: number, place: Place): Promise<void> {
  const { library, world, buffers, options } = init;
  const { hcclAllGather, hcclAllReduce, hcclFloat32, hcclSum } = library;
  const { recv } = buffers;
  if (options.collective === 'all_reduce') {
    const send = place === 'inPlace' ? recv : buffers.send;
    return hcclAllReduce(send, recv, count, hcclFloat32, hcclSum, world.comm);
  }
  const own = recv + world.rank * count * ELEMENT_BYTES;
  const send = place === 'inPlace' ? own : buffers.send;
  return hcclAllGather(send, recv, count, hcclFloat32, world.comm);
}
