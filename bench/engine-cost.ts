/** What a small all-reduce costs in HCCL and its engine: microseconds of CPU per rank and operation. */
import { delay, wallScheduler } from '../common/scheduler.ts';
import {
  hlthunk_device_memory_alloc,
  hlthunk_device_memory_map,
  hlthunk_open,
} from '../node/device/hlthunk.ts';
import {
  hcclCommInitRank,
  hcclGetUniqueId,
  jobBarrier,
  storeGet,
  storeSet,
  synStreamSynchronize,
} from '../node/hccl/api.ts';
import { hcclAllReduce } from '../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../node/hccl/hccl.ts';
import { CpuProfiler } from './cpu-profile.ts';
import { type InlineRank, runInline } from './inline-cluster.ts';

export const HOSTS = 4;
/** Two elements: 8 bytes. */
const COUNT = 2;
const BUFFER_BYTES = 65_536;
const HBM_BYTES = 64 * 1024 * 1024;
/** Calls that are queued before the stream is synchronised. */
const CALLS_PER_SYNC = 64;
/** Rounds in which the code is compiled; what they cost is left out. */
const WARM_UP_ROUNDS = 4;

export interface EngineCostInit {
  readonly rounds: number;
  readonly operations: number;
  /** URL of the folder of the compiled project. */
  readonly root: string;
}

/** Of one round, per rank and operation, in microseconds of CPU. */
export interface RoundCost {
  readonly engine: number;
  /** Transport, verbs, libfabric, device, system calls, and the simulation itself. */
  readonly rest: number;
  /** Garbage collection, and V8's own work: nobody's in particular. */
  readonly unowned: number;
  /** Files of HCCL and `collectives/`, the dearest first. */
  readonly files: readonly (readonly [string, number])[];
}

export async function measureEngine(init: EngineCostInit): Promise<RoundCost[]> {
  const profiler = new CpuProfiler(init.root);
  const costs: RoundCost[] = [];
  const round = async (rank: InlineRank, reduce: () => Promise<void>, isKept: boolean) => {
    await jobBarrier(rank.channel);
    if (isKept && rank.rank === 0) await profiler.start();
    await jobBarrier(rank.channel);
    await reduce();
    await jobBarrier(rank.channel);
    if (isKept && rank.rank === 0) costs.push(costOf(await profiler.stop(), init.operations));
  };
  try {
    await runInline({
      hosts: HOSTS,
      hbmBytes: HBM_BYTES,
      environment: { HLSIM_ALGORITHM: 'recursiveDoubling' },
      program: async (rank) => {
        const reduce = await prepare(rank, init.operations);
        for (let index = 0; index < WARM_UP_ROUNDS + init.rounds; index++)
          await round(rank, reduce, index >= WARM_UP_ROUNDS);
      },
    });
  } finally {
    profiler.close();
  }
  return costs;
}

/** Joins a communicator of all ranks; the answer runs one round of all-reduces. */
async function prepare(
  { rank, nranks, channel }: InlineRank,
  operations: number,
): Promise<() => Promise<void>> {
  const fd = await hlthunk_open(channel, 0);
  if (rank === 0) await storeSet(channel, 'id', await hcclGetUniqueId(channel));
  const uniqueId = await storeGet(channel, 'id');
  const comm = await hcclCommInitRank(channel, fd, nranks, uniqueId, rank);
  const buffer = async (): Promise<number> => {
    const handle = await hlthunk_device_memory_alloc(channel, fd, BUFFER_BYTES);
    return await hlthunk_device_memory_map(channel, fd, handle);
  };
  const [send, recv] = [await buffer(), await buffer()];
  return async () => {
    for (let index = 1; index <= operations; index++) {
      await hcclAllReduce(channel, send, recv, COUNT, hcclFloat32, hcclSum, comm);
      if (index % CALLS_PER_SYNC > 0) continue;
      await synStreamSynchronize(channel);
      await delay(wallScheduler, 1);
    }
    await synStreamSynchronize(channel);
  };
}

function costOf(times: ReadonlyMap<string, number>, operations: number): RoundCost {
  const each = (microseconds: number): number => microseconds / (HOSTS * operations);
  const isEngine = (file: string) => /^(node\/hccl|collectives)\//.test(file);
  const files = [...times]
    .filter(([file]) => isEngine(file))
    .map(([file, time]) => [file, each(time)] as const)
    .sort(([, a], [, b]) => b - a);
  const engine = files.reduce((sum, [, time]) => sum + time, 0);
  const all = [...times.values()].reduce((sum, time) => sum + time, 0);
  const unowned = each(times.get('') ?? 0);
  return { engine, rest: each(all) - engine - unowned, unowned, files };
}
