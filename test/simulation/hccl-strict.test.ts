import { describe, expect, it } from 'vitest';
import { HCCL_DATA_TYPES, HCCL_REDUCE_OPS, hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import {
  STRICT_DATA_TYPES,
  STRICT_REDUCE_OPS,
  STRICT_REFUSED_CALLS,
} from '../../node/hccl/strict.ts';
import type { SystemCallValue } from '../../node/process/system-call.ts';
import { allocate, type InlineRank, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

/** Runs on one rank of a job, strict or not. */
async function onOneRank(
  setting: '0' | '1',
  program: (rank: InlineRank, buffer: number, comm: number) => Promise<void>,
): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 1 });
  const job = await cluster.run(
    async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      await program(rank, await allocate(rank.channel, fd, 4096), comm);
    },
    { HCCL_STRICT: setting },
  );
  expect([...job.errors.values()]).toEqual([]);
}

/** What a call answers: the name of a result. */
async function answer(
  { channel }: InlineRank,
  name: string,
  argument: SystemCallValue,
): Promise<string> {
  return channel.call(name, argument).then(
    () => 'hcclSuccess',
    (reason: { code: string }) => reason.code,
  );
}

describe('HCCL_STRICT=1', () => {
  it('takes the data types of the real HCCL and no other', async () => {
    await onOneRank('1', async (rank, buffer, comm) => {
      const rest = { sendBuffer: buffer, recvBuffer: buffer, count: 8, reduceOp: hcclSum, comm };
      const taken: number[] = [];
      for (const dataType of HCCL_DATA_TYPES.keys()) {
        const result = await answer(rank, 'hcclAllReduce', { ...rest, dataType });
        if (result === 'hcclSuccess') taken.push(dataType);
        else expect(result).toBe('hcclInvalidArgument');
        const message = { buffer, count: 0, dataType, peer: 0, comm };
        await rank.channel.call('hcclGroupStart', null);
        await answer(rank, 'hcclSend', message);
        await answer(rank, 'hcclRecv', message);
        expect(await answer(rank, 'hcclGroupEnd', null)).toBe(result);
      }
      expect(taken).toEqual([...STRICT_DATA_TYPES].sort((a, b) => a - b));
    });
  });

  it('takes the reductions of the real HCCL and no other', async () => {
    await onOneRank('1', async (rank, buffer, comm) => {
      const rest = {
        sendBuffer: buffer,
        recvBuffer: buffer,
        count: 8,
        dataType: hcclFloat32,
        comm,
      };
      const taken: number[] = [];
      for (const reduceOp of HCCL_REDUCE_OPS.keys()) {
        const result = await answer(rank, 'hcclAllReduce', { ...rest, reduceOp });
        if (result === 'hcclSuccess') taken.push(reduceOp);
        else expect(result).toBe('hcclInvalidArgument');
      }
      expect(taken).toEqual(STRICT_REDUCE_OPS);
    });
  });

  it('does not look at the reduction of a collective that has none', async () => {
    await onOneRank('1', async (rank, buffer, comm) => {
      const argument = { sendBuffer: buffer, recvBuffer: buffer, count: 8, dataType: hcclFloat32 };
      expect(await answer(rank, 'hcclAllGather', { ...argument, comm })).toBe('hcclSuccess');
    });
  });

  it('answers as the real HCCL to calls that it does not have', async () => {
    await onOneRank('1', async (rank, _buffer, comm) => {
      for (const [name, result] of Object.entries(STRICT_REFUSED_CALLS)) {
        expect(await answer(rank, name, { comm }), name).toBe(result);
      }
    });
  });

  it('is off unless the job asks for it', async () => {
    await onOneRank('0', async (rank, buffer, comm) => {
      const argument = { sendBuffer: buffer, recvBuffer: buffer, count: 8, comm };
      const wide = { ...argument, dataType: 8, reduceOp: 1 };
      expect(await answer(rank, 'hcclAllReduce', wide)).toBe('hcclSuccess');
      expect(await answer(rank, 'hcclBarrier', { comm })).toBe('hcclSuccess');
    });
  });
});
