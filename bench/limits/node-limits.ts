/**
 * What Node.js gets out of this machine, for `npm run bench:limits`. Arguments: a folder for files, then
 * one per measurement, LIMIT:RANKS:BYTES:ITERATIONS. Prints one line of JSON per measurement.
 */
import process from 'node:process';
import { MiB } from '../../common/bytes.ts';
import { wallClock } from '../../common/clock.ts';
import { HlsimError } from '../../common/errors.ts';
import { DRAM_PAGE_BYTES, Hbm } from '../../node/device/hbm.ts';
import { loadKernels } from '../../node/device/kernels/kernels.ts';
import { type LimitMeasurement, readLimit } from './plan.ts';
import { socketTimeUs } from './socket-rate.ts';

const [folder = '', ...texts] = process.argv.slice(2);
for (const text of texts) {
  const measurement = readLimit(text);
  if (measurement === undefined) {
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected LIMIT:RANKS:BYTES:ITERATIONS but found ${JSON.stringify(text)}`,
    );
  }
  const { limit, ranks, bytes } = measurement;
  const timeUs = await timeOf(measurement);
  process.stdout.write(`${JSON.stringify({ limit, ranks, bytes, timeUs })}\n`);
}

function timeOf(measurement: LimitMeasurement): Promise<number> | number {
  const { limit, bytes, iterations } = measurement;
  switch (limit) {
    case 'nettcp':
      return socketTimeUs({ kind: 'tcp', bytes, iterations, folder });
    case 'netunix':
      return socketTimeUs({ kind: 'unix', bytes, iterations, folder });
    default:
      return loopTimeUs(iterations, memoryLoop(limit, bytes));
  }
}

/** One pass over 2 arrays of `bytes` in a device's memory, as hlsim's own kernels make it. */
function memoryLoop(limit: string, bytes: number): () => void {
  const hbm = new Hbm(2 * bytes + MiB);
  const [dst, src] = [DRAM_PAGE_BYTES, DRAM_PAGE_BYTES + bytes];
  hbm.view(dst, 2 * bytes).fill(0);
  const kernels = loadKernels(hbm.memory);
  const floats = (offset: number): Float32Array => {
    const view = hbm.view(offset, bytes);
    return new Float32Array(view.buffer, view.byteOffset, bytes / 4);
  };
  switch (limit) {
    case 'wasmcopy':
      return () => kernels.copy_u8(dst, src, bytes);
    case 'wasmadd':
      return () => kernels.reduce_sum_f32(dst, dst, src, bytes / 4);
    case 'jscopy':
      return () => hbm.view(dst, bytes).set(hbm.view(src, bytes));
    case 'jsadd':
      return () => addInPlace(floats(dst), floats(src));
    default:
      throw new HlsimError('HLSIM_USAGE', `Expected a limit of Node.js but found ${limit}`);
  }
}

function addInPlace(sums: Float32Array, others: Float32Array): void {
  for (let index = 0; index < sums.length; index++) {
    sums[index] = (sums[index] ?? 0) + (others[index] ?? 0);
  }
}

function loopTimeUs(iterations: number, pass: () => void): number {
  pass();
  pass();
  const startMs = wallClock.now();
  for (let count = 0; count < iterations; count++) pass();
  return ((wallClock.now() - startMs) * 1000) / iterations;
}
