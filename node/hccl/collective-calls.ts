/** The collectives, groups, and reductions that programs create. */
import { z } from 'zod';
import type { CollectiveName } from '../../collectives/collective.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallValue } from '../process/system-call.ts';
import { type CallHost, communicatorOf, findCommunicator, findStream, parse } from './call-host.ts';
import { HCCL_DEFAULT_STREAM, HCCL_RANKS_MAX, hcclInt32, hcclMax } from './hccl.ts';
import type { Launch } from './launch.ts';
import { apiName } from './operation-call.ts';
import { BARRIER_ELEMENTS } from './own-memory.ts';
import type { HcclProcess } from './process-state.ts';

const counts = z.array(z.number()).max(HCCL_RANKS_MAX);
const collectiveArgument = z.object({
  sendBuffer: z.number(),
  recvBuffer: z.number(),
  count: z.number().optional(),
  counts: counts.optional(),
  sendCounts: counts.optional(),
  recvCounts: counts.optional(),
  dataType: z.int(),
  reduceOp: z.int().optional(),
  root: z.int().optional(),
  comm: z.int(),
  stream: z.int().default(HCCL_DEFAULT_STREAM),
});
const barrierArgument = z.object({
  comm: z.int(),
  stream: z.int().default(HCCL_DEFAULT_STREAM),
});
const createArgument = z.object({ scalar: z.number(), dataType: z.int(), comm: z.int() });
const destroyArgument = z.object({ op: z.int(), comm: z.int() });

const COLLECTIVE_CALLS: Readonly<Record<string, CollectiveName>> = {
  hcclAllReduce: 'allReduce',
  hcclAllGather: 'allGather',
  hcclBroadcast: 'broadcast',
  hcclReduceScatter: 'reduceScatter',
  hcclReduce: 'reduce',
  hcclAlltoAll: 'allToAll',
  hcclGather: 'gather',
  hcclScatter: 'scatter',
  hcclAllGatherV: 'allGatherV',
  hcclReduceScatterV: 'reduceScatterV',
  hcclAlltoAllV: 'allToAllV',
};

export function registerCollectiveCalls(host: CallHost): void {
  for (const [name, collective] of Object.entries(COLLECTIVE_CALLS)) {
    host.register(name, async (caller, argument) => {
      const state = host.state(caller);
      await launchOrRecord(state, () => collectiveLaunch(state, collective, argument));
    });
  }
  host.register('hcclBarrier', async (caller, argument) => {
    const state = host.state(caller);
    await launchOrRecord(state, () => barrierLaunch(state, argument));
  });
  host.register('hcclGroupStart', (caller) => {
    host.state(caller).group.start();
  });
  host.register('hcclGroupEnd', async (caller) => {
    const state = host.state(caller);
    await state.launcher.launch(state.group.end());
  });
  registerReductionCalls(host);
}

function registerReductionCalls(host: CallHost): void {
  const reductions = (caller: SimProcess, argument: SystemCallValue) =>
    communicatorOf(host.state(caller), argument).reduceOps;
  host.register('hcclRedOpCreatePreMulSum', (caller, argument) => {
    const { scalar, dataType } = parse(createArgument, argument);
    return reductions(caller, argument).create(scalar, dataType);
  });
  host.register('hcclRedOpDestroy', (caller, argument) => {
    const { op } = parse(destroyArgument, argument);
    reductions(caller, argument).destroy(op);
  });
}

/**
 * Checks a call and queues it; the stream's synchronisation gives its outcome. In a group the call is
 * recorded instead, and a refusal is told by the end of the group.
 */
export async function launchOrRecord(state: HcclProcess, check: () => Launch): Promise<void> {
  if (state.group.isOpen) state.group.record(check);
  else await state.launcher.launch([check()]);
}

function collectiveLaunch(
  state: HcclProcess,
  collective: CollectiveName,
  argument: SystemCallValue,
): Launch {
  const read = parse(collectiveArgument, argument);
  const open = findCommunicator(state, read.comm);
  const { sendBuffer, recvBuffer } = read;
  open.expectReady(apiName(collective));
  const stream = findStream(state, read.stream);
  const checked = open.check({
    collective,
    sendBuffer,
    recvBuffer,
    count: read.count,
    counts: read.counts,
    sendCounts: read.sendCounts,
    recvCounts: read.recvCounts,
    dataType: read.dataType,
    reduceOp: read.reduceOp,
    root: read.root,
  });
  return {
    kind: 'collective',
    open,
    stream,
    checked,
    addresses: { sendBuffer, recvBuffer },
  };
}

/** A collective on memory of HCCL's own: a token, of which the greatest is of no interest. */
function barrierLaunch(state: HcclProcess, argument: SystemCallValue): Launch {
  const { comm, stream } = parse(barrierArgument, argument);
  const open = findCommunicator(state, comm);
  open.expectReady();
  const address = open.init.barrierAddress;
  const addresses = { sendBuffer: address, recvBuffer: address };
  const count = open.nranks > 1 ? BARRIER_ELEMENTS : 0;
  const arguments_ = { ...addresses, count, dataType: hcclInt32, reduceOp: hcclMax };
  return {
    kind: 'collective',
    open,
    stream: findStream(state, stream),
    checked: open.check({ collective: 'barrier', ...arguments_ }),
    addresses,
  };
}
