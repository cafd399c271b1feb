/** The buffers of a sweep: allocated once, for its largest size. */
import type * as Library from 'hlsim';
import { formatBytes, KiB, MiB } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { roundUp } from '../common/math.ts';
import { DRAM_PAGE_BYTES, MEMORY_PAGES_MAX } from '../node/device/hbm.ts';
import type { RankDevice } from '../training/rank-device.ts';
import { layoutOf } from './layout.ts';
import type { BenchOptions } from './options.ts';
import { type BenchSize, elementBytes } from './sizes.ts';

/** The calls that this file makes: the package's, or those of a test. */
export type BufferLibrary = Pick<
  typeof Library,
  'hlthunk_get_dram_usage' | 'hlthunk_get_hw_ip_info'
>;

export interface BenchBuffers {
  /** This rank's input, out of place. */
  readonly send: number;
  /** The whole result; in place, the input lies in it, or it in the input. */
  readonly recv: number;
  /** One unsigned 32-bit integer: wrong elements found. */
  readonly counter: number;
}

const COUNTER_BYTES = 4;
/** Most that is read back at once. */
export const DIGEST_BYTES = 1 * MiB;

export interface BufferRequest extends Pick<BenchOptions, 'collective' | 'root'> {
  readonly sizes: readonly BenchSize[];
  readonly rank: number;
  readonly nranks: number;
}

/** Throws `HLSIM_CONFIG`, with the size that `--hbm` must have, if they do not fit. */
export async function allocateBuffers(
  library: BufferLibrary,
  fd: number,
  device: RankDevice,
  { sizes, ...sweep }: BufferRequest,
): Promise<BenchBuffers> {
  let [sendBytes, recvBytes] = [0, 0];
  for (const size of sizes) {
    const { inputLength, inPlace } = layoutOf({ size, ...sweep });
    const each = elementBytes(size.dataType);
    sendBytes = Math.max(sendBytes, inputLength * each);
    recvBytes = Math.max(recvBytes, inPlace.length * each);
  }
  await expectRoom(library, fd, [sendBytes, recvBytes, COUNTER_BYTES]);
  return {
    send: await device.allocate(sendBytes),
    recv: await device.allocate(recvBytes),
    counter: await device.allocate(COUNTER_BYTES),
  };
}

async function expectRoom(
  library: BufferLibrary,
  fd: number,
  allocations: readonly number[],
): Promise<void> {
  const { dramBytes, dramPageBytes } = await library.hlthunk_get_hw_ip_info(fd);
  const { dramFreeBytes } = await library.hlthunk_get_dram_usage(fd);
  const needed = allocations.reduce(
    (sum, bytes) => sum + roundUp(Math.max(1, bytes), dramPageBytes),
    0,
  );
  if (needed <= dramFreeBytes) return;
  const hbmBytes = roundUp(dramBytes - dramFreeBytes + needed, dramPageBytes);
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected ${formatBytes(needed)} of free device memory (HBM) for the buffers of the largest size but found ${formatBytes(dramFreeBytes)} of ${formatBytes(dramBytes)}: ${advice(hbmBytes)}`,
    { fields: { needed, hbmBytes } },
  );
}

/** What to do where `hbmBytes` of HBM are needed: a device cannot have any number of them. */
function advice(hbmBytes: number): string {
  const most = (MEMORY_PAGES_MAX - 1) * DRAM_PAGE_BYTES;
  if (hbmBytes > most) {
    return `a device has at most ${most / KiB}K, so no --hbm is enough; lower -e, --maxbytes`;
  }
  const whole = roundUp(hbmBytes, MiB);
  const size = whole <= most ? `${whole / MiB}M` : `${most / KiB}K`;
  return `start the hosts with --hbm ${size} or more, or lower -e, --maxbytes`;
}
