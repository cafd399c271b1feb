/** The calls of a sweep, for one that runs inline in a simulated cluster. */
import type { MeasureLibrary } from '../../bench/measure.ts';
import * as hccl from '../../node/hccl/api.ts';
import * as collective from '../../node/hccl/collective-api.ts';
import * as messages from '../../node/hccl/message-api.ts';
import { inlineLibrary } from '../simulation/inline-library.ts';
import type { InlineRank } from '../simulation/simulated-cluster.ts';

export function inlineCalls(rank: InlineRank) {
  const { channel } = rank;
  const calls: MeasureLibrary = {
    hcclAllGather: (...rest) => collective.hcclAllGather(channel, ...rest),
    hcclAllGatherV: (...rest) => collective.hcclAllGatherV(channel, ...rest),
    hcclAllReduce: (...rest) => collective.hcclAllReduce(channel, ...rest),
    hcclAlltoAll: (...rest) => collective.hcclAlltoAll(channel, ...rest),
    hcclAlltoAllV: (...rest) => collective.hcclAlltoAllV(channel, ...rest),
    hcclBarrier: (...rest) => collective.hcclBarrier(channel, ...rest),
    hcclBroadcast: (...rest) => collective.hcclBroadcast(channel, ...rest),
    hcclGather: (...rest) => collective.hcclGather(channel, ...rest),
    hcclReduce: (...rest) => collective.hcclReduce(channel, ...rest),
    hcclReduceScatter: (...rest) => collective.hcclReduceScatter(channel, ...rest),
    hcclReduceScatterV: (...rest) => collective.hcclReduceScatterV(channel, ...rest),
    hcclScatter: (...rest) => collective.hcclScatter(channel, ...rest),
    hcclSend: (...rest) => messages.hcclSend(channel, ...rest),
    hcclRecv: (...rest) => messages.hcclRecv(channel, ...rest),
    hcclGroupStart: () => messages.hcclGroupStart(channel),
    hcclGroupEnd: () => messages.hcclGroupEnd(channel),
    hcclCommLastChoice: (...rest) => hccl.hcclCommLastChoice(channel, ...rest),
    jobBarrier: () => hccl.jobBarrier(channel),
    synStreamSynchronize: (...rest) => hccl.synStreamSynchronize(channel, ...rest),
  };
  return {
    ...inlineLibrary(rank),
    ...calls,
    hcclCommSetChoice: (comm: number, choice: Parameters<typeof hccl.hcclCommSetChoice>[2]) =>
      hccl.hcclCommSetChoice(channel, comm, choice),
    hcclCommLoadSchedule: (comm: number, text: string) =>
      hccl.hcclCommLoadSchedule(channel, comm, text),
  };
}

export type InlineCalls = ReturnType<typeof inlineCalls>;
