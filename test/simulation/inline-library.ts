/** The calls of `import ... from 'hlsim'`, for a program that runs inline in a simulated cluster. */
import type * as Library from 'hlsim';
import { roundUp } from '../../common/math.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import * as hccl from '../../node/hccl/api.ts';
import * as collective from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { allocate, type InlineRank, joinWorld } from './simulated-cluster.ts';

/** Those that hlsim's own programs use. */
export type InlineLibrary = Pick<
  typeof Library,
  | 'allocateDevice'
  | 'freeDevice'
  | 'hcclAllGather'
  | 'hcclAllReduce'
  | 'hcclBroadcast'
  | 'hcclCommGetCounters'
  | 'hcclFloat32'
  | 'hcclSum'
  | 'hlthunk_command_submission'
  | 'hlthunk_get_dram_usage'
  | 'hlthunk_get_hw_ip_info'
  | 'hlthunk_host_memory_map'
  | 'hlthunk_memory_unmap'
  | 'hlthunk_wait_for_cs'
  | 'hostMemoryAlloc'
  | 'jobBarrier'
  | 'synStreamSynchronize'
>;

export function inlineLibrary({ channel, process }: InlineRank): InlineLibrary {
  let nextAddress = 64;
  const unmap = async (fd: number, address: number): Promise<void> => {
    await hccl.hcclDropRegistration(channel, fd, address);
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
  };
  return {
    hcclFloat32,
    hcclSum,
    hcclAllGather: (...rest) => collective.hcclAllGather(channel, ...rest),
    hcclAllReduce: (...rest) => collective.hcclAllReduce(channel, ...rest),
    hcclBroadcast: (...rest) => collective.hcclBroadcast(channel, ...rest),
    hcclCommGetCounters: (...rest) => hccl.hcclCommGetCounters(channel, ...rest),
    synStreamSynchronize: (...rest) => hccl.synStreamSynchronize(channel, ...rest),
    jobBarrier: () => hccl.jobBarrier(channel),
    hlthunk_command_submission: (...rest) => hlthunk.hlthunk_command_submission(channel, ...rest),
    hlthunk_wait_for_cs: (...rest) => hlthunk.hlthunk_wait_for_cs(channel, ...rest),
    hlthunk_get_dram_usage: (...rest) => hlthunk.hlthunk_get_dram_usage(channel, ...rest),
    hlthunk_get_hw_ip_info: (...rest) => hlthunk.hlthunk_get_hw_ip_info(channel, ...rest),
    hlthunk_host_memory_map: (...rest) => hlthunk.hlthunk_host_memory_map(channel, ...rest),
    hlthunk_memory_unmap: unmap,
    hostMemoryAlloc(length) {
      const address = nextAddress;
      nextAddress = roundUp(address + length, 64);
      return { address, bytes: new Uint8Array(process.memory, address, length) };
    },
    allocateDevice: (fd, bytes) => allocate(channel, fd, bytes),
    async freeDevice(fd, address) {
      const { handle } = await hlthunk.hlthunk_device_memory_lookup(channel, fd, address);
      await unmap(fd, address);
      await hlthunk.hlthunk_device_memory_free(channel, fd, handle);
    },
  };
}

/** What `initWorld` gives. */
export async function inlineWorld(rank: InlineRank) {
  const { fd, comm } = await joinWorld(rank);
  return { rank: rank.rank, worldSize: rank.nranks, fd, comm };
}
