import { describe, expect, it } from 'vitest';
import { allocateBuffers, type BufferLibrary } from '../../bench/buffers.ts';
import { GiB, KiB, MiB } from '../../common/bytes.ts';
import type { RankDevice } from '../../training/rank-device.ts';

/** A device of 64 MiB, all free. Nothing is allocated where the buffers do not fit. */
const DRAM_BYTES = 64 * MiB;
const library = {
  hlthunk_get_hw_ip_info: async () => ({ dramBytes: DRAM_BYTES, dramPageBytes: 64 * KiB }),
  hlthunk_get_dram_usage: async () => ({ dramFreeBytes: DRAM_BYTES }),
} as unknown as BufferLibrary;

function adviceFor(bytes: number): Promise<unknown> {
  const size = { bytes, count: bytes / 4, dataType: 'float', reduceOp: 'sum' } as const;
  const sweep = { sizes: [size], rank: 0, nranks: 2, collective: 'all_reduce', root: 0 } as const;
  return allocateBuffers(library, 3, {} as RankDevice, sweep).catch((error) => error.message);
}

describe('allocateBuffers()', () => {
  it.each([
    [64 * MiB, 'start the hosts with --hbm 129M or more'],
    [2047.875 * MiB, 'start the hosts with --hbm 4194176K or more'],
    [3 * GiB, 'a device has at most 4194176K, so no --hbm is enough; lower -e, --maxbytes'],
  ])('advises for a size of %d bytes what a device can have', async (bytes, advice) => {
    expect(await adviceFor(bytes)).toContain(advice);
  });
});
