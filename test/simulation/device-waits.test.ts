import { describe, expect, it } from 'vitest';
import { CS_WAITS_MAX } from '../../node/device/command-submission.ts';
import { hlthunk_command_submission, hlthunk_wait_for_cs } from '../../node/device/hlthunk.ts';
import { JOBS_PER_CS_MAX } from '../../node/device/job.ts';
import { synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllReduce, hcclRedOpCreatePreMulSum } from '../../node/hccl/collective-api.ts';
import { hcclFloat32 } from '../../node/hccl/hccl.ts';
import {
  allocate,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const KiB = 1024;
const COUNT = 1000;

describe('a device whose waits are all taken', () => {
  it('does the work of a collective once, though its end cannot be waited for at first', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4 * COUNT);
      await writeFloats(rank, fd, buffer, new Float32Array(COUNT).fill(1));
      const op = await hcclRedOpCreatePreMulSum(channel, 3, hcclFloat32, comm);
      const [from, to] = [
        await allocate(channel, fd, 4 * KiB),
        await allocate(channel, fd, 4 * KiB),
      ];
      const copy = { kind: 'dma', source: from, destination: to, bytes: 4 * KiB } as const;
      const work = Array.from({ length: JOBS_PER_CS_MAX }, () => copy);
      const own = await hlthunk_command_submission(channel, fd, work);
      const waits = Array.from({ length: CS_WAITS_MAX }, () =>
        hlthunk_wait_for_cs(channel, fd, own, 60_000_000),
      );
      await expect(hlthunk_wait_for_cs(channel, fd, own, 60_000_000)).rejects.toThrow(/EAGAIN/);
      await hcclAllReduce(channel, buffer, buffer, COUNT, hcclFloat32, op, comm);
      await synStreamSynchronize(channel);
      expect(new Set(await Promise.all(waits))).toEqual(new Set(['COMPLETED']));
      expect(new Set(await readFloats(rank, fd, buffer, COUNT))).toEqual(new Set([3]));
    });
    expect([...job.errors.values()]).toEqual([]);
  });
});
