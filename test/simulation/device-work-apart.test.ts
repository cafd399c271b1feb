import { describe, expect, it } from 'vitest';
import { hlthunk_open } from '../../node/device/hlthunk.ts';
import {
  hcclCommGetAsyncError,
  hcclCommInitRank,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclFloat32 } from '../../node/hccl/hccl.ts';
import { hcclGroupEnd, hcclGroupStart, hcclRecv, hcclSend } from '../../node/hccl/message-api.ts';
import { allocate, readFloats, SimulatedCluster, writeFloats } from './simulated-cluster.ts';

const COUNT = 100;

describe('device work that is refused', () => {
  it('fails its own communicator, not another whose work goes to the device with it', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const fd = await hlthunk_open(channel, 0);
      const bad = await hcclCommInitRank(channel, fd, 1, 'bad', 0);
      const good = await hcclCommInitRank(channel, fd, 1, 'good', 0);
      const buffer = await allocate(channel, fd, 8 * COUNT);
      const target = buffer + 4 * COUNT;
      await writeFloats(rank, fd, buffer, new Float32Array(COUNT).fill(5));
      const copy = async (to: number, comm: number): Promise<void> => {
        await hcclSend(channel, buffer, COUNT, hcclFloat32, 0, comm);
        await hcclRecv(channel, to, COUNT, hcclFloat32, 0, comm);
      };
      await hcclGroupStart(channel);
      await copy(target, good);
      await copy(buffer + 4, bad);
      await hcclGroupEnd(channel);
      await expect(synStreamSynchronize(channel)).rejects.toThrow(/message of rank 0 to itself/);
      expect((await hcclCommGetAsyncError(channel, good)).result).toBe('hcclSuccess');
      expect((await hcclCommGetAsyncError(channel, bad)).result).not.toBe('hcclSuccess');
      const found = await readFloats(rank, fd, target, COUNT);
      expect(new Set(found)).toEqual(new Set([5]));
    });
    expect([...job.errors.values()]).toEqual([]);
  });
});
