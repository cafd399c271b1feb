/**
 * hlsim as a contestant of `npm run bench:peers`: an ordinary user program, one per rank. Arguments: one
 * per measurement, COLLECTIVE:COUNT:WARMUP:ITERATIONS. Prints one line of JSON per measurement. What is
 * timed, and what is checked, is the same for every contestant: see `bench/README.md`.
 */
import process from 'node:process';
import * as hlsim from 'hlsim';
import { MiB } from '../../common/bytes.ts';
import { wallClock } from '../../common/clock.ts';
import { HlsimError } from '../../common/errors.ts';
import { RankDevice } from '../../training/rank-device.ts';
import { expected, given } from './operands.ts';
import { type PeerMeasurement, readMeasurement } from './sweep.ts';

/** What is moved between the program and its device at once. */
const STAGING_BYTES = 1 * MiB;
const STAGING_COUNT = STAGING_BYTES / Float32Array.BYTES_PER_ELEMENT;

const world = await hlsim.initWorld();
const measurements = process.argv.slice(2).map(measurementOf);
const device = await RankDevice.open(hlsim, world.fd, STAGING_BYTES);
const data = await device.allocate(Math.max(...measurements.map(({ bytes }) => bytes)));
for (const measurement of measurements) {
  const { collective, count } = measurement;
  const timeUs = await timeOf(measurement);
  const wrong = await wrongElements(measurement);
  const line = { collective, count, ranks: world.worldSize, rank: world.rank, timeUs, wrong };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
await device.close();
await hlsim.hcclCommDestroy(world.comm);
await hlsim.hlthunk_close(world.fd);

function measurementOf(text: string): PeerMeasurement {
  const measurement = readMeasurement(text, world.worldSize);
  if (measurement !== undefined) return measurement;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected COLLECTIVE:COUNT:WARMUP:ITERATIONS but found ${JSON.stringify(text)}`,
  );
}

/** Microseconds of one call on this rank, the mean. */
async function timeOf(measurement: PeerMeasurement): Promise<number> {
  const { warmup, iterations } = measurement;
  await fill(measurement, () => 0);
  // Calls behind the first barrier of a process are slow, however many there were before it.
  for (let count = 0; count < warmup; count++) {
    if (count === Math.floor(warmup / 2)) await hlsim.jobBarrier();
    await call(measurement);
  }
  await hlsim.jobBarrier();
  // Ranks leave a barrier up to milliseconds apart: this brings them together.
  await call(measurement);
  const startMs = wallClock.now();
  for (let count = 0; count < iterations; count++) await call(measurement);
  return ((wallClock.now() - startMs) * 1000) / iterations;
}

/** One call, complete on this rank when the promise resolves: the stream is empty. */
async function call({ collective, count, ranks }: PeerMeasurement): Promise<void> {
  const { comm, rank } = world;
  const type = hlsim.hcclFloat32;
  const block = count / ranks;
  if (collective === 'all_reduce') {
    await hlsim.hcclAllReduce(data, data, count, type, hlsim.hcclSum, comm);
  } else {
    await hlsim.hcclAllGather(data + rank * block * 4, data, block, type, comm);
  }
  // Only a call that is on its stream is one that the stream's synchronisation waits for.
  await hlsim.synStreamSynchronize();
}

async function wrongElements(measurement: PeerMeasurement): Promise<number> {
  const { collective, count, ranks } = measurement;
  const place = { rank: world.rank, ranks, count };
  await fill(measurement, (index) => given(collective, place, index));
  await call(measurement);
  let wrong = 0;
  for (let first = 0; first < count; first += STAGING_COUNT) {
    const length = Math.min(STAGING_COUNT, count - first);
    const bytes = await device.download(data + first * 4, length * 4);
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, length);
    for (let index = 0; index < length; index++) {
      if (values[index] !== expected(collective, place, first + index)) wrong++;
    }
  }
  return wrong;
}

async function fill({ count }: PeerMeasurement, valueAt: (index: number) => number): Promise<void> {
  for (let first = 0; first < count; first += STAGING_COUNT) {
    const values = new Float32Array(Math.min(STAGING_COUNT, count - first));
    for (let index = 0; index < values.length; index++) values[index] = valueAt(first + index);
    await device.upload(new Uint8Array(values.buffer), data + first * 4);
  }
}
